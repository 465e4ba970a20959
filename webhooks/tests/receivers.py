"""Receivers on loopback, and an internet of our own on which the sender finds them.

The names are public, so that every rule of the sender is in force: the test's resolver answers with
public addresses, its routes lead from those to loopback, and its authority signs for the names.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from webhooks.sending import Internet

PUBLIC = "93.184.215.14"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Authority:
    """A throw-away certificate authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self._certificate = self._sign(self._name, self._key.public_key(), None)
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.file))

    def server(self, *hosts: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        certificate = self._sign(name, key.public_key(), hosts)
        file = self.folder / f"{hosts[0]}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(self, name, public_key, hosts) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=hosts is None, path_length=None), True)
        )
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(names, False)
        return builder.sign(self._key, hashes.SHA256())


@dataclass
class World:
    """Names, their addresses, and where those are found."""

    authority: Authority
    addresses: dict[str, list[str]] = field(default_factory=dict)
    ways: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)

    def place(self, host: str, port: int, *, address: str | None = None) -> None:
        """Let `https://<host>/` be what listens on this loopback port."""
        address = address or f"93.184.215.{len(self.addresses) + 1}"
        self.addresses[host] = [address]
        self.ways[address, 443] = ("127.0.0.1", port)

    def internet(self, **options) -> Internet:
        return Internet(
            lookup=self._lookup, tls=self.authority.trusted(), route=self._route, **options
        )

    async def _lookup(self, host: str) -> list[str]:
        self.looked_up.append(host)
        try:
            return self.addresses[host]
        except KeyError:
            raise OSError("no such name") from None

    def _route(self, address: str, port: int) -> tuple[str, int]:
        return self.ways[address, port]


@dataclass
class Received:
    body: bytes
    headers: dict[str, str]


@dataclass
class Receiver:
    """An integrator's server: keeps what came, answers with the statuses given, then 200."""

    statuses: list[int] = field(default_factory=list)
    answer: dict[str, str] = field(default_factory=dict)  # headers
    text: str = ""
    pause: float = 0.0
    got: list[Received] = field(default_factory=list)
    port: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append(Received(await request.read(), dict(request.headers)))
        await asyncio.sleep(self.pause)
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers=self.answer, text=self.text)


@dataclass
class Hanging(Receiver):
    """Answers nobody until it is let go."""

    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append(Received(await request.read(), dict(request.headers)))
        await self.released.wait()
        return web.Response()


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """An aiohttp server on a free loopback port."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def peer_serving(peer: Peer, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that speaks whatever it likes."""
    tasks: set[asyncio.Task] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await peer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # the test is over
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
