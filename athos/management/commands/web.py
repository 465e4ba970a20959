"""`manage.py web`: a process that serves pages, REST and signalling."""

import gc
import sys
from typing import Any

from daphne.endpoints import build_endpoint_description_strings
from django.core.management.base import BaseCommand, CommandParser

from athos.asgi import application
from athos.edge_server import EdgeServer
from tenants.request_log import log

LOG_SECONDS = 5.0  # for the last rows of the request log, when the process stops


class Command(BaseCommand):
    help = "Serve pages, the REST API and signalling until stopped."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1", help="the address to listen on")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, bind: str, port: int, **options: Any) -> None:
        server = EdgeServer(application, build_endpoint_description_strings(host=bind, port=port))
        log.start()
        gc.collect()
        gc.freeze()  # what was imported: to walk it holds up all answers for 0.1 s
        try:
            server.run()
        finally:
            log.stop(seconds=LOG_SECONDS)
        if server.abort_start:  # the port is taken, say; it was logged
            sys.exit(1)
