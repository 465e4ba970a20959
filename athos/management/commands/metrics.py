"""`manage.py metrics`: the metrics of all processes of this machine."""

import os
import signal
import threading
from argparse import ArgumentParser
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from athos.metrics import metrics_server

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Command(BaseCommand):
    help = "Serve GET /metrics for Prometheus, on loopback unless there is a METRICS_TOKEN."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1", help="the address to listen on")
        parser.add_argument("--port", type=int, default=settings.METRICS_PORT)

    def handle(self, *args: Any, bind: str, port: int, **options: Any) -> None:
        if not os.environ.get(FOLDER):
            raise CommandError(f"{FOLDER} names the folder that all processes count in.")
        if not settings.METRICS_TOKEN and not ip_address(bind).is_loopback:
            raise CommandError("Metrics are not public: set METRICS_TOKEN or bind to loopback.")
        server = metrics_server(address=bind, port=port, token=settings.METRICS_TOKEN)
        for number in (signal.SIGTERM, signal.SIGINT):
            # shutdown() waits for the loop that this handler interrupts
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        with server:
            server.serve_forever()
