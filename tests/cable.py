"""A cable between a browser and the product that can be pulled: every datagram and every byte of
the call passes here, while the page runs on. Needs no rights and works alike in every browser.

The page asks for a way to each address that the server offers (`/way`, see integrator_page), and
keeps its own addresses to itself, so that the server knows it only through the cable.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Address = tuple[str, int]

# Before the page's own scripts: the call goes over the cable.
PAGE_SIDE = """
(() => {
  const way = async (kind, host, port) => (await fetch(`/way?${kind}&${host}&${port}`)).text();
  const Socket = window.WebSocket, Peer = window.RTCPeerConnection, plain = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await plain(...asked), text = await answer.clone().text();
    if (!text.includes('"connectionUrl"')) return answer;
    const body = JSON.parse(text), url = new URL(body.connectionUrl);
    url.port = await way("tcp", url.hostname, url.port);
    return new Response(JSON.stringify({ ...body, connectionUrl: url.href }), answer);
  };
  window.WebSocket = class extends Socket {
    send(text) { if (!text.includes('"type":"candidate"')) super.send(text); }
  };
  window.RTCPeerConnection = class extends Peer {
    async setRemoteDescription({ type, sdp }) {
      const lines = await Promise.all(sdp.split("\\r\\n").map(async (line) => {
        const candidate = /^(a=candidate:\\S+ \\d udp \\d+ )(\\S+) (\\d+)( .*)$/i;
        const [, start, host, port, end] = candidate.exec(line) ?? [];
        return start === undefined ? line : `${start}${host} ${await way("udp", host, port)}${end}`;
      }));
      return super.setRemoteDescription({ type, sdp: lines.join("\\r\\n") });
    }
  };
})();
"""


class Cable:
    """Lives on a thread of its own; `pulled` loses datagrams and holds back streams."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: list[Any] = []

    def way(self, kind: str, host: str, port: int) -> int:
        """A port of `host`'s own that leads there."""
        opening = self._open_udp(host, port) if kind == "udp" else self._open_tcp(host, port)
        return self._run(opening)

    @contextmanager
    def pulled(self) -> Iterator[None]:
        self._loop.call_soon_threadsafe(self._whole.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._whole.set)

    def close(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self._closing:
            end.close()

    async def _open_udp(self, host: str, port: int) -> int:
        near = _Near(self._whole, (host, port))
        transport, _ = await self._loop.create_datagram_endpoint(lambda: near, local_addr=(host, 0))
        self._closing += [transport, near]
        return int(transport.get_extra_info("sockname")[1])

    async def _open_tcp(self, host: str, port: int) -> int:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._whole.wait()
            there, back = await asyncio.open_connection(host, port)
            for source, target in ((reader, back), (there, writer)):
                task = asyncio.create_task(self._pump(source, target))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        server = await asyncio.start_server(carry, host, 0)
        self._closing.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._whole.wait()
                target.write(data)
                await target.drain()
        target.close()


class _Near(asyncio.DatagramProtocol):
    """The browser's side of one address of the server: each of its ports gets one over there."""

    def __init__(self, whole: asyncio.Event, server: Address) -> None:
        self._whole = whole
        self._server = server
        self._far: dict[Address, asyncio.DatagramTransport] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Address) -> None:
        if not self._whole.is_set():
            return
        if (far := self._far.get(address)) is not None:
            far.sendto(data)
            return
        task = asyncio.create_task(self._open(address))  # ICE asks again soon
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, address: Address) -> None:
        near = self

        class Far(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: Address) -> None:
                if near._whole.is_set():
                    near.transport.sendto(data, address)  # type: ignore[attr-defined]

        loop = asyncio.get_running_loop()
        far, _ = await loop.create_datagram_endpoint(Far, remote_addr=self._server)
        if self._far.setdefault(address, far) is not far:
            far.close()

    def close(self) -> None:
        for far in self._far.values():
            far.close()
