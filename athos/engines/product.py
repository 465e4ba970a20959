"""All that `manage.py up` runs, as data."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from athos.engines.errors import EngineError
from athos.engines.launcher import Engines, write_environment
from athos.engines.probes import http_get
from athos.engines.programs import Program

ROOT = Path(__file__).resolve().parents[2]
# Cold: what a worker was doing goes back to the queue, and its lease in the database runs out.
_COLD = signal.SIGQUIT
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the client library's own name
PORTS = {"web": 0, "example": 1, "metrics": 2}  # beside the port given


@dataclass(frozen=True)
class Plan:
    """One start: what depends on what. Tests pass small programs of their own."""

    engines: tuple[Program, ...]
    bootstrap: Callable[[], None]  # roles and database, once the engines serve
    install: Program | None  # migrations, static files, demo: runs to its end
    models: Program | None  # model weights: runs to its end, beside the above
    speech: Program | None  # needs `models`
    services: tuple[Program, ...]  # need `install`; the live worker waits for speech itself
    background: tuple[Program, ...]  # nobody waits for them: they leave the start its processors
    readiness: Callable[[], str]  # what is still missing, empty when ready
    # What takes work, then what it needs. The slowest of each wave together stay below 5 s; names
    # in no wave go first.
    stop_order: tuple[set[str], ...] = (
        {"speech"},
        {"postgres", "valkey"},
    )


def plan(engines: Engines, port: int) -> Plan:
    """The plan of the real product on `port` and its neighbours."""
    environment = engines.environment() | {
        "PUBLIC_URL": os.environ.get("PUBLIC_URL") or f"http://localhost:{port}",
        "METRICS_PORT": str(port + PORTS["metrics"]),
        "PYTHONUNBUFFERED": "1",
        # Celery's advice against root, at every start of every worker.
        "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore:You're running the worker"),
    }
    write_environment(engines.folders.var, environment)
    environment[METRICS_FOLDER] = str(_emptied(engines.folders.metrics))
    make = _Maker(engines, environment, port)
    own_speech = environment["SPEECH_URL"].startswith("http+unix://")
    return Plan(
        engines=tuple(engines.programs()),
        bootstrap=engines.bootstrap,
        install=make.install(),
        models=make.models() if own_speech else None,
        speech=make.speech() if own_speech else None,
        services=make.services(),
        background=make.background(),
        readiness=lambda: _not_ready(port),
    )


@dataclass(frozen=True)
class _Maker:
    engines: Engines
    environment: dict[str, str]
    port: int

    @property
    def _models_folder(self) -> str:
        return os.environ.get("MODELS_DIR") or str(self.engines.folders.var / "models")

    def _python(self, name: str, *arguments: str, **options: Any) -> Program:
        command = (sys.executable, *arguments)
        return Program(name=name, command=command, environment=self.environment, **options)

    def _manage(self, name: str, *arguments: str, **options: Any) -> Program:
        return self._python(name, str(ROOT / "manage.py"), *arguments, **options)

    def services(self) -> tuple[Program, ...]:
        example = self.example()
        return (self.web(), self.live(), *([example] if example else []))

    def background(self) -> tuple[Program, ...]:
        workers = (self.jobs("quick", processes=2), self.jobs("slow", processes=2))
        return (*workers, self.beat(), self.metrics())

    def install(self) -> Program:
        var = self.engines.folders.var
        demo = ("--demo", str(var / "demo.json"), "--base-url", self.environment["PUBLIC_URL"])
        return self._manage("install", "install", *demo)

    def models(self) -> Program:
        return self._python("models", "-m", "speech.assemble", "--models", self._models_folder)

    def speech(self) -> Program:
        socket = self.environment["SPEECH_URL"].removeprefix("http+unix://")
        arguments = ("-m", "speech", "--socket", socket, "--models", self._models_folder)
        return self._python(
            "speech",
            *arguments,
            "--die-with-parent",
            ready=lambda: http_get(self.environment["SPEECH_URL"], "/readyz", 1.0)[0] == 200,
            ready_within=180.0,
            stop_within=0.5,
        )

    def live(self) -> Program:
        # SIGTERM would wait for the calls to end.
        return self._manage("live", "live", stop_signal=signal.SIGINT, stop_within=1.5, niceness=-5)

    def web(self) -> Program:
        return self._manage(
            "web",
            "web",
            *("--port", str(self.port)),
            ready=lambda: http_get(f"http://127.0.0.1:{self.port}", "/healthz", 1.0)[0] == 200,
            stop_within=1.0,
        )

    def jobs(self, queue: str, *, processes: int) -> Program:
        """A worker per queue: the sending of a webhook never waits behind a transcription."""
        arguments = ("-m", "celery", "-q", "-A", "athos", "worker", "-n", f"{queue}@%h")
        size = ("-Q", queue, "--concurrency", str(processes), "-l", "INFO")
        return self._python(
            f"jobs-{queue}",
            *arguments,
            *size,
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            stop_signal=_COLD,
            stop_within=1.5,
            niceness=10,
        )

    def beat(self) -> Program:
        schedule = str(self.engines.folders.var / "beat-schedule")
        arguments = ("-m", "celery", "-q", "-A", "athos", "beat", "--pidfile", "", "-s", schedule)
        return self._python("beat", *arguments, "-l", "INFO", stop_within=1.0, niceness=10)

    def metrics(self) -> Program:
        return self._manage("metrics", "metrics", stop_within=1.0, niceness=10)

    def example(self) -> Program | None:
        script = ROOT / "examples/integrator/server.mjs"
        node = shutil.which("node")
        if not script.is_file():
            return None
        if node is None:
            raise EngineError("The example integrator needs Node 20 on the PATH.")
        return Program(
            name="example",
            command=(node, str(script), "--demo", str(self.engines.folders.var / "demo.json")),
            environment=self.environment | {"PORT": str(self.port + PORTS["example"])},
            stop_within=1.0,
        )


def _emptied(folder: Path) -> Path:
    """What the processes of the last start counted is no part of this one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _not_ready(port: int) -> str:
    status, body = http_get(f"http://127.0.0.1:{port}", "/readyz", 2.0)
    if status == 200:
        return ""
    return body.decode(errors="replace") if status == 503 else f"/readyz answers {status}"
