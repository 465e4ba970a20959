"""Web processes as they are deployed, on the test's engines, and raw sockets to them."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_WITHIN = 60.0  # seconds
ANSWER_WITHIN = 15.0


@dataclass(frozen=True)
class Answer:
    """One answer off the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The field's one value; empty when there is none."""
        values = [value for field, value in self.headers if field.lower() == name.lower()]
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else ""

    def json(self) -> dict:
        return json.loads(self.body)


@dataclass
class WebProcess:
    """`manage.py web` on a port of its own."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def connect(self) -> "Wire":
        return Wire(socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_WITHIN))

    def ask(self, sent: bytes) -> Answer:
        with self.connect() as wire:
            wire.send(sent)
            return wire.answer()

    def get(self, path: str) -> Answer:
        return self.ask(request("GET", path))


class Wire:
    """A connection that reads one answer after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._read = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *failure: object) -> None:
        self.connection.close()

    def send(self, data: bytes) -> None:
        """A server that refused already may have stopped listening: that is not the test."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.sendall(data)

    def answer(self, method: str = "GET") -> Answer:
        """The next answer, framed as HTTP/1.1 says."""
        head = self._until(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        status = int(status_line.split(" ")[1])
        if status == 100:
            return Answer(100, [], b"")
        headers = [(name, value.strip()) for name, _, value in (x.partition(":") for x in lines)]
        found = Answer(status, headers, b"")
        return Answer(status, headers, self._body(found, method))

    def is_closed(self) -> bool:
        """True when the server ends the connection. An open one costs the whole wait."""
        try:
            return self.connection.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True

    def _body(self, head: Answer, method: str) -> bytes:
        if method == "HEAD" or head.status in (101, 204, 304):
            return b""
        if head.header("Transfer-Encoding") == "chunked":
            whole = b""
            while size := int(self._until(b"\r\n"), 16):
                whole += self._exactly(size)
                self._exactly(2)
            self._exactly(2)
            return whole
        if length := head.header("Content-Length"):
            return self._exactly(int(length))
        return b""

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            self._more()
        found, _, self._read = self._read.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        found, self._read = self._read[:size], self._read[size:]
        return found

    def _more(self) -> None:
        data = self.connection.recv(65_536)
        assert data, f"the connection ended after {self._read!r}"
        self._read += data


def request(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """A well-formed request; the tests spoil it."""
    fields = {"Host": "localhost"} | (headers or {})
    if body:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def web_process(folder: Path, **environment: str) -> AbstractContextManager[WebProcess]:
    return running([sys.executable, str(ROOT / "manage.py"), "web", "--port"], folder, environment)


@contextmanager
def running(
    command: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[WebProcess]:
    """Start it on a free port, its last argument; wait until it listens; end it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    log = folder / f"web-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(port)],
            cwd=ROOT,
            env=os.environ | {"ATHOS_EMBEDDED": "1"} | (environment or {}),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, port, log)
        yield WebProcess(process, port, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + START_WITHIN
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the web process did not start:\n{log.read_text()[-3000:]}")
