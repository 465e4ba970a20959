"""As many requests as connections carry, over HTTP/1.1 that stays open; a thin client."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

ANSWER_WITHIN = 30.0  # seconds


@dataclass
class Hammered:
    """What came back. `seconds` is the whole, `waits` those of each request."""

    statuses: Counter[int] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.waits) / self.seconds

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.waits)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def post(path: str, body: bytes, credential: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {credential}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> int:
        """The status of the answer, all of which was read."""
        self._writer.write(request)
        async with asyncio.timeout(ANSWER_WITHIN):
            head = await self._reader.readuntil(b"\r\n\r\n")
            _, _, after = head.lower().partition(b"content-length: ")
            await self._reader.readexactly(int(after.split(b"\r\n", 1)[0]))
        return int(head[9:12])

    def close(self) -> None:
        self._writer.close()


def hammer(port: int, requests: Iterable[bytes], *, connections: int) -> Hammered:
    """Send them all, in order, each on the first connection that is free."""
    return asyncio.run(_hammer(port, iter(requests), connections))


async def _hammer(port: int, requests: Iterator[bytes], connections: int) -> Hammered:
    told = Hammered()

    async def work(connection: Connection) -> None:
        for request in requests:
            sent = time.perf_counter()
            told.statuses[await connection.ask(request)] += 1
            told.waits.append(time.perf_counter() - sent)

    opened = [await Connection.open(port) for _ in range(connections)]
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as workers:
        for connection in opened:
            workers.create_task(work(connection))
    told.seconds = time.perf_counter() - begun
    for connection in opened:
        connection.close()
    return told
