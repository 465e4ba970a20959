"""Is somebody speaking: Silero, 32 ms at a time, on the audio loop (0.1 to 0.3 ms a window).

Its answer hangs on where a window happens to begin: of a short "No" after noise it made 0.17 to
0.87, by where in the call one started. So two copies listen half a window apart, in one pass, and
the surer one is believed.
"""

from pathlib import Path

import numpy as np

from calls.ports import SPEECH_RATE, Pcm
from calls.providers.onnx import shared_session

WINDOW = 512  # samples
_CONTEXT = 64  # samples of the window before, which the model wants to see again
_SEEN = _CONTEXT + WINDOW
_SHIFT = WINDOW // 2  # by which the second copy is behind
_RATE = np.array(SPEECH_RATE, np.int64)


class SileroDetector:
    """One per call: it remembers what it heard."""

    def __init__(self, models: Path) -> None:
        self._session = shared_session(models / "silero" / "silero_vad.onnx")
        self._state = np.zeros((2, 2, 128), np.float32)
        self._sound = np.zeros(_SEEN + _SHIFT, np.float32)
        self._input = np.zeros((2, _SEEN), np.float32)

    def probability(self, frame: Pcm) -> float:
        """The chance that these 512 samples, or those half a window earlier, hold speech."""
        if len(frame) != WINDOW:
            raise ValueError("A window has 512 samples.")
        self._sound[:-WINDOW] = self._sound[WINDOW:]
        np.multiply(frame, np.float32(1 / 32768), out=self._sound[-WINDOW:])
        self._input[0] = self._sound[_SHIFT:]
        self._input[1] = self._sound[:_SEEN]
        chances, self._state = self._session.run(
            None, {"input": self._input, "state": self._state, "sr": _RATE}
        )
        return float(chances.max())
