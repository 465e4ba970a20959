"""The rep's words: a rolling memory of the microphone and the passes over it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from calls.live.events import Pcm

RATE = 16_000
MEMORY_SECONDS = 60.0

Recognise = Callable[[Pcm, str], Awaitable[str]]
"""(16 kHz audio, text before it) -> words. Raises what the provider raises."""


class Ear:
    """The last minute of the microphone at 16 kHz, addressed by time of the call."""

    def __init__(self, memory: float = MEMORY_SECONDS) -> None:
        self._capacity = int(memory * RATE)
        self._chunks: list[Pcm] = []
        self._held = 0
        self._end = 0.0

    def hear(self, at: float, pcm: Pcm) -> None:
        """Append audio that starts at `at`; a hole before it is filled with silence."""
        hole = round((at - self._end) * RATE)
        if self._chunks and 0 < hole <= self._capacity:
            self._append(np.zeros(hole, np.int16))
        self._append(pcm)
        self._end = at + len(pcm) / RATE

    def _append(self, pcm: Pcm) -> None:
        self._chunks.append(pcm)
        self._held += len(pcm)
        while self._held - len(self._chunks[0]) >= self._capacity:
            self._held -= len(self._chunks.pop(0))

    def between(self, start: float, end: float) -> Pcm:
        """What was heard from `start` to `end`, as far as it is still held."""
        wanted = int((self._end - start) * RATE)
        tail: list[Pcm] = []
        have = 0
        for chunk in reversed(self._chunks):
            if have >= wanted:
                break
            tail.append(chunk)
            have += len(chunk)
        if not tail:
            return np.empty(0, np.int16)
        pcm = np.concatenate(tail[::-1])
        cut = max(0, round((self._end - end) * RATE))
        return pcm[max(0, have - wanted) : len(pcm) - cut]


class WordStage:
    """At most one pass at a time per piece; a newer request replaces the older."""

    def __init__(
        self,
        ear: Ear,
        recognise: Recognise,
        on_words: Callable[[int, float, str], None],
        on_failure: Callable[[int, float, Exception], None],
    ) -> None:
        self._ear = ear
        self._recognise = recognise
        self._on_words = on_words
        self._on_failure = on_failure
        self._passes: dict[int, asyncio.Task[None]] = {}
        self._texts: dict[int, str] = {}

    def start(self, piece: int, start: float, end: float, before: Sequence[int]) -> None:
        """Recognise `start`..`end` as this piece; `before` are the pieces of the turn before it."""
        self.discard(piece)
        pcm = self._ear.between(start - 0.1, end)
        context = self.text(before)
        task = asyncio.create_task(self._run(piece, end, pcm, context), name=f"words-{piece}")
        self._passes[piece] = task

    async def _run(self, piece: int, end: float, pcm: Pcm, context: str) -> None:
        try:
            text = await self._recognise(pcm, context)
        except Exception as failure:  # noqa: BLE001 - the rim of this task; the session decides
            self._on_failure(piece, end, failure)
            return
        finally:
            if self._passes.get(piece) is asyncio.current_task():
                del self._passes[piece]
        self._texts[piece] = text
        self._on_words(piece, end, text)

    def discard(self, piece: int) -> None:
        """Speech came back: these words are not needed any more."""
        task = self._passes.pop(piece, None)
        if task is not None:
            task.cancel()
        self._texts.pop(piece, None)

    def text(self, pieces: Sequence[int]) -> str:
        return " ".join(filter(None, (self._texts.get(piece, "") for piece in pieces)))

    def forget(self, pieces: Sequence[int]) -> None:
        for piece in pieces:
            self.discard(piece)

    async def close(self) -> None:
        tasks = list(self._passes.values())
        self._passes.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
