"""A customer's backend that keeps what it is sent, byte for byte."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.conftest import ROOT, Product, product_environment

ADD = """
from tenants.auth import caller_find
from webhooks.services import endpoint_create
key, url = {key!r}, {url!r}
print(endpoint_create(tenant=caller_find(key, None).tenant, url=url)[1])
"""


@dataclass(frozen=True)
class Delivery:
    headers: dict[str, str]  # names in lower case
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)


class Deliveries:
    def __init__(self, url: str) -> None:
        self.url = url
        self._came: queue.Queue[Delivery] = queue.Queue()

    def put(self, delivery: Delivery) -> None:
        self._came.put(delivery)

    def get(self, *, timeout: float) -> Delivery:
        return self._came.get(timeout=timeout)


@contextmanager
def receiver() -> Iterator[Deliveries]:
    """Answers 204 on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            deliveries.put(Delivery({n.lower(): v for n, v in self.headers.items()}, raw))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    deliveries = Deliveries(f"http://127.0.0.1:{server.server_port}/webhook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield deliveries
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def endpoint_add(product: Product, url: str) -> str:
    """Let the demo's calls be told there too; the endpoint's secret."""
    code = ADD.format(key=product.demo["apiKey"], url=url)
    command = [sys.executable, str(ROOT / "manage.py"), "shell", "--no-imports", "-c", code]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=product_environment(product.var),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()[-1]
