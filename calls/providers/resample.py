"""24 kHz to 48 kHz, chunk by chunk, without a click between chunks."""

import numpy as np
from numpy.typing import NDArray

from calls.ports import Pcm

_REACH = 16  # input samples on each side of a new one; stop band below -70 dB


def _half_band() -> NDArray[np.float32]:
    """Weights of the 2 x _REACH neighbours of a point midway between two samples."""
    offsets = np.arange(-_REACH, _REACH) + 0.5
    taps = np.sinc(offsets) * np.i0(7.0 * np.sqrt(1 - (offsets / _REACH) ** 2)) / np.i0(7.0)
    normed: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return normed


_TAPS = _half_band()


class Doubler:
    """Twice as many samples: every given one, and one computed between each two of them.

    The last 16 samples (0.7 ms) are held back until the next chunk, or until `finish`.
    """

    def __init__(self) -> None:
        self._held = np.zeros(2 * _REACH - 1, np.float32)
        self._skip = _REACH  # of the made-up silence before the first sample

    def feed(self, pcm: Pcm) -> Pcm:
        samples = np.concatenate([self._held, pcm.astype(np.float32)])
        if len(samples) < 2 * _REACH:
            self._held = samples
            return np.empty(0, np.int16)
        between = np.convolve(samples, _TAPS, "valid")
        given = samples[_REACH - 1 : _REACH - 1 + len(between)]
        self._held = samples[len(between) :]
        doubled = np.stack([given, between], axis=1)
        kept = doubled[self._skip :].ravel()
        self._skip = max(0, self._skip - len(doubled))
        rounded: Pcm = np.clip(np.rint(kept), -32768, 32767).astype(np.int16)
        return rounded

    def finish(self) -> Pcm:
        """What was held back. The stream is over."""
        return self.feed(np.zeros(_REACH, np.int16))
