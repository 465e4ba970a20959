"""`python -m speech --socket PATH --models DIR`: serve until told to stop."""

import argparse
import asyncio
import ctypes
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from aiohttp import web

from speech.engines import Queues, load
from speech.server import SpeechServer
from speech.weights import WEIGHTS

NICENESS = 5  # below the live call, which shares these cores
SHUTDOWN_SECONDS = 5
_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8
_SOCKET_PATH_BYTES = 107  # the kernel's limit

log = logging.getLogger("speech")


class CannotServe(Exception):
    """The server cannot start. The text is for the person at the terminal."""


class _Facts(logging.Formatter):
    """A constant message with its facts behind it."""

    names = ("engine", "seconds", "path")

    def format(self, record: logging.LogRecord) -> str:
        facts = [f"{n}={getattr(record, n)}" for n in self.names if hasattr(record, n)]
        return " ".join(["speech:", super().format(record), *facts])


def main() -> int:
    arguments = _arguments()
    handler = logging.StreamHandler()
    handler.setFormatter(_Facts("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)
    _bound_arenas()
    if arguments.die_with_parent:
        _die_with_parent()
    try:
        with bound_socket(arguments.socket) as listener:
            loaded = asyncio.run(_serve(listener, arguments.models))
    except CannotServe as problem:
        log.error("cannot serve: %s", problem)
        return 1
    if not loaded:
        os._exit(0)  # the thread that loads cannot be stopped, and nobody waits for it
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m speech", description="Serve speech models.")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to listen on")
    parser.add_argument("--models", type=Path, required=True, help="folder made by speech.assemble")
    parser.add_argument("--die-with-parent", action="store_true", help="stop when the parent dies")
    return parser.parse_args()


def _bound_arenas() -> None:
    """Two malloc arenas for all threads: what a window of audio took is used again, not kept by
    each thread for itself."""
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _die_with_parent() -> None:
    """SIGTERM comes when the thread that started us ends; it may have ended already."""
    parent = os.getppid()
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent or parent == 1:
        sys.exit("The parent is gone.")


def _give_way() -> None:
    """Lower all threads; the engines' own were made while loading, which is not held back."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # a thread of the loading that ended just now
            os.setpriority(os.PRIO_PROCESS, int(thread.name), NICENESS)


@contextmanager
def bound_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on `path`, mode 0600. The lock tells a socket left behind from one in use."""
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
        raise CannotServe("The path of the socket is too long for the kernel.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise CannotServe("Another speech server holds this socket.") from problem
        if path.is_socket():
            path.unlink()
        elif path.exists():
            raise CannotServe("There is a file where the socket should be.")
        with socket.socket(socket.AF_UNIX) as listener:
            mask = os.umask(0o177)
            try:
                listener.bind(str(path))
            finally:
                os.umask(mask)
            try:
                yield listener
            finally:
                path.unlink(missing_ok=True)


async def _serve(listener: socket.socket, models: Path) -> bool:
    """Serve until a signal. Whether the models had been loaded by then."""
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    queues = Queues.make()
    server = SpeechServer(queues)
    runner = web.AppRunner(
        server.application(),
        access_log=None,
        handler_cancellation=True,  # who hangs up leaves the queue
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    await web.SockSite(runner, listener, backlog=128).start()
    loading = asyncio.create_task(_load(server, models))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            loading.result()  # a server that cannot load must not go on saying "not ready"
            await stopping
    finally:
        loading.cancel()
        stopping.cancel()
        await runner.cleanup()
        await queues.close()
        log.info("stopped")
    return server.engines is not None


async def _load(server: SpeechServer, models: Path) -> None:
    missing = [weight.name for weight in WEIGHTS if not (models / weight.name).is_file()]
    if missing:
        raise CannotServe(f"{missing[0]} is missing: run python -m speech.assemble first.")
    log.info("loading models")
    thread = ThreadPoolExecutor(1)  # of its own: a stop need not wait for the loop's threads
    server.engines = await asyncio.get_running_loop().run_in_executor(thread, load, models)
    thread.shutdown()
    _give_way()
    log.info("ready")


if __name__ == "__main__":
    sys.exit(main())
