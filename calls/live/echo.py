"""Is it the persona herself that the microphone hears: what was played, looked for in what came.

Browsers cancel echo, but not always: speakers turned up, a headset's leak, a phone on a table. An
echo is the played sound again, later and quieter, so the two correlate; a rep who speaks does not.
Pure: sound and times in, a verdict out. Times are seconds of the call.
"""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calls.live.events import WIRE_RATE, Pcm
from calls.ports import SPEECH_RATE

RATE = 8000  # Hz, enough to know a voice by
SEGMENT = 0.256  # seconds of the microphone that are looked for
LATEST = 0.7  # seconds between playing and hearing it: network, buffers, the room
ALIKE = 0.6  # correlation; a rep over an echo of the same loudness comes to 0.7 at most for moments
_KEPT = LATEST + SEGMENT + 0.1  # seconds of what was played
_FAINT = 1e-4  # mean power, of samples -1..1, below which a stretch of the reference is no sound

Samples = NDArray[np.float32]


class EchoGuard:
    """Remembers the last second of both sides, and works on it only when somebody asks."""

    def __init__(self, decode: Callable[[bytes], Pcm]) -> None:
        self._decode = decode  # of the persona's packets alone: it keeps state
        self._played: deque[tuple[float, Samples]] = deque()
        self._waiting: deque[tuple[float, bytes]] = deque()  # played later, and not yet decoded
        self._heard: deque[Pcm] = deque([np.zeros(round(SEGMENT * SPEECH_RATE), np.int16)])
        self._held = len(self._heard[0])
        self._heard_until = 0.0

    def played(self, at: float, packet: bytes | None) -> None:
        """What goes out at `at`; None is silence."""
        if packet is not None:
            self._waiting.append((at, packet))
        for kept in (self._played, self._waiting):
            while kept and kept[0][0] < at - _KEPT:
                kept.popleft()

    def hear(self, at: float, pcm: Pcm) -> None:
        """The microphone at 16 kHz; its last sample belongs at `at`."""
        self._heard.append(pcm)
        self._held += len(pcm)
        while self._held - len(self._heard[0]) >= SEGMENT * SPEECH_RATE:
            self._held -= len(self._heard.popleft())
        self._heard_until = at

    def hears_persona(self) -> bool:
        """Whether the last quarter second of the microphone is mostly what was played before."""
        while self._waiting:
            at, packet = self._waiting.popleft()
            self._played.append((at, _thin(self._decode(packet), WIRE_RATE // RATE)))
        reference = self._reference(self._heard_until - SEGMENT - LATEST, self._heard_until)
        if reference is None:
            return False
        segment = np.concatenate(self._heard)[-round(SEGMENT * SPEECH_RATE) :]
        return likeness(_thin(segment, SPEECH_RATE // RATE), reference) >= ALIKE

    def _reference(self, start: float, end: float) -> Samples | None:
        """What was played from `start` to `end`, silence between; None where nothing was."""
        line = np.zeros(round((end - start) * RATE), np.float32)
        found = False
        for at, samples in self._played:
            first = round((at - start) * RATE)
            begin, stop = max(first, 0), min(first + len(samples), len(line))
            if begin < stop:
                line[begin:stop] = samples[begin - first : stop - first]
                found = True
        return line if found else None


def likeness(segment: Samples, reference: Samples) -> float:
    """The best correlation, 0..1, of `segment` with any stretch of `reference` as long as it is."""
    length = len(segment)
    energy = float(segment @ segment)
    if len(reference) < length or energy == 0.0:
        return 0.0
    size = 1 << (len(reference) + length - 1).bit_length()
    spectrum = np.fft.rfft(reference, size) * np.conj(np.fft.rfft(segment, size))
    products = np.fft.irfft(spectrum, size)[: len(reference) - length + 1]
    sums = np.concatenate([[0.0], np.cumsum(np.square(reference, dtype=np.float64))])
    powers = sums[length:] - sums[: len(sums) - length]
    sounding = powers > _FAINT * length
    if not sounding.any():
        return 0.0
    return float(np.max(np.abs(products[sounding]) / np.sqrt(powers[sounding] * energy)))


def _thin(pcm: Pcm, factor: int) -> Samples:
    """A lower rate by plain means of neighbours: both sides get the same, so they stay alike."""
    whole = pcm[: len(pcm) // factor * factor].astype(np.float32) / 32768.0
    means: Samples = whole.reshape(-1, factor).mean(axis=1)
    return means
