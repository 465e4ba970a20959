"""A customer's backend that keeps what it is sent, byte for byte."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

from tests.conftest import Product


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


@contextmanager
def endpoint_added(product: Product, url: str) -> Iterator[str]:
    """The demo's calls are told there too; the endpoint's secret."""
    base = f"{product.demo['baseUrl']}/api/external/v1/webhook-endpoints"
    headers = {
        "Authorization": f"Bearer {product.demo['apiKey']}",
        "Content-Type": "application/json",
    }
    body = json.dumps({"url": url}).encode()
    with urlopen(Request(base, body, headers, method="POST"), timeout=15) as answer:
        endpoint = json.loads(answer.read())
    try:
        yield endpoint["secret"]
    finally:
        urlopen(Request(f"{base}/{endpoint['id']}", headers=headers, method="DELETE"), timeout=15)
