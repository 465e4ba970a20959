"""Text to speech: Kokoro with 28 English voices, Hibari with one that is very fast.

Hibari's phonemizer writes the alphabet that Kokoro was trained on, so nothing else is needed.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from hibari import Hibari
from hibari.g2p import G2P

from speech.clauses import Clause
from speech.errors import BadRequest
from speech.sound import Samples, trimmed

LEADING_SILENCE = 0.02  # seconds kept before a word: a plosive begins with it
_MOST_TOKENS = 508


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that wait by spinning take the core from the live call (a third more CPU, measured).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Phonemizer:
    """Text to phonemes; British spelling rules are loaded for the first British voice."""

    def __init__(self, american: G2P) -> None:
        self._american = american

    @cached_property
    def _british(self) -> G2P:
        return G2P(british=True)

    def __call__(self, text: str, *, british: bool) -> str:
        phonemize = self._british if british else self._american
        return str(phonemize(text))


class Kokoro:
    """Kokoro 82M, int8. One clause at a time; a voice's first letter tells its accent."""

    def __init__(self, folder: Path, phonemizer: Phonemizer, *, threads: int = 2) -> None:
        self._session = session(folder / "model.onnx", threads)
        self._phonemizer = phonemizer
        self._vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))["vocab"]
        self._styles = {
            path.stem: np.fromfile(path, "<f4").reshape(-1, 256)
            for path in sorted((folder / "voices").glob("*.bin"))
        }

    @property
    def voices(self) -> list[str]:
        return list(self._styles)

    def warm(self) -> None:
        self._phonemizer("Yes.", british=True)
        self.say(Clause("Yes.", 0.1), voice="af_heart", speed=1.0)

    def say(self, clause: Clause, *, voice: str, speed: float) -> Samples:
        """24 kHz sound, leading silence cut, the clause's pause behind it."""
        inputs = self.inputs(self.phonemes(clause.text, voice), voice=voice, speed=speed)
        if inputs is None:
            return np.zeros(0, np.float32)
        sound = self._session.run(None, inputs)[0].ravel()
        return trimmed(sound, before=LEADING_SILENCE, after=clause.pause / speed)

    def phonemes(self, text: str, voice: str) -> str:
        return self._phonemizer(text, british=voice.startswith("b"))

    def known(self, phonemes: str) -> str:
        """Those the model was trained on; the rest are left unsaid."""
        return "".join(sign for sign in phonemes if sign in self._vocabulary)

    def inputs(self, phonemes: str, *, voice: str, speed: float) -> dict[str, Any] | None:
        """What the graph takes; None where there is nothing to say. One token a phoneme, with one
        of silence before and one behind them."""
        tokens = [self._vocabulary[sign] for sign in self.known(phonemes)][:_MOST_TOKENS]
        if not tokens:
            return None
        return {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": self._styles[voice][len(tokens) - 1 : len(tokens)],
            "speed": np.array([speed], np.float32),
        }


class HibariVoice:
    """Hibari: one American woman, some twenty milliseconds to the first sound."""

    voices = ["heart"]

    def __init__(self) -> None:
        self._hibari = Hibari(threads=1)
        self.phonemizer = Phonemizer(self._hibari.g2p)

    def warm(self) -> None:
        self.say(Clause("Sure, go ahead.", 0.1), voice="heart", speed=1.0)

    def say(self, clause: Clause, *, voice: str, speed: float) -> Samples:
        """24 kHz sound, leading silence cut, the clause's pause behind it. Always the same."""
        if voice not in self.voices:
            raise BadRequest("There is no such voice.", code="voice_not_found")
        phonemes = self.phonemizer(clause.text, british=False)
        if not phonemes:
            return np.zeros(0, np.float32)
        sound = self._hibari.from_phonemes(phonemes, speed, seed=7)
        return trimmed(sound, before=LEADING_SILENCE, after=clause.pause / speed)
