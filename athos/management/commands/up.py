"""`manage.py up`: the whole product on this machine, supervised, until Ctrl-C."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from athos.engines.errors import EngineError
from athos.engines.launcher import Engines
from athos.engines.probes import port_is_free
from athos.engines.product import PORTS, plan
from athos.engines.up import check_ports, only_one, serve


class Command(BaseCommand):
    help = "Start engines, migrations, demo data and every process; Ctrl-C ends them all."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="web; +1 example, +2 metrics")

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        os.chdir(settings.BASE_DIR)  # celery and daphne import from here
        var: Path = settings.VAR_DIR
        try:
            with only_one(var):
                check_ports(port)
                engines = Engines(var, durable=True)
                engines.folders.create()
                code = asyncio.run(
                    serve(
                        plan(engines, port),
                        engines.folders.logs,
                        _say,
                        lambda: _say(_welcome(var, port)),
                    )
                )
        except EngineError as error:
            _say(str(error))
            code = 1
        sys.exit(code)


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError:  # the terminal is gone; the log files are not
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


def _welcome(var: Path, port: int) -> str:
    demo = var / "demo.json"
    facts = json.loads(demo.read_text()) if demo.is_file() else {}
    web = f"http://localhost:{port}"
    lines = ["", f"  Athos is ready          {web}"]
    if "dashboardUrl" in facts:
        lines.append(f"  Dashboard               {facts['dashboardUrl']}")
    if "exampleUrl" in facts:
        lines.append(f"  Example integrator      {facts['exampleUrl']}")
    if not port_is_free(port + PORTS["metrics"]):
        lines.append(
            f"  Metrics                 http://localhost:{port + PORTS['metrics']}/metrics"
        )
    if facts:
        lines.append(f"  Log-in and API keys     {demo}")
    lines += [f"  Logs                    {var / 'log'}", "  Ctrl-C ends it all.", ""]
    return "\n".join(lines)
