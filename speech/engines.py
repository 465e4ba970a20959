"""All engines of this process, each with the queue before it."""

import ctypes
import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from speech.embeddings import MiniLm
from speech.scheduler import Scheduler
from speech.voices import HibariVoice, Kokoro
from speech.whisper import CALLS, Whisper

log = logging.getLogger(__name__)


class _Warmable(Protocol):
    def warm(self) -> None: ...


Engine = TypeVar("Engine", bound=_Warmable)


@dataclass(frozen=True, slots=True)
class Engines:
    whisper: Whisper
    kokoro: Kokoro
    hibari: HibariVoice
    minilm: MiniLm


@dataclass(frozen=True, slots=True)
class Queues:
    """What waits for each engine. Batch work never takes the last thread of Whisper."""

    whisper: Scheduler
    kokoro: Scheduler
    hibari: Scheduler
    minilm: Scheduler

    @classmethod
    def make(cls, *, live_jobs: int = 16, batch_jobs: int = 4) -> "Queues":
        def queue(name: str, slots: int) -> Scheduler:
            return Scheduler(
                name, slots=slots, batch_slots=1, live_jobs=live_jobs, batch_jobs=batch_jobs
            )

        return cls(
            queue("whisper", CALLS), queue("kokoro", 1), queue("hibari", 1), queue("minilm", 1)
        )

    async def close(self) -> None:
        for scheduler in (self.whisper, self.kokoro, self.hibari, self.minilm):
            await scheduler.close()


def load(models: Path) -> Engines:
    """Load and warm everything; takes seconds, so not on the event loop."""
    hibari = _timed("hibari", HibariVoice)
    kokoro = _timed("kokoro", lambda: Kokoro(models / "kokoro", hibari.phonemizer))
    whisper = _timed("whisper-base", lambda: Whisper(models / "whisper-base"))
    minilm = _timed("minilm", lambda: MiniLm(models / "minilm"))
    gc.collect()
    gc.freeze()  # lexicons of a million objects: never walked again
    ctypes.CDLL(None).malloc_trim(0)  # the weights as read, before they were packed
    return Engines(whisper, kokoro, hibari, minilm)


def _timed(name: str, make: Callable[[], Engine]) -> Engine:
    started = time.monotonic()
    engine = make()
    engine.warm()
    log.info(
        "engine ready", extra={"engine": name, "seconds": round(time.monotonic() - started, 2)}
    )
    return engine
