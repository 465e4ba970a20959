"""One attempt over the network: sign, connect to a checked address, post, read a little.

No database here. However the receiver behaves, an attempt ends within its deadline and keeps no
more than a few kilobytes of what it was told.
"""

import asyncio
import ssl
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from webhooks.addresses import Network, Refused, url_check
from webhooks.lookup import CheckedResolver, Lookup, NotFound, Route, system_lookup
from webhooks.outcomes import Outcome, Parcel
from webhooks.retry import retry_after_seconds
from webhooks.signing import signed_headers

DEADLINE_SECONDS = 15.0  # for all of an attempt; a limit per read would let a slow drip go on
CONNECT_SECONDS = 5.0  # TCP and TLS, for each address
BODY_SECONDS = 3.0  # the answer's head has decided; its body is only for the log
READ_BYTES = 16 * 1024
# asyncio gives each TLS connection 256 KiB to read into, a hundred MiB for what we have in flight.
TLS_BUFFER_BYTES = READ_BYTES
# Taken from one connection in all. Whoever floods us with interim answers (`100 Continue`) would
# else keep the loop busy parsing them until the deadline, and make everybody's attempts late.
RECEIVED_BYTES = 8 * READ_BYTES
KEPT_BYTES = 1024
HEADER_BYTES = 8190
HEADERS_MAX = 100
USER_AGENT = "Athos-Webhooks/1"

# The codes of a failed attempt: docs/webhooks.md.
HTTP_STATUS = "HTTP_STATUS"
REDIRECT_REFUSED = "REDIRECT_REFUSED"
URL_REFUSED = "URL_REFUSED"
ADDRESS_REFUSED = "ADDRESS_REFUSED"
NAME_NOT_FOUND = "NAME_NOT_FOUND"
CONNECT_FAILED = "CONNECT_FAILED"
TLS_FAILED = "TLS_FAILED"
CONNECTION_LOST = "CONNECTION_LOST"
RESPONSE_INVALID = "RESPONSE_INVALID"
TIMEOUT = "TIMEOUT"
SECRET_UNREADABLE = "SECRET_UNREADABLE"  # noqa: S105 - a code


def tls_context() -> ssl.SSLContext:
    """The system's authorities, TLS 1.2 and later, the certificate checked against the name."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True)
class Internet:
    """How receivers are reached. Tests pass their own resolver, authority and routes."""

    lookup: Lookup = system_lookup
    tls: ssl.SSLContext = field(default_factory=tls_context)
    own: Sequence[Network] = ()  # further networks that are refused
    route: Route | None = None
    development: bool = False  # plain http to loopback receivers


class Failed(Exception):
    """The attempt did not get an answer. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Bounded(ResponseHandler):
    """A connection that is cut off once it said too much."""

    _received = 0  # bytes

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received <= RECEIVED_BYTES:
            super().data_received(data)
        elif self.transport is not None:
            self.set_exception(aiohttp.ClientPayloadError("too much"))
            self.transport.abort()


class _Connector(aiohttp.TCPConnector):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        bounded: Callable[..., ResponseHandler] = _Bounded
        self._factory = partial(bounded, loop=self._loop)


class Sender:
    """An HTTP client for many attempts at once: `async with Sender(Internet()) as sender`."""

    def __init__(self, internet: Internet, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._internet = internet
        self._deadline = deadline

    async def __aenter__(self) -> Self:
        internet = self._internet
        SSLProtocol.max_size = TLS_BUFFER_BYTES
        self._resolver = CheckedResolver(internet.lookup, own=internet.own, route=internet.route)
        # A connection per attempt: one that a receiver closes while idle would cost a false
        # failure, because a POST on it cannot be repeated blindly.
        connector = _Connector(
            resolver=self._resolver,
            use_dns_cache=False,
            ssl=internet.tls,
            force_close=True,
            limit=0,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS_MAX,
            read_bufsize=READ_BYTES,
            trace_configs=[_tracing()],
        )
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._session.close()
        await self._resolver.close()

    async def send(self, parcel: Parcel) -> Outcome:
        """Try once, now. Whatever the receiver does is an outcome, not an exception."""
        started, clock = datetime.now(UTC), _Clock()
        headers: dict[str, str] = {}
        answer = _Answer()
        try:
            if not parcel.secrets:
                raise Failed(SECRET_UNREADABLE)
            headers = _headers(parcel, started)
            async with asyncio.timeout(self._deadline):
                await self._post(parcel, headers, clock, answer)
            error = _judged(answer.status)
        except Failed as failed:
            error = failed.code
        except TimeoutError:
            # The head decides: a 2xx whose body dripped past the deadline did arrive.
            error = _judged(answer.status) if answer.status else TIMEOUT
        return Outcome(
            started_at=started,
            total_ms=clock.total_ms(),
            error=error,
            status=answer.status,
            retry_after=retry_after_seconds(answer.retry_after, now=datetime.now(UTC)),
            response_body=_readable(bytes(answer.body[:KEPT_BYTES])),
            lookup_ms=clock.lookup_ms,
            connect_ms=clock.connect_ms,
            answer_ms=clock.answer_ms,
            request_headers=headers,
        )

    async def _post(
        self, parcel: Parcel, headers: dict[str, str], clock: "_Clock", answer: "_Answer"
    ) -> None:
        url = _url(parcel.url, self._internet.development)
        try:
            async with self._session.post(
                url,
                data=parcel.body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=clock,
            ) as response:
                clock.answered()
                answer.status = response.status
                answer.retry_after = response.headers.get("Retry-After")
                await _read(response, answer.body)
        except (Refused, aiohttp.ClientError, OSError) as cause:
            if answer.status is None:
                raise Failed(_code(cause)) from cause


@dataclass(slots=True)
class _Answer:
    """As much of the answer as has come."""

    status: int | None = None
    retry_after: str | None = None
    body: bytearray = field(default_factory=bytearray)


class _Clock:
    """How long the parts of an attempt took, in milliseconds; None for one not reached."""

    def __init__(self) -> None:
        self._start = self._mark = time.monotonic()
        self.lookup_ms: int | None = None
        self.connect_ms: int | None = None
        self.answer_ms: int | None = None

    def looked_up(self) -> None:
        self.lookup_ms = self._lap()

    def connected(self) -> None:
        self.connect_ms = self._lap()

    def answered(self) -> None:
        self.answer_ms = self._lap()

    def total_ms(self) -> int:
        return round((time.monotonic() - self._start) * 1000)

    def _lap(self) -> int:
        last, self._mark = self._mark, time.monotonic()
        return round((self._mark - last) * 1000)


def _tracing() -> aiohttp.TraceConfig:
    async def looked_up(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.looked_up()

    async def connected(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connected()

    config = aiohttp.TraceConfig()
    config.on_dns_resolvehost_end.append(looked_up)
    config.on_connection_create_end.append(connected)
    return config


def _headers(parcel: Parcel, at: datetime) -> dict[str, str]:
    signed = signed_headers(
        secrets=parcel.secrets,
        event_id=parcel.event_id,
        body=parcel.body,
        sent_at=int(at.timestamp()),
    )
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "identity",  # what comes is never unpacked
        **signed,
    }


def _url(text: str, development: bool) -> URL:
    """Checked again: rules and modes may have changed since the endpoint was made."""
    try:
        target = url_check(text, development=development)
    except Refused as refused:
        raise Failed(URL_REFUSED) from refused
    url = URL(target.url, encoded=True)
    if (url.raw_host, url.port) != (target.host, target.port):
        raise Failed(URL_REFUSED)  # two readings of one URL: send to neither
    return url


async def _read(response: aiohttp.ClientResponse, body: bytearray) -> None:
    """The first bytes of the body. That it breaks off or drips changes nothing."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while len(body) < READ_BYTES:
                part = await response.content.read(READ_BYTES - len(body))
                if not part:
                    return
                body.extend(part)
    except TimeoutError:
        return


def _judged(status: int | None) -> str:
    if status is None:
        return RESPONSE_INVALID
    if 200 <= status <= 299:
        return ""
    return REDIRECT_REFUSED if 300 <= status <= 399 else HTTP_STATUS


def _code(cause: Exception) -> str:
    match cause:
        case Refused():
            return ADDRESS_REFUSED
        case aiohttp.ClientConnectorDNSError() | NotFound():
            return NAME_NOT_FOUND
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return TLS_FAILED
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return TIMEOUT
        case aiohttp.ClientConnectorError():
            return CONNECT_FAILED
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError() | aiohttp.InvalidURL():
            return RESPONSE_INVALID
        case _:
            return CONNECTION_LOST


def _readable(body: bytes) -> str:
    """As text that the database takes."""
    return body.decode("utf-8", errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
