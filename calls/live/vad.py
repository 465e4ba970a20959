"""From the microphone to speech windows, and the acoustic end of what was said."""

from collections.abc import Callable

import numpy as np

from calls.live.events import Pcm, SpeechWindow

RATE = 16_000
WINDOW = 512  # samples, 32 ms: what Silero was trained on


class SpeechStage:
    """Cuts sound at 16 kHz into windows of 32 ms and asks the detector about each."""

    def __init__(self, detect: Callable[[Pcm], float]) -> None:
        self._detect = detect
        self._pending = np.empty(0, np.int16)

    def push(self, end: float, pcm: Pcm) -> list[SpeechWindow]:
        """The windows that the sound up to `end`, seconds of the call, completed."""
        self._pending = np.concatenate([self._pending, pcm])
        windows = []
        while len(self._pending) >= WINDOW:
            samples, self._pending = self._pending[:WINDOW], self._pending[WINDOW:]
            at = end - len(self._pending) / RATE
            windows.append(SpeechWindow(at, self._detect(samples), samples))
        return windows


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
