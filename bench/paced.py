"""Requests at a steady rate, whatever the answers take: a slow answer delays no other."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

WARM_UP = 2.0  # seconds, not counted
TIMEOUT = 10.0  # seconds


@dataclass(frozen=True)
class Load:
    """Seconds from the moment a request was to be sent to its last byte, sorted."""

    seconds: list[float]
    wrong: int  # answers other than 200

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        return 1000 * self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    def __str__(self) -> str:
        told = ", ".join(f"p{share:.0%} {self.percentile(share):.1f} ms" for share in (0.5, 0.99))
        return f"{told}, longest {self.percentile(1):.1f} ms, {len(self.seconds)} requests".replace(
            "%", ""
        )


def load(addresses: Sequence[str], headers: dict[str, str], *, rate: int, seconds: float) -> Load:
    """GET each address in turn, `rate` times a second in all."""
    return asyncio.run(_load(addresses, headers, rate, seconds))


async def _load(
    addresses: Sequence[str], headers: dict[str, str], rate: int, seconds: float
) -> Load:
    counted: list[float] = []
    wrong = 0

    async def one(session: aiohttp.ClientSession, address: str, due: float, counts: bool) -> None:
        nonlocal wrong
        async with session.get(address) as answer:
            await answer.read()
        if counts:
            counted.append(time.monotonic() - due)
            wrong += answer.status != 200

    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    # a hundred connections: what waits for one counts
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(
        headers=headers, timeout=timeout, connector=connector
    ) as session:
        begin = time.monotonic() + 0.1
        async with asyncio.TaskGroup() as requests:
            for number in range(round(rate * (WARM_UP + seconds))):
                due = begin + number / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                address = addresses[number % len(addresses)]
                requests.create_task(one(session, address, due, number >= rate * WARM_UP))
    return Load(sorted(counted), wrong)
