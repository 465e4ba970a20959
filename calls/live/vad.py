"""From microphone frames to speech windows, and the acoustic end of what was said."""

from collections.abc import Callable

import numpy as np

from calls.live.events import MicrophoneFrame, Pcm, SpeechWindow

RATE = 16_000
WINDOW = 512  # samples, 32 ms: what Silero was trained on


class SpeechStage:
    """Resamples to 16 kHz, cuts windows of 32 ms and asks the detector about each."""

    def __init__(self, detect: Callable[[Pcm], float], resample: Callable[[Pcm], Pcm]) -> None:
        self._detect = detect
        self._resample = resample
        self._pending = np.empty(0, np.int16)

    def push(self, frame: MicrophoneFrame) -> tuple[Pcm, list[SpeechWindow]]:
        """The frame at 16 kHz, and the windows that it completed."""
        pcm = self._resample(frame.pcm)
        self._pending = np.concatenate([self._pending, pcm])
        end = frame.at + len(frame.pcm) / 48_000
        windows = []
        while len(self._pending) >= WINDOW:
            samples, self._pending = self._pending[:WINDOW], self._pending[WINDOW:]
            at = end - len(self._pending) / RATE
            windows.append(SpeechWindow(at, self._detect(samples), _power(samples)))
        return pcm, windows


def _power(pcm: Pcm) -> float:
    samples = pcm.astype(np.float32)
    return float(samples @ samples) / len(pcm) / 32768.0**2


def acoustic_end(pcm: Pcm, rate: int = RATE) -> float:
    """Seconds from the start of `pcm` to its last sound.

    The last 10 ms hop whose level exceeds both -50 dBFS and 6 % of the loudest hop. The detector
    reports the end of speech late and in steps of 32 ms; the ledger counts from here.
    """
    hop = rate // 100
    hops = len(pcm) // hop
    if hops == 0:
        return 0.0
    blocks = pcm[: hops * hop].astype(np.float32).reshape(hops, hop) / 32768.0
    levels = np.sqrt(np.mean(np.square(blocks), axis=1))
    loud = np.flatnonzero(levels > max(0.00316, 0.06 * float(levels.max())))
    return float(loud[-1] + 1) / 100 if len(loud) else 0.0
