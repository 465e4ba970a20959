"""Who may use an engine next: live before batch, bounded, no later than wanted.

A request is one job; a job takes one or more turns on the engine (a window of audio, a clause of
text). Between turns others may come first, so a long batch job holds up nobody for longer than
one of its turns.
"""

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from speech.errors import Overloaded, TooLate
from speech.metrics import turn_came

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Priority(IntEnum):
    LIVE = 0
    BATCH = 1


@dataclass(eq=False, slots=True)
class Calls:
    """Whether a call is live somewhere on this machine, told by the work that comes in."""

    seconds: float = 30.0  # after its last request a call counts as over
    _last: float = -math.inf  # monotonic

    def heard(self) -> None:
        self._last = time.monotonic()

    def live(self) -> bool:
        return time.monotonic() - self._last < self.seconds


@dataclass(eq=False, slots=True)
class Job:
    """One request. `deadline` is on the loop's clock and bounds the wait for its first turn."""

    scheduler: "Scheduler"
    priority: Priority
    number: int
    deadline: float | None
    turns: int = 0

    async def run(self, work: Callable[[], Result]) -> Result:
        """Wait for a turn, then do the work in a thread. Cancelling gives up the wait at once;
        work already begun goes on to its end and holds its slot until then."""
        return await self.scheduler.run(self, work)

    def rank(self) -> tuple[int, int, int]:
        """Smaller goes first. Live jobs take turns; batch jobs finish in the order they came."""
        turns = self.turns if self.priority is Priority.LIVE else 0
        return (self.priority, turns, self.number)


@dataclass(eq=False, slots=True)
class _Waiter:
    job: Job
    granted: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Scheduler:
    """The turns of one engine: `slots` threads, of which batch jobs use `batch_slots` at most while
    a call is live. `gives_way_to`: while that engine has work, no batch job begins here."""

    def __init__(
        self,
        name: str,
        *,
        slots: int,
        batch_slots: int,
        live_jobs: int,
        batch_jobs: int,
        calls: Calls | None = None,
        gives_way_to: "Scheduler | None" = None,
    ) -> None:
        self.name = name
        self.slots = slots
        self.batch_slots = batch_slots
        self.calls = calls or Calls()
        self._gives_way_to = gives_way_to
        self._behind: list[Scheduler] = []  # those that give way to this one
        if gives_way_to:
            gives_way_to._behind.append(self)
        self.limits = {Priority.LIVE: live_jobs, Priority.BATCH: batch_jobs}
        self.jobs = dict.fromkeys(Priority, 0)
        self.running = dict.fromkeys(Priority, 0)
        self._numbers = itertools.count()
        self._waiting: list[_Waiter] = []
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix=name)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @contextmanager
    def job(self, priority: Priority, deadline: float | None = None) -> Iterator[Job]:
        """Admit a job, or raise Overloaded when as many of its kind are here as may be."""
        if self.jobs[priority] >= self.limits[priority]:
            raise Overloaded
        self.jobs[priority] += 1
        if priority is Priority.LIVE:
            self.calls.heard()
        try:
            yield Job(self, priority, next(self._numbers), deadline)
        finally:
            self.jobs[priority] -= 1
            for behind in self._behind:
                behind._grant()

    async def run(self, job: Job, work: Callable[[], Result]) -> Result:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        await self._turn(job)
        waited = loop.time() - asked
        turn_came(engine=self.name, priority=job.priority.name.lower(), seconds=waited)
        try:
            future = self._threads.submit(work)
        except BaseException:
            self._release(job)
            raise
        future.add_done_callback(lambda done: self._ended(loop, job, done))
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Wait for the work already begun."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    async def _turn(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        deadline = job.deadline if job.turns == 0 else None
        if deadline is not None and loop.time() >= deadline:
            raise TooLate
        waiter = _Waiter(job)
        self._waiting.append(waiter)
        self._grant()
        try:
            async with asyncio.timeout_at(deadline):
                await waiter.granted
        except BaseException as problem:
            self._withdraw(waiter)
            if isinstance(problem, TimeoutError):
                raise TooLate from None
            raise

    def _withdraw(self, waiter: _Waiter) -> None:
        """The wait ended without the work: leave the queue, or hand back a turn just given."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        else:
            self._release(waiter.job)

    def _grant(self) -> None:
        while sum(self.running.values()) < self.slots:
            may_run = [w for w in self._waiting if self._has_room(w.job)]
            if not may_run:
                return
            waiter = min(may_run, key=lambda w: w.job.rank())
            self._waiting.remove(waiter)
            waiter.job.turns += 1
            self.running[waiter.job.priority] += 1
            waiter.granted.set_result(None)

    def _has_room(self, job: Job) -> bool:
        if job.priority is Priority.LIVE:
            return True
        if self._gives_way_to and any(self._gives_way_to.jobs.values()):
            return False
        slots = self.batch_slots if self.calls.live() else self.slots
        return self.running[Priority.BATCH] < slots

    def _ended(self, loop: asyncio.AbstractEventLoop, job: Job, done: "Future[Result]") -> None:
        """In the worker's thread. The loop may be gone already when the server is stopping."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._release, job)

    def _release(self, job: Job) -> None:
        self.running[job.priority] -= 1
        self._grant()
