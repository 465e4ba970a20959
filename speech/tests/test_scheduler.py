"""The queue before an engine, without any engine."""

import asyncio
import threading

import pytest

from speech.errors import Overloaded, TooLate
from speech.scheduler import Calls, Priority, Scheduler

SOON = 30.0  # seconds; nothing here should take one


class Work:
    """Work that runs until it is let go, and notes when it began."""

    def __init__(self, name: str, begun: list[str]) -> None:
        self.name, self.begun, self.go = name, begun, threading.Event()

    def __call__(self) -> str:
        self.begun.append(self.name)
        assert self.go.wait(SOON)
        return self.name


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0.01)


@pytest.fixture
async def one_slot():
    scheduler = Scheduler("test", slots=1, batch_slots=1, live_jobs=4, batch_jobs=2)
    yield scheduler
    await scheduler.close()


async def submit(scheduler: Scheduler, priority: Priority, work, deadline: float | None = None):
    with scheduler.job(priority, deadline) as job:
        return await job.run(work)


async def test_live_work_goes_before_batch_work_that_came_first(one_slot):
    begun: list[str] = []
    works = [Work(name, begun) for name in ("first", "batch", "live")]
    kinds = (Priority.LIVE, Priority.BATCH, Priority.LIVE)
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        for work, kind in zip(works, kinds, strict=True):
            tasks.create_task(submit(one_slot, kind, work))
            await settled()
        for work in works:
            work.go.set()
    assert begun == ["first", "live", "batch"]


async def test_a_live_piece_comes_between_the_windows_of_a_batch_job(one_slot):
    begun: list[str] = []
    windows = [Work(f"window {number}", begun) for number in range(3)]
    live = Work("live", begun)
    live.go.set()

    async def transcript() -> None:
        with one_slot.job(Priority.BATCH) as job:
            for window in windows:
                await job.run(window)

    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        tasks.create_task(transcript())
        await settled()
        tasks.create_task(submit(one_slot, Priority.LIVE, live))
        await settled()
        for window in windows:
            window.go.set()
    assert begun == ["window 0", "live", "window 1", "window 2"]


async def test_a_first_clause_goes_before_the_second_clause_of_another(one_slot):
    begun: list[str] = []
    lines = {name: [Work(f"{name}{n}", begun) for n in range(2)] for name in "ab"}

    async def line(works: list[Work]) -> None:
        with one_slot.job(Priority.LIVE) as job:
            for work in works:
                await job.run(work)

    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        for works in lines.values():
            tasks.create_task(line(works))
            await settled()
        for works in lines.values():
            for work in works:
                work.go.set()
    assert begun == ["a0", "b0", "a1", "b1"]


async def test_batch_work_leaves_a_slot_free_while_a_call_is_live():
    scheduler = Scheduler("test", slots=2, batch_slots=1, live_jobs=4, batch_jobs=4)
    scheduler.calls.heard()
    begun: list[str] = []
    works = [Work(name, begun) for name in ("batch 1", "batch 2", "live")]
    kinds = (Priority.BATCH, Priority.BATCH, Priority.LIVE)
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        for work, kind in zip(works, kinds, strict=True):
            tasks.create_task(submit(scheduler, kind, work))
        await settled()
        assert begun == ["batch 1", "live"]
        for work in works:
            work.go.set()
    await scheduler.close()


async def test_more_jobs_than_allowed_are_refused_at_once(one_slot):
    with one_slot.job(Priority.BATCH), one_slot.job(Priority.BATCH):
        with pytest.raises(Overloaded), one_slot.job(Priority.BATCH):
            pass
        with one_slot.job(Priority.LIVE):
            pass  # the other kind has room
    with one_slot.job(Priority.BATCH):
        pass  # and those that ended count no longer


async def test_a_job_past_its_deadline_is_not_begun(one_slot):
    begun: list[str] = []
    first, late = Work("first", begun), Work("late", begun)
    async with asyncio.timeout(SOON):
        running = asyncio.create_task(submit(one_slot, Priority.LIVE, first))
        await settled()
        soon = asyncio.get_running_loop().time() + 0.05
        with pytest.raises(TooLate):
            await submit(one_slot, Priority.LIVE, late, deadline=soon)
        assert one_slot.waiting == 0
        first.go.set()
        await running
    assert begun == ["first"]


async def test_a_cancelled_job_leaves_the_queue(one_slot):
    begun: list[str] = []
    first, second, third = (Work(name, begun) for name in ("first", "second", "third"))
    async with asyncio.timeout(SOON):
        running = [
            asyncio.create_task(submit(one_slot, Priority.LIVE, work))
            for work in (first, second, third)
        ]
        await settled()
        running[1].cancel()
        await settled()
        assert one_slot.waiting == 1
        for work in (first, third):
            work.go.set()
        await asyncio.wait(running)
    assert begun == ["first", "third"]
    assert running[1].cancelled()


async def test_cancelled_work_holds_its_slot_until_it_has_ended(one_slot):
    begun: list[str] = []
    first, second = Work("first", begun), Work("second", begun)
    second.go.set()
    async with asyncio.timeout(SOON):
        running = asyncio.create_task(submit(one_slot, Priority.LIVE, first))
        await settled()
        running.cancel()
        waiting = asyncio.create_task(submit(one_slot, Priority.LIVE, second))
        await settled()
        assert begun == ["first"]  # the thread is still at it
        first.go.set()
        assert await waiting == "second"


async def test_a_turn_given_to_a_job_just_cancelled_goes_to_the_next(one_slot, monkeypatch):
    begun: list[str] = []
    first, second, third = (Work(name, begun) for name in ("first", "second", "third"))
    for work in (first, third):
        work.go.set()
    release = one_slot._release

    def release_and_cancel(job) -> None:
        """The turn is given, and its owner cancelled before it can take it."""
        monkeypatch.undo()
        release(job)
        waiting.cancel()

    monkeypatch.setattr(one_slot, "_release", release_and_cancel)
    async with asyncio.timeout(SOON):
        with one_slot.job(Priority.LIVE) as job:
            waiting = asyncio.create_task(submit(one_slot, Priority.LIVE, second))
            await job.run(first)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await submit(one_slot, Priority.LIVE, third) == "third"
    assert begun == ["first", "third"]


async def test_a_failure_reaches_the_caller_and_frees_the_slot(one_slot):
    def broken() -> None:
        raise ZeroDivisionError

    async with asyncio.timeout(SOON):
        with pytest.raises(ZeroDivisionError):
            await submit(one_slot, Priority.LIVE, broken)
        assert await submit(one_slot, Priority.LIVE, lambda: "well") == "well"


async def test_batch_work_uses_every_thread_until_a_call_is_live():
    calls = Calls()
    scheduler = Scheduler("t", slots=2, batch_slots=1, live_jobs=4, batch_jobs=4, calls=calls)
    begun: list[str] = []
    works = [Work(name, begun) for name in ("one", "two", "three")]
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        for work in works:
            tasks.create_task(submit(scheduler, Priority.BATCH, work))
        await settled()
        assert begun == ["one", "two"]
        calls.heard()
        works[0].go.set()
        await settled()
        assert begun == ["one", "two"], "a call is live: one thread is enough"
        works[1].go.set()
        await settled()
        assert begun == ["one", "two", "three"]
        works[2].go.set()
    await scheduler.close()


async def test_lines_made_ahead_wait_while_somebody_waits_for_a_transcript():
    whisper = Scheduler("w", slots=1, batch_slots=1, live_jobs=4, batch_jobs=4)
    voice = Scheduler("v", slots=1, batch_slots=1, live_jobs=4, batch_jobs=4, gives_way_to=whisper)
    begun: list[str] = []
    transcript, line, answer = (Work(name, begun) for name in ("transcript", "line", "answer"))
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        tasks.create_task(submit(whisper, Priority.BATCH, transcript))
        await settled()
        tasks.create_task(submit(voice, Priority.BATCH, line))
        tasks.create_task(submit(voice, Priority.LIVE, answer))
        await settled()
        assert begun == ["transcript", "answer"], "what somebody listens to does not wait"
        answer.go.set()
        transcript.go.set()
        await settled()
        assert begun == ["transcript", "answer", "line"]
        line.go.set()
    await whisper.close()
    await voice.close()
