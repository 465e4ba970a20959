"""What a recording of both sides says, by level alone: pure, nothing of anybody's own clocks.

The rep's side is known (`Take.speech` is where the sound was put); the persona's side is heard.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.voice.takes import Take

RATE = 48_000
HOP = 0.01  # seconds
LOUD = 0.004  # RMS, -48 dBFS
STOPPED = 0.30  # seconds of silence: she has stopped
PAUSED = 0.22  # ... was made to pause: her own pauses between clauses last 0.15 to 0.17
PART = 0.15  # seconds of silence before a new sound counts as one
LASTING = 0.25  # seconds: a shorter sound is no answer
ANSWER_WITHIN = 10.0
REACTION = 1.2  # seconds after a murmur in which a stop is put down to it
SHEER = 8.0  # from one hop to the next: she was cut. Where a line ends it is 2 to 4
STILL = 1e-4  # RMS; what is softer is silence


@dataclass(frozen=True, slots=True)
class Said:
    """A take and where its sound begins on the line, in seconds."""

    take: Take
    begin: float

    @property
    def first(self) -> float:
        return self.begin + self.take.start

    @property
    def last(self) -> float:
        return self.begin + self.take.end


@dataclass(frozen=True, slots=True)
class Verdict:
    """One take, judged. Times in seconds without the browser's share; None where there is none."""

    kind: str
    human: bool
    expected: str
    text: str
    note: str
    at: float  # first sound, seconds of the call
    cut_off: bool = False  # she began before the rep was done
    first_sound: float | None = None  # last sound of the rep to the first of an answer
    mouth_to_ear: float | None = None  # ... to the answer that lasts
    missed: bool = False  # no answer within 10 s
    overlapped: bool = False  # she was speaking when it began
    stop: float | None = None  # first sound of the rep to her silence
    false_stop: str = ""  # "paused" or "stopped" though nothing asked for it
    answered_nothing: bool = False


class Persona:
    """Her side of the recording, in steps of 10 ms."""

    def __init__(self, ear: NDArray[np.int16]) -> None:
        hop = int(RATE * HOP)
        blocks = ear[: len(ear) // hop * hop].astype(np.float32).reshape(-1, hop) / 32768
        self.levels = np.sqrt((blocks**2).mean(axis=1))
        self.loud = self.levels > LOUD

    def sounds_at(self, at: float) -> bool:
        hop = round(at / HOP)
        return bool(self.loud[max(0, hop - 15) : hop + 1].any())

    def onsets(self, start: float, end: float, part: float = PART) -> list[float]:
        """When she begins after at least `part` seconds of silence, from `start` to `end`."""
        return [
            hop * HOP
            for hop in np.flatnonzero(self.loud)
            if start <= hop * HOP < end
            and not self.loud[max(0, hop - round(part / HOP)) : hop].any()
        ]

    def lasts(self, onset: float) -> bool:
        """Whether enough of the half second from there sounds."""
        hop = round(onset / HOP)
        return float(self.loud[hop : hop + 50].sum()) * HOP >= LASTING

    def stop_after(self, at: float, within: float, silence: float) -> tuple[float, float] | None:
        """The first `silence` seconds of quiet from `at` on: start and length (0: for good)."""
        first, size = round(at / HOP), round(silence / HOP)
        for hop in range(first, min(first + round(within / HOP), len(self.loud) - size)):
            if not self.loud[hop : hop + size].any():
                after = np.flatnonzero(self.loud[hop:])
                return hop * HOP, float(after[0]) * HOP if len(after) else 0.0
        return None

    def abrupt(self, stop: float) -> bool:
        """Whether she was cut in the middle of a sound: a line of hers dies away."""
        hop = round(stop / HOP)
        return float(self.levels[hop - 1]) > SHEER * max(float(self.levels[hop]), STILL)


def judged(
    said: Sequence[Said], microphone: NDArray[np.int16], ear: NDArray[np.int16]
) -> list[Verdict]:
    """A verdict on each take. Raises ValueError when the microphone was silent where it spoke."""
    persona = Persona(ear)
    ends = [one.begin for one in said[1:]] + [len(ear) / RATE]
    found = []
    for one, until in zip(said, ends, strict=True):
        _check_spoken(one, microphone)
        if one.take.expected == "answer":
            found.append(_answer(one, persona, until))
        elif one.take.expected == "stop":
            found.append(_stop(one, persona))
        else:
            found.append(_nothing(one, persona, until))
    return found


def _check_spoken(one: Said, microphone: NDArray[np.int16]) -> None:
    part = microphone[round(one.first * RATE) : round(one.last * RATE)]
    if not len(part) or np.abs(part).max() < 200:
        raise ValueError("the microphone was silent where the rep spoke")


def _verdict(one: Said, **facts: object) -> Verdict:
    take = one.take
    return Verdict(take.kind, take.human, take.expected, take.text, take.note, one.first, **facts)


def _answer(one: Said, persona: Persona, until: float) -> Verdict:
    early = persona.onsets(one.first + 0.2, one.last - 0.05)
    cut_off = bool(early) and not persona.sounds_at(one.first)
    after = persona.onsets(one.last - 0.05, min(until, one.last + ANSWER_WITHIN))
    lasting = [onset for onset in after if persona.lasts(onset)]
    stop = ""
    if one.take.echo is not None and lasting:
        stop = _false_stop(persona, lasting[0] + 0.1, until - 0.5)
    return _verdict(
        one,
        cut_off=cut_off,
        first_sound=after[0] - one.last if after else None,
        mouth_to_ear=lasting[0] - one.last if lasting else None,
        missed=not lasting and until - one.last >= ANSWER_WITHIN - 0.2,
        false_stop=stop,
    )


def _stop(one: Said, persona: Persona) -> Verdict:
    overlapped = persona.sounds_at(one.first) and persona.sounds_at(one.first + 0.1)
    stopped = persona.stop_after(one.first, 3.0, STOPPED) if overlapped else None
    if stopped is not None and not persona.abrupt(stopped[0]):
        overlapped = False  # her line was over anyway
    answers = [x for x in persona.onsets(one.last, one.last + ANSWER_WITHIN) if persona.lasts(x)]
    return _verdict(
        one,
        overlapped=overlapped,
        stop=stopped[0] - one.first if stopped and overlapped else None,
        mouth_to_ear=answers[0] - one.last if answers else None,
    )


def _nothing(one: Said, persona: Persona, until: float) -> Verdict:
    if one.take.over_persona is None:
        onsets = persona.onsets(one.first, min(until, one.last + 3.0), 0.5)
        return _verdict(one, answered_nothing=bool(onsets))
    overlapped = persona.sounds_at(one.first)
    end = min(until, one.last + REACTION)
    return _verdict(
        one,
        overlapped=overlapped,
        false_stop=_false_stop(persona, one.first, end) if overlapped else "",
    )


def _false_stop(persona: Persona, start: float, end: float) -> str:
    """Whether she was cut in the middle of a sound between these times, and for how long."""
    at = start
    while at < end and (stop := persona.stop_after(at, end - at, PAUSED)) is not None:
        if persona.abrupt(stop[0]):
            return "paused" if 0 < stop[1] < 2.5 else "stopped"
        following = persona.onsets(stop[0] + PAUSED, end, 0.05)
        if not following:
            return ""
        at = following[0]
    return ""
