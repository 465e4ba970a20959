"""The two sides of `test_no_packet_inside`, each a process in a network namespace of its own.

`python -m webhooks.tests.namespaces world <folder>` is all that lies beyond the sender's cable: a
name server whose answers change, a good receiver, services on inside addresses, and a count of
every packet that comes. `… sender <folder>` sends to every hostile URL with the product's client,
its own lookup and the system's resolver; only the certificate authority is the test's.
"""

import asyncio
import json
import socket
import ssl
import struct
import sys
import threading
from collections import Counter
from pathlib import Path

from webhooks.addresses import Refused, address_check
from webhooks.outcomes import Parcel
from webhooks.sending import Internet, Sender
from webhooks.signing import secret_make

GOOD = "93.184.215.14"
GOOD_HOST = "hooks.example.com"
REDIRECT_HOST = "redirect.example.com"
REBINDING_HOST = "flips.example.com"
INSIDE = ("10.0.0.1", "169.254.169.254", "192.168.0.1", "fd00:ec2::254")
ROUNDS = 50  # attempts at the name that changes its mind
_TCP, _UDP = 6, 17
_LINKS = 0x0003  # ETH_P_ALL


def packets(interface: str, seen: Counter[str]) -> threading.Thread:
    """Count TCP and UDP packets that come in, or loop, by destination; for ever, in a thread."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_LINKS))
    tap.bind((interface, _LINKS))

    def run() -> None:
        while True:
            packet, (_, _, direction, *_) = tap.recvfrom(65535)
            if direction == socket.PACKET_OUTGOING:
                continue
            version = packet[0] >> 4
            if version == 4 and packet[9] in (_TCP, _UDP):
                seen[socket.inet_ntop(socket.AF_INET, packet[16:20])] += 1
            elif version == 6 and packet[6] in (_TCP, _UDP):
                seen[socket.inet_ntop(socket.AF_INET6, packet[24:40])] += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def forbidden(seen: Counter[str]) -> dict[str, int]:
    """Of what was counted, what went to an address that we refuse."""
    return {address: count for address, count in seen.items() if _refused(address)}


def _refused(address: str) -> bool:
    try:
        address_check(address)
    except Refused:
        return True
    return False


# --- the world -----------------------------------------------------------------------------------


class Names(asyncio.DatagramProtocol):
    """A name server. Of `REBINDING_HOST` each question of a kind gets another answer."""

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self.answers = answers
        self.asked: Counter[tuple[str, int]] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple) -> None:
        name, kind, end = _question(data)
        family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
        known = self._known(name, kind) if kind in (1, 28) else []
        records = [socket.inet_pton(family, a) for a in known if (":" in a) == (kind == 28)]
        head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
        body = b"".join(
            struct.pack(">HHHIH", 0xC00C, kind, 1, 0, size) + record for record in records
        )
        self.transport.sendto(head + data[12:end] + body, address)  # type: ignore[attr-defined]

    def _known(self, name: str, kind: int) -> list[str]:
        self.asked[name, kind] += 1
        if name == REBINDING_HOST:
            turn = self.asked[name, kind]
            return [GOOD] if turn % 2 else [INSIDE[turn // 2 % len(INSIDE)]]
        return self.answers.get(name, [])


def _question(data: bytes) -> tuple[str, int, int]:
    labels, place = [], 12
    while size := data[place]:
        labels.append(data[place + 1 : place + 1 + size].decode())
        place += 1 + size
    (kind,) = struct.unpack(">H", data[place + 1 : place + 3])
    return ".".join(labels).lower(), kind, place + 5


async def world(folder: Path) -> None:
    """Serve until standard input closes, then write down what was seen."""
    seen: Counter[str] = Counter()
    served: Counter[str] = Counter()
    packets("world0", seen)
    answers = json.loads((folder / "answers.json").read_text())
    loop = asyncio.get_running_loop()
    _, names = await loop.create_datagram_endpoint(
        lambda: Names(answers), local_addr=("9.9.9.9", 53)
    )
    contexts = {
        host: _context(folder / f"{host}.pem")
        for host in (GOOD_HOST, REDIRECT_HOST, REBINDING_HOST)
    }
    default = contexts[GOOD_HOST]
    default.sni_callback = lambda sock, host, _: setattr(
        sock, "context", contexts.get(host, default)
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        local = writer.get_extra_info("sockname")[0]
        head = await reader.readuntil(b"\r\n\r\n")
        served[local] += 1
        redirect = f"host: {REDIRECT_HOST}".encode() in head.lower()
        status = b"307 Moved\r\nLocation: https://10.0.0.1/" if redirect else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    for address in (GOOD, *INSIDE):  # inside, somebody would answer
        await asyncio.start_server(answer, address, 443, ssl=default)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    asked = {f"{name} {kind}": count for (name, kind), count in names.asked.items()}
    (folder / "world.json").write_text(
        json.dumps({"seen": seen, "served": served, "forbidden": forbidden(seen), "asked": asked})
    )


def _context(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


# --- the sender ----------------------------------------------------------------------------------


async def sender(folder: Path) -> None:
    """Send to every URL of `urls.json`, then to the names that flip and redirect."""
    looped: Counter[str] = Counter()
    packets("lo", looped)
    tls = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    urls = json.loads((folder / "urls.json").read_text())
    urls += [f"https://{REBINDING_HOST}/"] * ROUNDS + [f"https://{REDIRECT_HOST}/"] * 5
    errors: Counter[str] = Counter()
    async with Sender(Internet(tls=tls), deadline=10) as client:
        for url in [*urls, f"https://{GOOD_HOST}/"]:
            parcel = Parcel(url=url, secrets=(secret_make(),), event_id="wh_1", body=b"{}")
            errors[(await client.send(parcel)).error] += 1
    result = {"errors": errors, "looped": looped}
    (folder / "sender.json").write_text(json.dumps(result))


def careless(address: str) -> None:
    """What the trap is tried with: a client that asks nobody."""
    with socket.create_connection((address, 443), timeout=10):
        pass


if __name__ == "__main__":
    side, place = sys.argv[1:]
    if side == "careless":
        careless(place)
    else:
        asyncio.run({"world": world, "sender": sender}[side](Path(place)))
