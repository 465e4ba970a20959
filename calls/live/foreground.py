"""Whose speech it is: the rep's near the microphone, or that of others farther away in the room.

The detector knows speech and not whose. Among colleagues on the phone it would hear the rep speak
for ever, and no turn would end. People farther away are softer, so speech that goes on well below
what the rep was just saying, for longer than a soft syllable lasts, is not the rep's. After a gap
the rep may be softer than before: what begins anew is measured by itself, unless it is very soft.
Pure: sound in, a verdict out.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from calls.live.events import Pcm

SOFTER = (
    10.0  # dB below what is being said; of 6 to 10 dB the one that cut off nobody (bench/voice)
)
FAR = 15.0  # dB below the last half minute: what begins that softly is not the rep's either
GAP = 0.4  # seconds without speech after which somebody else may be speaking, or a softer rep
SMOOTHED = 7  # windows of speech, 0.22 s: the level falls inside every word
LASTS = 10  # windows in a row, 0.32 s
MEMORY = 940  # windows of speech, 30 s: longer than most of the persona's answers
EVERY = 8  # windows between two looks at the levels
_LOUD = 90  # percentile of the levels that is the speaker's own
_FEWEST = 15  # windows of speech before anything can be said


class Foreground:
    """Remembers how loud speech was: since the last gap, and in the last half minute."""

    def __init__(self) -> None:
        self._powers: deque[float] = deque(maxlen=SMOOTHED)
        self._stretch: deque[float] = deque(maxlen=MEMORY)
        self._levels: deque[float] = deque(maxlen=MEMORY)
        self._at = -np.inf
        self._heard = 0  # windows since the last gap
        self._least = -np.inf  # dBFS
        self._soft = 0

    def is_far(self, at: float, pcm: Pcm) -> bool:
        """Of the next window that sounds like speech and ended at `at`: too soft, for too long, to
        be the rep's?"""
        if at - self._at > GAP:
            self._powers.clear()
            self._stretch.clear()
            self._heard = self._soft = 0
        self._at = at
        self._heard += 1
        self._powers.append(_power(pcm))
        level = float(10 * np.log10(np.mean(self._powers) + 1e-12))
        self._stretch.append(level)
        self._levels.append(level)
        if self._heard % EVERY == 1:
            self._least = max(_own(self._stretch) - SOFTER, _own(self._levels) - FAR)
        self._soft = self._soft + 1 if level < self._least else 0
        return self._soft >= LASTS


def _own(levels: Sequence[float]) -> float:
    """dBFS of whoever is nearest; minus infinity where too little was heard."""
    return float(np.percentile(levels, _LOUD)) if len(levels) >= _FEWEST else -np.inf


def _power(pcm: Pcm) -> float:
    """Mean square of samples -1..1."""
    samples = pcm.astype(np.float32)
    return float(samples @ samples) / len(pcm) / 32768.0**2
