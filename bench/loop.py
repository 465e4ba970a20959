"""The loop as a rep meets it, in a real Chromium against a running `make run`.

    python -m bench.loop --var var            # 24 turns, a table and a line for bench/LOG.md

Measured: the click to the SDK's `ready`, to the first sound of the persona at the ear, and for each
turn mouth to ear: from the acoustic end of the rep's speech in the recording to the first sound of
the answer in the same recording (the browser's own jitter buffer and output included). Beside it
the turns in which the persona began before the rep had finished (inner pauses are 350 ms). Lines of
the persona may be made ahead; `--cold` says how many lines were on disk before the first call.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from tests.acoustics import HOP, LOUD, TurnTiming, levels, timings
from tests.browser_call import BrowserCall, browser_call
from tests.clips import Clip, human, speech_socket, spoken

LINES = [
    "Hi, this is Adam from Harbor Health. How are you today?",
    "I'm calling about your Medicare options for next year. | Do you have a few minutes?",
    "Just so you know, | this call is recorded.",
    "Which doctors do you see?",
    "And is it important to you | to keep seeing them?",
    "Do you take any prescription medicines?",
    "What do you pay for your plan each month?",
    "Let me ask you, | how often do you go to the dentist?",
    "What do you like most about the plan you have now?",
    "Is there anything | you would change about it?",
    "I understand. Many people feel that way.",
    "The plan I have in mind | has no monthly premium.",
    "Would that be helpful for you?",
    "It also covers dental, vision, and hearing.",
    "Your doctor is in the network. | I just checked.",
    "What questions do you have so far?",
    "That is a fair point. | May I explain how it works?",
    "The most you would pay in a year | is four thousand dollars.",
    "How does that sound to you?",
    "Shall we go ahead | and get you enrolled today?",
]


def talk(call: BrowserCall, clips: list[Clip]) -> tuple[float, float, list[TurnTiming], int]:
    """One call; seconds to ready and to the first sound, the turns, and answers that never came."""
    clicked = call.voice_state()["now"]
    ready = call.start(difficulty="Advanced")
    call.wait_for_persona(utterances=0)
    missing = sum(not call.turn(clip.text, clip.wav) for clip in clips)
    call.end()
    recording = call.recording()
    sounds = np.flatnonzero(levels(recording.persona) > LOUD)
    first = float(sounds[0]) * HOP + recording.start - clicked
    return ready, first, timings(recording), missing


def percentile(values: list[float], share: float) -> int:
    return round(1000 * float(np.percentile(values, share)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--var", type=Path, default=Path("var"))
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    demo = json.loads((options.var / "demo.json").read_text())
    socket = speech_socket(options.var)
    lines = list((options.var / "live" / "lines").glob("*/*"))
    clips = [spoken(line, socket, pauses=True) for line in LINES] + human(4)
    readies, firsts, turns, missing = [], [], [], 0
    for _ in range(options.calls):
        with browser_call(demo["exampleUrl"]) as call:
            ready, first, spoken_turns, unanswered = talk(call, clips)
        readies.append(ready)
        firsts.append(first)
        turns += spoken_turns
        missing += unanswered
        time.sleep(2)
    report(readies, firsts, turns, missing, len(lines))
    if options.json:
        options.json.write_text(json.dumps([vars(turn) for turn in turns], indent=1))


def report(
    readies: list[float], firsts: list[float], turns: list[TurnTiming], missing: int, lines: int
) -> None:
    answered = [t.mouth_to_ear for t in turns if t.mouth_to_ear is not None and not t.cut_off]
    for turn in turns:
        gap = "  none" if turn.mouth_to_ear is None else f"{1000 * turn.mouth_to_ear:6.0f}"
        print(f"{gap} ms {'CUT OFF ' if turn.cut_off else '        '}{turn.text[:70]}")
    print(
        f"| {len(turns)} turns, {lines} lines made ahead"
        f" | ready {1000 * np.median(readies):.0f} ms"
        f" | first sound {1000 * np.median(firsts):.0f} ms"
        f" | mouth to ear p50 {percentile(answered, 50)} p95 {percentile(answered, 95)} ms"
        f" | cut off {sum(t.cut_off for t in turns)} | unanswered {missing} |"
    )


if __name__ == "__main__":
    main()
