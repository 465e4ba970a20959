"""One end of a connection, as a process of its own inside a network namespace.

    python -m calls.tests.network_side worker|browser '{"public_address": …, "turn": […]}'

Descriptions go over standard input and output, one JSON line each. The last line tells how many
packets of sound came within ten seconds; the test gives none to wait for where none can come.
"""

import asyncio
import json
import sys
from typing import Any

from aiortc import RTCIceServer

from calls.live.codec import SILENT_PACKET
from calls.live.peer import Peer, PeerSettings
from calls.tests.rtc_client import RtcClient

ENOUGH = 50  # packets, one second
WITHIN = 10.0  # seconds


async def main(side: str, options: dict[str, Any]) -> None:
    say({"packets": await (worker(options) if side == "worker" else browser(options))})
    await asyncio.to_thread(sys.stdin.readline)  # the other side may still be counting


async def worker(options: dict[str, Any]) -> int:
    heard = Enough()
    peer = Peer(
        PeerSettings(public_address=options.get("public_address", "")),
        on_packet=lambda packet: heard.one(),
        next_packet=lambda due: SILENT_PACKET,
        on_state=lambda state: None,
    )
    say({"sdp": await peer.answer((await listen())["sdp"])})
    return await heard.wait()


async def browser(options: dict[str, Any]) -> int:
    heard = Enough()
    servers = [RTCIceServer(**server) for server in options.get("turn", [])]
    client = RtcClient(on_heard=lambda _: heard.one(), loopback_only=False, ice_servers=servers)
    say({"sdp": await client.offer()})
    await client.set_answer((await listen())["sdp"])
    return await heard.wait()


class Enough:
    """Counts packets until it is convinced."""

    def __init__(self) -> None:
        self.count = 0
        self._enough = asyncio.Event()

    def one(self) -> None:
        self.count += 1
        if self.count >= ENOUGH:
            self._enough.set()

    async def wait(self) -> int:
        try:
            async with asyncio.timeout(WITHIN):
                await self._enough.wait()
        except TimeoutError:
            pass
        return self.count


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


async def listen() -> dict[str, Any]:
    return json.loads(await asyncio.to_thread(sys.stdin.readline))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
