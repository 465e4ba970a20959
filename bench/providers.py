"""How a persona does with engines of others: `python -m bench.providers [--turns 20]`.

Runs the servers of bench/peers.py and asks them as a live call would: words (first clause after,
how often the guard or the clock made the authored line speak instead, how soon a server is idle
after an interruption), hearing, and voice (first sound after, pitch of the clock).
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench.peers import CHAT_MODEL, VOICE, chat_server, ears_server, peers_python, voice_server
from calls.director.pack import pack_merge
from calls.ports import Heard
from calls.providers.chat import OpenAIChat
from calls.providers.choices import ProviderChoice
from calls.providers.director import DirectorBrain
from calls.providers.free_text import (
    GIVES_UP_AFTER,
    STALLS_AFTER,
    THINKS_AFTER,
    FreeTextBrain,
)
from calls.providers.registry import EngineChoice, open_providers
from calls.providers.speech_client import SpeechClient
from calls.providers.transcriber import OpenAITranscriber

QUESTIONS = (
    "Hi Carol, this is Sam. What plan are you on right now?",
    "Which doctors do you see, and how often?",
    "What do you like about your plan, and what don't you like?",
    "Do you take any prescriptions?",
    "Would dental coverage be of interest to you?",
    "What would you change if you could?",
)
SENTENCE = "Well, I have been with the same plan for a long time, and I like my doctor."


DRILLS = Path(__file__).resolve().parent.parent / "calls" / "drills"


def shipped_pack() -> dict[str, Any]:
    """The first drill, without a database."""
    base = yaml.safe_load((DRILLS / "shared" / "conversation.yaml").read_text())
    return pack_merge(base, yaml.safe_load((DRILLS / "ma-full-sale.yaml").read_text()))


@dataclass(frozen=True, slots=True)
class Spoken:
    """What came of one turn; seconds from the request to the first line that answers."""

    seconds: float
    outcome: str  # "model", or why the authored line spoke
    text: str


async def talk(
    base: str, pack: Mapping[str, Any], turns: int, *, patience: float = 1.0
) -> list[Spoken]:
    """`patience` stretches the limits of a live call, for a machine busy with other things."""
    client = SpeechClient(base)
    brain = FreeTextBrain(
        DirectorBrain(pack, "Advanced", 7, None),
        OpenAIChat(client, CHAT_MODEL),
        thinks_after=patience * THINKS_AFTER,
        gives_up_after=patience * GIVES_UP_AFTER,
        stalls_after=patience * STALLS_AFTER,
    )
    try:
        return [await _turn(brain, QUESTIONS[number % len(QUESTIONS)]) for number in range(turns)]
    finally:
        await client.close()


async def _turn(brain: FreeTextBrain, question: str) -> Spoken:
    began, first, lines = time.monotonic(), 0.0, []
    async for line in brain.reply(Heard(question, 0.0, 1.0)):
        if not first and line.cue.get("chat") != "slow":
            first = time.monotonic() - began
        lines.append(line)
    brain.spoken(" ".join(line.text for line in lines), complete=True)
    cue = lines[-1].cue
    outcome = cue.get("chat_failed") or ("model" if not lines[-1].authored else "authored")
    return Spoken(first, outcome, " ".join(line.text for line in lines))


async def interrupted(base: str) -> float:
    """Seconds from leaving an answer until the server answers somebody else's short question."""
    client = SpeechClient(base)
    chat = OpenAIChat(client, CHAT_MODEL)
    long = [{"role": "user", "content": "Count from one to five hundred in words."}]
    short = [{"role": "user", "content": "Say yes."}]
    try:
        async with aclosing(chat.stream(long)) as answer:
            await anext(answer)
        began = time.monotonic()
        async with aclosing(chat.stream(short)) as answer:
            await anext(answer)
        return time.monotonic() - began
    finally:
        await client.close()


async def hear_and_speak(ears: tuple[str, str], voice: str, models: Path) -> dict[str, Any]:
    """A sentence through the voice server and back through the transcription server."""
    speech = ProviderChoice("speech", voice, "tts-1", voices={"*": VOICE}, checked=False)
    choices = {"speech": speech}
    engines = EngineChoice(models=models, local_url="http+unix:///none", choices=choices)
    async with open_providers(engines) as providers:
        async for _ in providers.default.background_voice.speak("Hello.", voice="af_bella"):
            pass  # its first request loads the voice
        began, first, chunks = time.monotonic(), 0.0, []
        # As in the background: how long a live line may be quiet is not what is measured here.
        async for pcm in providers.default.background_voice.speak(SENTENCE, voice="af_bella"):
            first = first or time.monotonic() - began
            chunks.append(pcm)
        sound = np.concatenate(chunks)
        low = sound[: len(sound) // 3 * 3].reshape(-1, 3).mean(axis=1).astype(np.int16)
        began = time.monotonic()
        # Without our own as a spare: a busy machine would have that answer.
        client = SpeechClient(ears[0])
        heard = await OpenAITranscriber(client, live_model=ears[1], verbose=False).live(
            low, deadline=60.0
        )
        await client.close()
        return {
            "first_sound": first,
            "seconds": len(sound) / 48_000,
            "text": heard.text,
            "hearing": time.monotonic() - began,
        }


async def _run(folder: Path, models: Path, turns: int, patience: float) -> None:
    python = peers_python(folder)
    with ExitStack() as stack:
        base = stack.enter_context(chat_server(python, folder))
        spoken = await talk(base, shipped_pack(), turns, patience=patience)
        left = await interrupted(base)
    for turn in spoken:
        print(f"{turn.seconds:6.2f} s  {turn.outcome:<18} {turn.text}")
    p50, p95 = np.percentile([turn.seconds for turn in spoken], [50, 95])
    print(f"first words   p50 {p50:.2f} s, p95 {p95:.2f} s of {len(spoken)}")
    print(f"spoken by     {dict(Counter(turn.outcome for turn in spoken))}")
    print(f"next answer after an interruption {left:.2f} s", flush=True)
    with ExitStack() as stack:
        ears = stack.enter_context(ears_server(python, folder, models / "whisper-base"))
        voice = stack.enter_context(voice_server(python, folder))
        heard = await hear_and_speak(ears, voice, models)
    print(f"voice         first sound {heard['first_sound']:.2f} s, {heard['seconds']:.1f} s long")
    print(f"heard         {heard['hearing']:.2f} s: {heard['text']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=18)
    parser.add_argument("--patience", type=float, default=1.0, help="times a call's limits")
    parser.add_argument("--venv", type=Path, default=Path("var/peers"))
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    given = parser.parse_args()
    asyncio.run(_run(given.venv.resolve(), given.models.resolve(), given.turns, given.patience))


if __name__ == "__main__":
    main()
