"""Is somebody speaking: Silero, 32 ms at a time, on the audio loop (0.1 ms a window)."""

from pathlib import Path

import numpy as np

from calls.ports import SPEECH_RATE, Pcm
from calls.providers.onnx import shared_session

WINDOW = 512  # samples
_CONTEXT = 64  # samples of the window before, which the model wants to see again
_RATE = np.array(SPEECH_RATE, np.int64)


class SileroDetector:
    """One per call: it remembers what it heard."""

    def __init__(self, models: Path) -> None:
        self._session = shared_session(models / "silero" / "silero_vad.onnx")
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input = np.zeros((1, _CONTEXT + WINDOW), np.float32)

    def probability(self, frame: Pcm) -> float:
        """The chance that these 512 samples hold speech."""
        if len(frame) != WINDOW:
            raise ValueError("A window has 512 samples.")
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        np.multiply(frame, np.float32(1 / 32768), out=self._input[0, _CONTEXT:])
        chance, self._state = self._session.run(
            None, {"input": self._input, "state": self._state, "sr": _RATE}
        )
        return float(chance[0, 0])
