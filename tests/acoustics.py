"""What a recording of both sides says about time: who sounded when, judged by level alone.

Nothing of the server's own clocks or events is used: the anchor is the acoustic end of the rep's
speech and the first sound of the persona at the rep's ear.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.browser_call import RATE, Recording

HOP = 0.01  # seconds
LOUD = 0.004  # RMS, -48 dBFS
PERSONA_GAP = 0.5  # seconds of silence that part two utterances


@dataclass(frozen=True)
class TurnTiming:
    """One turn of the rep. Times in seconds from the start of the recording."""

    text: str
    rep_start: float
    rep_end: float
    answer: float | None  # first sound of the persona after the rep's end
    cut_off: bool  # the persona began while the rep had not finished

    @property
    def mouth_to_ear(self) -> float | None:
        return None if self.answer is None else self.answer - self.rep_end


def levels(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """RMS per 10 ms, 0..1."""
    hop = int(RATE * HOP)
    blocks = pcm[: len(pcm) // hop * hop].astype(np.float32).reshape(-1, hop) / 32768
    return np.sqrt((blocks**2).mean(axis=1))


def onsets(loud: NDArray[np.bool_]) -> list[int]:
    """Hops at which sound begins after a gap."""
    found, quiet = [], PERSONA_GAP / HOP
    for hop, sounds in enumerate(loud):
        if sounds and quiet >= PERSONA_GAP / HOP:
            found.append(hop)
        quiet = 0 if sounds else quiet + 1
    return found


def timings(recording: Recording) -> list[TurnTiming]:
    rep = levels(recording.rep) > LOUD
    persona = levels(recording.persona) > LOUD
    begins = onsets(persona)
    found = []
    for said in recording.said:
        first = max(0, int((said.start - recording.start) / HOP))
        last = int((said.end - recording.start) / HOP) + 2
        sounding = np.flatnonzero(rep[first:last])
        if not len(sounding):
            raise ValueError("the microphone was silent where the rep spoke")
        start, end = first + sounding[0], first + sounding[-1] + 1
        early = [hop for hop in begins if start + 20 < hop < end - 5]
        after = np.flatnonzero(persona[end:])
        answer = (end + after[0]) * HOP if len(after) else None
        found.append(TurnTiming(said.text, start * HOP, end * HOP, answer, bool(early)))
    return found
