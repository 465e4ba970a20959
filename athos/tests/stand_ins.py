"""Small plans for `serve`, run as a process: `python -m athos.tests.stand_ins KIND FOLDER`."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from athos.engines.errors import EngineError
from athos.engines.product import Plan
from athos.engines.programs import Program
from athos.engines.up import only_one, serve

_SCRIPT = """
import os, signal, sys, time
name, folder = sys.argv[1], sys.argv[2]
def end(number, frame):
    open(f"{folder}/ended", "a").write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(f"{folder}/started", "a").write(f"{name} {os.getpid()}\\n")
print("hello from", name, flush=True)
while True:
    time.sleep(0.05)
"""
_STUBBORN = _SCRIPT.replace("sys.exit(0)", "pass")
_DYING = "print('I can not go on', flush=True); raise SystemExit(3)"
# A worker with a child of its own, as Celery's pool is.
_PARENT = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[3], *sys.argv[1:3]])
"""


def program(name: str, folder: Path, script: str = _SCRIPT, *, stop_within: float = 1.0) -> Program:
    command = (sys.executable, "-c", script, name, str(folder))
    return Program(name=name, command=command, stop_within=stop_within)


def make(kind: str, folder: Path) -> Plan:
    names = ("postgres", "speech", "web", "jobs-quick", "live")
    postgres, speech, web, jobs, live = (program(name, folder) for name in names)
    if kind == "dying":
        web = program("web", folder, _DYING)
    if kind == "patient":
        web = program("web", folder, _STUBBORN, stop_within=60.0)
    if kind == "stubborn":
        web, jobs = program("web", folder, _STUBBORN), program("jobs-quick", folder, _STUBBORN)
    if kind == "family":
        jobs = program("jobs-quick", folder, _PARENT + _SCRIPT)
        jobs = replace(jobs, command=(*jobs.command, _SCRIPT.replace("started", "pool")))
    install = Program(name="install", command=("true",))
    if kind == "refused":
        install = Program(name="install", command=("sh", "-c", "echo 'no such table'; exit 4"))
    return Plan(
        engines=(postgres,),
        bootstrap=lambda: None,
        install=install,
        models=None,
        speech=speech,
        services=(web, live),
        background=(jobs,),
        readiness=lambda: "",
    )


def main(kind: str, folder: Path) -> int:
    try:
        with only_one(folder):
            return asyncio.run(
                serve(make(kind, folder), folder, _say, on_ready=lambda: _say("READY"))
            )
    except EngineError as error:
        _say(str(error))
        return 1


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
