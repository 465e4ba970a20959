"""Sentence vectors from an OpenAI-compatible `/embeddings`."""

import base64
from collections.abc import Sequence

import numpy as np

from calls.ports import ProviderUnavailable, Vectors
from calls.providers.speech_client import Priority, SpeechClient

TEXTS = 128  # per request
SECONDS = 20.0


class OpenAIEmbedder:
    def __init__(
        self, client: SpeechClient, *, model: str = "minilm", priority: Priority = "live"
    ) -> None:
        self._client = client
        self._model = model
        self._priority: Priority = priority

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector per text, in order."""
        rows: list[Vectors] = []
        for start in range(0, len(texts), TEXTS):
            rows += await self._some(list(texts[start : start + TEXTS]))
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)

    async def _some(self, texts: list[str]) -> list[Vectors]:
        body = {"model": self._model, "input": texts, "encoding_format": "base64"}
        answer = await self._client.post(
            "/embeddings", body=body, priority=self._priority, seconds=SECONDS
        )
        try:
            data = sorted(answer["data"], key=lambda item: int(item["index"]))
            rows = [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in data]
        except (KeyError, TypeError, ValueError) as problem:
            raise ProviderUnavailable("The embeddings have an unknown form.") from problem
        if len(rows) != len(texts):
            raise ProviderUnavailable("The embeddings are not as many as the texts.")
        return [(row / np.linalg.norm(row)).astype(np.float32) for row in rows]
