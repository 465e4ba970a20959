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
from speech.scheduler import Calls, Scheduler
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
    """What waits for each engine. Batch work leaves a thread of Whisper to a live call, and lines
    made ahead wait while somebody waits for a transcript."""

    whisper: Scheduler
    kokoro: Scheduler
    hibari: Scheduler
    minilm: Scheduler

    @classmethod
    def make(cls, *, live_jobs: int = 16, batch_jobs: int = 8) -> "Queues":
        calls = Calls()

        def queue(name: str, slots: int = 1, behind: Scheduler | None = None) -> Scheduler:
            return Scheduler(
                name,
                slots=slots,
                batch_slots=1,
                live_jobs=live_jobs,
                batch_jobs=batch_jobs,
                calls=calls,
                gives_way_to=behind,
            )

        whisper = queue("whisper", CALLS)
        kokoro, hibari = (queue(name, behind=whisper) for name in ("kokoro", "hibari"))
        return cls(whisper, kokoro, hibari, queue("minilm"))

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
