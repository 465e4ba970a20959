"""Whose speech it is: the rep's near the microphone, or that of others farther away in the room.

The detector knows speech and not whose. Among colleagues on the phone it would hear the rep speak
for ever, and no turn would end. People farther away are softer, so speech that goes on well below
what the rep was just saying, for longer than a soft syllable lasts, is not the rep's. Where the
room is never quiet a little softer is enough, if it lasts. After a gap the rep may be softer than
before: what begins anew is measured by itself, unless it is very soft.
Pure: sound in, a verdict out.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice

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
BABBLE = 24.0  # dB: in a room that is never that much below the rep somebody speaks all the time
BABBLE_SOFTER = 6.0  # dB below the rep, on average over
BABBLE_LASTS = 50  # windows, 1.6 s; 40 cut off more (bench/voice)
BABBLE_PEAK = 3.0  # dB below the rep: whoever is louder than that is the rep again
BABBLE_SEEN = 94  # windows, 3 s, in which the room's quietest one is looked for
_LOUD = 90  # percentile of the levels that is the speaker's own
_FEWEST = 15  # windows of speech before anything can be said


class Foreground:
    """Remembers how loud speech was: since the last gap, and in the last half minute."""

    def __init__(self) -> None:
        self._powers: deque[float] = deque(maxlen=BABBLE_SEEN)
        self._stretch: deque[float] = deque(maxlen=MEMORY)
        self._levels: deque[float] = deque(maxlen=MEMORY)
        self._at = -np.inf
        self._heard = 0  # windows since the last gap
        self._own = -np.inf  # dBFS of who speaks since the last gap
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
        level = self._mean(SMOOTHED)
        self._stretch.append(level)
        self._levels.append(level)
        if self._heard % EVERY == 1:
            self._own = _own(self._stretch)
            self._least = max(self._own - SOFTER, _own(self._levels) - FAR)
        self._soft = self._soft + 1 if level < self._least else 0
        return self._soft >= LASTS or self._is_babble(level)

    def _is_babble(self, level: float) -> bool:
        """Others, only a little softer than the rep, in a room that is never quiet."""
        if len(self._powers) < BABBLE_LASTS + _FEWEST or level > self._own - BABBLE_PEAK:
            return False
        room = _decibels(min(self._powers))
        return room > self._own - BABBLE and self._mean(BABBLE_LASTS) < self._own - BABBLE_SOFTER

    def _mean(self, windows: int) -> float:
        """dBFS of the last windows."""
        last = islice(reversed(self._powers), windows)
        return _decibels(float(np.mean(list(last))))


def _own(levels: Sequence[float]) -> float:
    """dBFS of whoever is nearest; minus infinity where too little was heard."""
    return float(np.percentile(levels, _LOUD)) if len(levels) >= _FEWEST else -np.inf


def _decibels(power: float) -> float:
    return float(10 * np.log10(power + 1e-12))


def _power(pcm: Pcm) -> float:
    """Mean square of samples -1..1."""
    samples = pcm.astype(np.float32)
    return float(samples @ samples) / len(pcm) / 32768.0**2
