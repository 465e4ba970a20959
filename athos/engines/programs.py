"""A program to run as a child, and how to start it so that it never outlives its parent."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _nothing() -> None:
    pass


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Account:
    """Another account of this machine to run a program as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """One child process. `prepare` runs before every start, `ready` answers "does it serve?"."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)  # on top of the parent's
    prepare: Callable[[], None] = _nothing
    ready: Callable[[], bool] = _always
    ready_within: float = 60.0  # seconds
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within: float = 2.0  # seconds from the stop signal to SIGKILL
    death_signal: signal.Signals = signal.SIGKILL  # when the parent dies
    niceness: int = 0  # below 0 only where the kernel allows it, else as if it were 0
    account: Account | None = None
    quiet: bool = False  # its output goes to its log file only


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The parent's environment without libpq's variables (PGHOST and the like), plus `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PG") or k == "PG_BIN"}
    return kept | dict(extra)


def popen_options(program: Program) -> dict[str, Any]:
    """Keyword arguments for Popen: own session, own account, dies with this process."""
    options: dict[str, Any] = {
        "env": clean_environment(program.environment),
        "stdin": subprocess.DEVNULL,
        "start_new_session": True,  # a process group of its own, so that all of it can be ended
        "preexec_fn": _before_exec(program),
    }
    if program.account:
        options |= {"user": program.account.uid, "group": program.account.gid, "extra_groups": []}
    return options


def start(program: Program, output: IO[bytes] | int) -> "subprocess.Popen[bytes]":
    """Start it. Call this from the main thread: a parent-death signal follows the thread."""
    program.prepare()
    options = popen_options(program)
    return subprocess.Popen(program.command, stdout=output, stderr=subprocess.STDOUT, **options)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send to the whole process group of a child started here; one already gone is fine."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # macOS answers EPERM for a group of zombies


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> None:
    """For a forked child: end when the process that forked it ends. Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal))


def command_line(pid: int) -> str:
    """What a process was started as, or an empty string when there is none."""
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    found = subprocess.run(  # macOS
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def _before_exec(program: Program) -> Callable[[], None]:
    parent = os.getpid()

    def before_exec() -> None:
        # Runs after setuid, which would clear the parent-death signal.
        if program.niceness:
            with suppress(PermissionError):
                os.nice(program.niceness)
        die_with_parent(program.death_signal)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)

    return before_exec
