"""Is the turn over: smart-turn v3.2, from melody and words together, in threads of its own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calls.ports import SPEECH_RATE, Pcm, ProviderUnavailable
from calls.providers.onnx import shared_session

SECONDS = 8  # of the turn's end are listened to
THREADS = 2
WAITING = 8  # questions at a time; more would be answered too late to matter

_SAMPLES = SECONDS * SPEECH_RATE
_WINDOW = 400  # samples, 25 ms
_HOP = 160  # samples, 10 ms
_BANDS = 80


class SmartTurnDetector:
    """Shared by all calls of a worker."""

    def __init__(self, models: Path) -> None:
        self._session = shared_session(models / "smart-turn" / "smart-turn-v3.2-cpu.onnx")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="smart-turn")
        self._asked = 0

    async def complete(self, pcm: Pcm) -> float:
        """The chance that the turn heard so far is over. About 20 ms."""
        if self._asked >= WAITING:
            raise ProviderUnavailable("Too many questions about the end of a turn at a time.")
        self._asked += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._chance, pcm[-_SAMPLES:].copy())
        finally:
            self._asked -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _chance(self, pcm: Pcm) -> float:
        features = log_mel(pcm)[None]
        return float(np.ravel(self._session.run(None, {"input_features": features})[0])[0])


def log_mel(pcm: Pcm) -> NDArray[np.float32]:
    """Whisper's features of the last 8 s, 80 bands by 800 frames: what the model was trained on."""
    samples = np.zeros(_SAMPLES, np.float32)
    if len(pcm):
        samples[-len(pcm) :] = pcm.astype(np.float32) / 32768.0
    samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    padded = np.pad(samples, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][: SECONDS * 100]
    spectrum = np.abs(np.fft.rfft(frames * _HANN, axis=1)).astype(np.float32) ** 2
    logs = np.log10(np.maximum(_FILTERS @ spectrum.T, 1e-10))
    features: NDArray[np.float32] = (np.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0
    return features


def _mel_filters() -> NDArray[np.float32]:
    """Slaney's: linear below 1 kHz, logarithmic above, each triangle of the same area."""
    edges = np.linspace(0.0, _mel(8000.0), _BANDS + 2)
    hertz = np.where(edges < 15.0, edges * 200 / 3, 1000.0 * np.exp((edges - 15.0) * _LOG_STEP))
    bins = np.arange(_WINDOW // 2 + 1) * SPEECH_RATE / _WINDOW
    rising = (bins - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - bins) / np.diff(hertz)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    area = 2.0 / (hertz[2:] - hertz[:-2])
    return (triangles * area[:, None]).astype(np.float32)


def _mel(hertz: float) -> float:
    return 15.0 + float(np.log(hertz / 1000.0)) / _LOG_STEP


_LOG_STEP = float(np.log(6.4)) / 27.0
_HANN = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
_FILTERS = _mel_filters()
