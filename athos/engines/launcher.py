"""The engines of one `var` folder: which ones are ours to run, and the environment they make."""

import os
import subprocess
import time
from pathlib import Path

from athos.engines.errors import EngineError
from athos.engines.folders import Folders
from athos.engines.postgres import Postgres
from athos.engines.programs import Program, signal_group, start
from athos.engines.secret_values import secrets_load, write_private
from athos.engines.valkey import Valkey

_POLL = 0.05  # seconds between two looks at a starting engine


class Engines:
    """PostgreSQL and Valkey under `var`, each replaced by DATABASE_URL or REDIS_URL when set."""

    def __init__(self, var: Path, durable: bool) -> None:
        self.folders = Folders(var.resolve())
        self._outside = {
            name: os.environ[name]
            for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")
            if os.environ.get(name)
        }
        if ("DATABASE_URL" in self._outside) != ("DATABASE_OWNER_URL" in self._outside):
            raise EngineError("Set both DATABASE_URL and DATABASE_OWNER_URL, or neither.")
        self.postgres = None if "DATABASE_URL" in self._outside else Postgres(self.folders, durable)
        self.valkey = None if "REDIS_URL" in self._outside else Valkey(self.folders, durable)
        self._running: list[tuple[Program, subprocess.Popen[bytes]]] = []

    def programs(self) -> list[Program]:
        """What must run, for a supervisor that starts it itself."""
        return [engine.program() for engine in (self.postgres, self.valkey) if engine]

    def environment(self) -> dict[str, str]:
        """What every process of the product needs, secrets included."""
        environment = {"ATHOS_EMBEDDED": "1", "ATHOS_VAR": str(self.folders.var)}
        for name, value in secrets_load(self.folders.var).items():
            environment[name] = os.environ.get(name) or value
        if self.postgres:
            environment["DATABASE_URL"] = self.postgres.url("athos_app")
            environment["DATABASE_OWNER_URL"] = self.postgres.url("athos_owner")
        if self.valkey:
            environment["REDIS_URL"] = self.valkey.url
        speech = self.folders.sockets / "speech.sock"
        environment["SPEECH_URL"] = os.environ.get("SPEECH_URL") or f"http+unix://{speech}"
        return environment | self._outside

    def bootstrap(self) -> None:
        """Roles and database, once PostgreSQL answers; ours only."""
        if self.postgres:
            self.postgres.bootstrap()

    def start(self) -> dict[str, str]:
        """Start them, wait until they serve, and return the environment for other processes."""
        self.folders.create()
        try:
            self._running = [(program, self._launch(program)) for program in self.programs()]
            for program, process in self._running:
                self._wait_ready(program, process)
            self.bootstrap()
        except BaseException:
            self.stop()
            raise
        environment = self.environment()
        write_environment(self.folders.var, environment)
        return environment

    def stop(self) -> None:
        """End them in reverse order; what doesn't end in time is killed. Safe to call twice."""
        for program, process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(program.stop_signal)
                try:
                    process.wait(program.stop_within)
                except subprocess.TimeoutExpired:
                    signal_group(process.pid, program.death_signal.SIGKILL)
                    process.wait()
        self._running = []

    def _launch(self, program: Program) -> "subprocess.Popen[bytes]":
        with (self.folders.logs / f"{program.name}.log").open("ab") as output:
            return start(program, output.fileno())

    def _wait_ready(self, program: Program, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + program.ready_within
        while not program.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                log = self.folders.logs / f"{program.name}.log"
                raise EngineError(f"{program.name} did not start; the end of {log}:\n{_tail(log)}")
            time.sleep(_POLL)


def write_environment(var: Path, environment: dict[str, str]) -> None:
    """`var/embedded.env`, which settings.py reads for processes started by hand."""
    lines = [f"{name}={value}\n" for name, value in sorted(environment.items())]
    write_private(var / "embedded.env", "".join(lines))


def _tail(log: Path, size: int = 2000) -> str:
    return log.read_bytes()[-size:].decode(errors="replace").strip()
