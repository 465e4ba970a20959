"""One start of a plan, from the first engine to the last goodbye."""

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from athos.engines.errors import EngineError
from athos.engines.probes import port_is_free
from athos.engines.product import PORTS, Plan
from athos.engines.programs import Program
from athos.engines.supervisor import Supervisor

_READY_WITHIN = 90.0  # seconds from all started to /readyz


@contextlib.contextmanager
def only_one(var: Path) -> Iterator[None]:
    """Hold the folder. The lock goes with the process, however it ends."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise EngineError(
                f"{var} is in use by a running `up` (pid {lock.read().strip() or 'unknown'}):"
                " end that one, or set ATHOS_VAR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def check_ports(port: int) -> None:
    """Refuse before anything starts when one of our ports is taken."""
    for name, offset in PORTS.items():
        if not port_is_free(port + offset):
            raise EngineError(
                f"Port {port + offset} on 127.0.0.1 ({name}) is taken:"
                f" choose others with `make run PORT={port + 100}`."
            )


async def serve(
    plan: Plan, logs: Path, say: Callable[[str], None], on_ready: Callable[[], None]
) -> int:
    """Start all, keep all, stop all. 0 after Ctrl-C or SIGTERM, 1 when something can't be kept."""
    supervisor = Supervisor(logs, say)
    asked_to_stop = asyncio.Event()

    def stop_or_hurry() -> None:
        if asked_to_stop.is_set():
            supervisor.hurry()
        asked_to_stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop_or_hurry)
    starting = asyncio.create_task(_start(plan, supervisor, say))
    waiting = asyncio.create_task(asked_to_stop.wait())
    code = 0
    try:
        if await _first_of(starting, waiting, supervisor.hopeless) is starting:
            on_ready()
            await _first_of(waiting, supervisor.hopeless)
    except* EngineError as errors:
        say(str(_innermost(errors)))
        code = 1
    finally:
        say("Stopping")
        starting.cancel()
        waiting.cancel()
        await supervisor.stop(plan.stop_order)
        await asyncio.gather(starting, waiting, return_exceptions=True)
        if supervisor.hopeless.done():
            supervisor.hopeless.exception()  # seen
    return code


async def _first_of(*futures: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """The one that is done first; its exception, if it has one, is raised."""
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()
    return next(future for future in futures if future in done)


async def _start(plan: Plan, supervisor: Supervisor, say: Callable[[str], None]) -> None:
    began = time.monotonic()

    def tell(what: str) -> None:
        say(f"{what} ({time.monotonic() - began:.1f} s)")

    async def together(programs: Sequence[Program]) -> None:
        async with asyncio.TaskGroup() as group:
            for program in programs:
                group.create_task(supervisor.start(program))

    async def engines_then_services() -> None:
        await together(plan.engines)
        await asyncio.to_thread(plan.bootstrap)
        tell("Engines serve")
        if plan.install:
            await supervisor.run(plan.install)
            tell("Database and pages are up to date")
        await together(plan.services)
        tell("Services run")

    async def speech() -> None:
        if plan.models:
            await supervisor.run(plan.models)
        if plan.speech:
            await supervisor.start(plan.speech)
            tell("Speech is warm")

    async with asyncio.TaskGroup() as group:
        group.create_task(engines_then_services())
        group.create_task(speech())
    await _until_ready(plan)
    await together(plan.background)
    tell("Ready")


async def _until_ready(plan: Plan) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while missing := await asyncio.to_thread(plan.readiness):
        if time.monotonic() > deadline:
            raise EngineError(f"Not ready after {_READY_WITHIN:.0f} s: {missing}")
        await asyncio.sleep(0.2)


def _innermost(errors: BaseExceptionGroup[EngineError]) -> EngineError:
    for error in errors.exceptions:
        return _innermost(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")
