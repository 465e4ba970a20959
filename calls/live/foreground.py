"""Whose speech it is: the rep's near the microphone, or that of others farther away in the room.

The detector knows speech and not whose. Among colleagues on the phone it would hear the rep speak
for ever, and no turn would end. People farther away are softer, so speech well below the rep's own
level, for longer than a soft syllable lasts, is not the rep's. Pure: sound in, a verdict out.
"""

from collections import deque

import numpy as np

from calls.live.events import Pcm

SOFTER = 10.0  # dB below the rep's level; of 6 to 10 dB the one that cut off nobody (bench/voice)
SMOOTHED = 7  # windows of speech, 0.22 s: the level falls inside every word
LASTS = 10  # windows in a row, 0.32 s
MEMORY = 940  # windows of speech, 30 s: longer than most of the persona's answers
EVERY = 8  # windows between two looks at the rep's level
_LOUD = 90  # percentile of the remembered levels that is the rep's own
_FEWEST = 15  # windows of speech before anything can be said


class Foreground:
    """Remembers how loud the last half minute of speech was."""

    def __init__(self) -> None:
        self._powers: deque[float] = deque(maxlen=SMOOTHED)
        self._levels: deque[float] = deque(maxlen=MEMORY)
        self._own = -np.inf
        self._looked = 0
        self._soft = 0

    def is_far(self, pcm: Pcm) -> bool:
        """Of the next window that sounds like speech: too soft, for too long, to be the rep's?"""
        self._powers.append(_power(pcm))
        level = float(10 * np.log10(np.mean(self._powers) + 1e-12))
        self._levels.append(level)
        self._soft = self._soft + 1 if level < self._own_level() - SOFTER else 0
        return self._soft >= LASTS

    def _own_level(self) -> float:
        """dBFS of the rep's speech; looked at now and then, for it changes slowly."""
        self._looked += 1
        if len(self._levels) >= _FEWEST and (self._own == -np.inf or self._looked % EVERY == 0):
            self._own = float(np.percentile(self._levels, _LOUD))
        return self._own


def _power(pcm: Pcm) -> float:
    """Mean square of samples -1..1."""
    samples = pcm.astype(np.float32)
    return float(samples @ samples) / len(pcm) / 32768.0**2
