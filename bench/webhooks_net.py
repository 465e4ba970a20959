"""The internet of `bench.webhooks`: names, where they are found, and who answers there.

    python -m bench.webhooks_net FOLDER             # prints the ports as JSON, then serves
    python -m bench.webhooks_net FOLDER --hostile   # the hostile ones

Names under `fine.` answer 200 after 200 ms, names under `hang.` never. Ids of what came are
appended to FOLDER/received.txt.
"""

import asyncio
import json
import ssl
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from webhooks.sending import Internet
from webhooks.tests import test_hostile_receivers as hostile
from webhooks.tests.receivers import Authority, Peer

PAUSE = 0.2  # seconds until a receiver answers
HOSTILE: dict[str, Peer] = {
    "silent": hostile.say_nothing,
    "handshake": hostile.say_nothing,  # without TLS
    "drip-head": hostile.drip_head,
    "many-headers": hostile.endless_headers,
    "long-header": hostile.one_endless_header,
    "continue": hostile.continue_for_ever,
    "hang-up": hostile.hang_up,
    "wrong-length": hostile.lie_about_length,
    "drip-body": hostile.drip_body,
    "long-body": hostile.endless_body,
    "gzip-bomb": hostile.gzip_bomb,
    "broken-chunks": hostile.broken_chunks,
}
KINDS = {kind: f"93.184.215.{n}" for n, kind in enumerate(("fine", "hang", *HOSTILE), start=1)}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def host_of(kind: str, number: int) -> str:
    return f"h{number}.{kind}.example.com"


def internet_of(folder: Path, ports: dict[str, int]) -> Internet:
    """As the sender sees it: public addresses, which lie on loopback here."""
    ways = {KINDS[kind]: ("127.0.0.1", port) for kind, port in ports.items()}

    async def lookup(host: str) -> Sequence[str]:
        return [KINDS[host.split(".")[1]]]

    def route(address: str, port: int) -> tuple[str, int]:
        return ways[address]

    trusted = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    return Internet(lookup=lookup, tls=trusted, route=route)


class _Receiver(asyncio.Protocol):
    """As little HTTP as it takes, so that two processors are mostly the sender's."""

    def __init__(self, pause: float | None, log: TextIO) -> None:
        self._pause, self._log, self._data = pause, log, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        fields = dict(
            line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
        )
        if not end or len(body) < int(fields.get(b"content-length", 0)):
            return
        self._log.write(fields[b"x-athos-webhook-id"].decode() + "\n")
        self._log.flush()
        if self._pause is not None:
            asyncio.get_running_loop().call_later(self._pause, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)  # type: ignore[attr-defined]
            self._transport.close()


def _tls(folder: Path) -> ssl.SSLContext:
    return Authority(folder).server("example.com", *(f"*.{kind}.example.com" for kind in KINDS))


async def serve_hostile(folder: Path) -> None:
    tls, ports = _tls(folder), {}

    async def handle(peer: Peer, *streams: Any) -> None:
        try:
            await peer(*streams)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the sender has gone, as it should
        finally:
            streams[1].transport.abort()

    for kind, peer in HOSTILE.items():
        secured = None if kind == "handshake" else tls
        server = await asyncio.start_server(
            partial(handle, peer), "127.0.0.1", 0, ssl=secured, backlog=1000
        )
        ports[kind] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


async def serve(folder: Path) -> None:
    tls = _tls(folder)
    loop, ports = asyncio.get_running_loop(), {}
    with (folder / "received.txt").open("a") as log:
        for kind, pause in (("fine", PAUSE), ("hang", None)):
            server = await loop.create_server(
                lambda pause=pause: _Receiver(pause, log), "127.0.0.1", 0, ssl=tls, backlog=1000
            )
            ports[kind] = server.sockets[0].getsockname()[1]
        print(json.dumps(ports), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run((serve_hostile if "--hostile" in sys.argv else serve)(Path(sys.argv[1])))
