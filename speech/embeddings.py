"""Sentence vectors: MiniLM L6, int8."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from speech.voices import session

MOST_TOKENS = 256
DIMENSIONS = 384


class MiniLm:
    """Thread-safe. Vectors have length 1, so a dot product is their cosine."""

    def __init__(self, folder: Path) -> None:
        self._session = session(folder / "model.onnx", threads=1)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self._tokenizer.no_padding()

    def warm(self) -> None:
        self.embed(["Sure, go ahead.", "What does it cost?"])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row per text. Each runs alone: the int8 activations of a batch share one scale, so
        that a text's vector would depend on its neighbours."""
        return np.stack([self._run(text) for text in texts])

    def _run(self, text: str) -> NDArray[np.float32]:
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        hidden = self._session.run(
            None,
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            },
        )[0]
        mean = hidden[0].mean(0)
        vector: NDArray[np.float32] = mean / np.linalg.norm(mean)
        return vector
