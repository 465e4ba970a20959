"""Keeps programs running: a dead one starts again, a hopeless one ends all, stopping has an order.

One asyncio loop in the main thread (a parent-death signal follows the thread that forked).
"""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import STDOUT, Process
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from athos.engines.errors import EngineError
from athos.engines.output import ChildOutput
from athos.engines.programs import Program, popen_options, signal_group

STARTS = 5  # as many starts ...
WINDOW = 60.0  # ... within so many seconds are hopeless
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds before a restart
_POLL = 0.05


class Child:
    """One program and the task that keeps it running."""

    def __init__(self, program: Program, output: ChildOutput, say: Callable[[str], None]) -> None:
        self.program = program
        self.process: Process | None = None
        self.task: asyncio.Task[None] | None = None
        self._output, self._say = output, say
        self._stopping = asyncio.Event()
        self._starts: deque[float] = deque(maxlen=STARTS)

    async def keep_running(self) -> None:
        """Run, and run again. Ends when told to stop; raises EngineError when it is hopeless."""
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            self._starts.append(started)
            code = await self.run_once()
            if self._stopping.is_set():
                return
            if len(self._starts) == STARTS and time.monotonic() - self._starts[0] < WINDOW:
                raise EngineError(
                    f"{self.program.name} ended {STARTS} times within {WINDOW:.0f} s"
                    f" (last exit code {code}). {self.last_words()}"
                )
            if time.monotonic() - started > WINDOW:
                pause = _FIRST_PAUSE
            self._say(f"{self.program.name} ended (exit code {code}), starting it again")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def run_once(self) -> int:
        """Start it, wait for its end, and end whatever it left in its process group."""
        await asyncio.to_thread(self.program.prepare)
        if self._stopping.is_set():
            return 0
        # A pipe of our own: asyncio's would hold up wait() while a grandchild keeps it open.
        read_end, write_end = os.pipe()
        reading = asyncio.create_task(self._output.read(read_end))
        try:
            process = await asyncio.create_subprocess_exec(
                *self.program.command,
                stdout=write_end,
                stderr=STDOUT,
                **popen_options(self.program),
            )
        except OSError as error:
            raise EngineError(f"{self.program.name} can't be started: {error}") from error
        finally:
            os.close(write_end)
        self.process = process
        try:
            return await process.wait()
        finally:
            signal_group(process.pid, signal.SIGKILL)
            # Bounded: a grandchild in another group could hold the pipe open.
            await asyncio.wait({reading}, timeout=1.0)
            reading.cancel()

    async def stop(self, *, at_once: asyncio.Event) -> None:
        """The stop signal, then SIGKILL to the group after `stop_within` or when `at_once`."""
        self._stopping.set()
        self._output.hush()
        if self.task is None or self.task.done():
            return
        if self.process is None or self.process.returncode is not None:
            self.task.cancel()  # between two starts
        else:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.program.stop_signal)
        hurry = asyncio.create_task(at_once.wait())
        await asyncio.wait(
            {self.task, hurry},
            timeout=self.program.stop_within,
            return_when=asyncio.FIRST_COMPLETED,
        )
        hurry.cancel()
        if not self.task.done():
            if self.process is not None:
                signal_group(self.process.pid, signal.SIGKILL)
            await asyncio.wait({self.task}, timeout=2.0)
        self.task.cancel()

    def last_words(self) -> str:
        lines = list(self._output.last_lines) or ["(it said nothing)"]
        return "The last it said:\n" + "\n".join(f"    {line}" for line in lines)


class Supervisor:
    """The children of one `up`. `hopeless` completes with the error when one can't be kept up."""

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        self._logs, self._say = logs, say
        self._children: list[Child] = []
        self._stop_at_once = asyncio.Event()
        self.hopeless: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, program: Program) -> None:
        """Start a program for good and wait until it serves."""
        child = self._child(program)
        child.task = asyncio.create_task(child.keep_running(), name=program.name)
        child.task.add_done_callback(self._ended)
        self._children.append(child)
        deadline = time.monotonic() + program.ready_within
        while not await asyncio.to_thread(program.ready):
            if time.monotonic() > deadline:
                raise EngineError(
                    f"{program.name} was not ready after {program.ready_within:.0f} s. "
                    + child.last_words()
                )
            if child.task.done():
                await child.task  # raises why
            await asyncio.sleep(_POLL)

    async def run(self, program: Program) -> None:
        """Run a program to its end; anything but exit code 0 is an EngineError."""
        child = self._child(program)
        child.task = asyncio.create_task(self._once(child), name=program.name)
        self._children.append(child)
        try:
            await child.task
        finally:
            self._children.remove(child)

    async def stop(self, waves: Iterable[set[str]]) -> None:
        """End wave after wave by name; children named in none come first."""
        waves = list(waves)
        named = set().union(*waves)
        rest = {child.program.name for child in self._children} - named
        for wave in (rest, *waves):
            children = [child for child in self._children if child.program.name in wave]
            await asyncio.gather(*(child.stop(at_once=self._stop_at_once) for child in children))

    def hurry(self) -> None:
        """Whoever waits for a child to end now kills it."""
        self._stop_at_once.set()

    def _child(self, program: Program) -> Child:
        output = ChildOutput(program.name, self._logs, self._say)
        if program.quiet:
            output.hush()
        return Child(program, output, self._say)

    async def _once(self, child: Child) -> None:
        code = await child.run_once()
        if code != 0:
            raise EngineError(
                f"{child.program.name} failed with exit code {code}. {child.last_words()}"
            )

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or self.hopeless.done():
            return
        if error := task.exception():
            self.hopeless.set_exception(error)
