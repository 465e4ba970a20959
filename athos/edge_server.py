"""Daphne as our web process: bounded in size and time, and no answer that isn't ours.

Twisted reads a whole body before Daphne hands it on, answers what it can't parse with a bare line,
and lets a client that sends a byte now and then stay for ever. `Channel` counts and times what
comes in; `Request` and `Socket` answer in Daphne's place; `EdgeServer` puts them together, and
lets requests finish when it is stopped, where Daphne would cut them.
athos/tests/test_edge_corpus.py holds what Daphne and Twisted must go on doing for this to work.
"""

import asyncio
import logging
import socket
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from typing import Any
from weakref import WeakSet

from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.server import Server
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.conf import settings
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.web.http import HTTPChannel, datetimeToString

from athos.edge import (
    REQUEST_ID_HEADER,
    Application,
    EdgeAnswer,
    Scope,
    edge_answer,
    request_id_make,
)
from athos.errors import (
    BUSY_RETRY_SECONDS,
    DATABASE_RETRY_SECONDS,
    DatabaseAway,
    HeadersTooLarge,
    RequestTimeout,
    TooManyConnections,
    UriTooLong,
)
from calls.consumers import NO_WORKER
from calls.urls import websocket_urlpatterns
from tenants.errors import AthosError, InvalidRequest, PayloadTooLarge

logger = logging.getLogger(__name__)

LONGEST_LINE = 8 * 1024  # bytes: the request line, or one header field
LARGEST_HEAD = 16 * 1024  # bytes: request line and header fields
MOST_HEADERS = 100
REQUEST_SECONDS = 30.0  # from a request's first byte to the last of its body
IDLE_SECONDS = 75.0  # without a byte; longer than proxies keep a connection for reuse
ANSWER_SECONDS = 30  # until the application begins to answer
STUCK_SECONDS = 30  # an answer that the client takes no byte of
MOST_CONNECTIONS = 800  # sockets of calls among them; a process may have 1,024 files by default
MOST_REFUSED = 100  # connections more, which read a refusal; beyond them they are just closed
FINISH_SECONDS = 30.0  # for the requests in flight, when the process is to stop
LINGER_SECONDS = 2.0  # a refused client may read why before the connection is cut
SOCKET_PATHS = {f"/{pattern.pattern}".encode() for pattern in websocket_urlpatterns}


class Channel(HTTPChannel):
    """One connection. Refuses by itself what is malformed, too large or too slow."""

    MAX_LENGTH = LONGEST_LINE
    totalHeadersSize = LARGEST_HEAD  # noqa: N815, Twisted's own spelling
    maxHeaders = MOST_HEADERS  # noqa: N815
    length: int | None  # of the body; None while unknown

    def __init__(self) -> None:
        super().__init__()
        self._refused = False
        self._deadline: Any = None  # runs while a request comes in

    def connectionMade(self) -> None:  # noqa: N802
        super().connectionMade()
        server = self.factory.server
        server.channels.add(self)
        server.open_connections += 1
        if server.open_connections > MOST_CONNECTIONS + MOST_REFUSED:
            self.forceAbortClient()
        elif server.open_connections > MOST_CONNECTIONS:
            self.refuse(TooManyConnections(retry_after=BUSY_RETRY_SECONDS))
        else:
            self.cut_when_stuck(STUCK_SECONDS)

    def cut_when_stuck(self, seconds: int) -> None:
        """Let the system (Linux) cut a client that takes nothing for so long; 0: as TCP does."""
        option = getattr(socket, "TCP_USER_TIMEOUT", None)
        if option is not None and ITCPTransport.providedBy(self.transport):
            wire = self.transport.getHandle()
            wire.setsockopt(socket.IPPROTO_TCP, option, seconds * 1000)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._refused:
            return  # read and thrown away, so that the refusal isn't lost in a reset
        if not self._handlingRequest:
            self._clock_start()
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        if self._refused:
            return
        self._clock_start()
        super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        if not self._refused:
            super().rawDataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        self.refuse(HeadersTooLarge() if self.requests else UriTooLong())

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802
        try:
            return bool(super().headerReceived(line))
        except ValueError:  # a Content-Length of more digits than Python will count
            self.refuse(PayloadTooLarge())
            return False

    def allHeadersReceived(self) -> None:  # noqa: N802
        """Before any of the body, and before Twisted answers `Expect: 100-continue`."""
        refusal = self._refusal_of_head()
        if refusal is None:
            super().allHeadersReceived()
        else:
            self.refuse(refusal)
            self.length = None  # the caller goes on to read a body, which is thrown away

    def allContentReceived(self) -> None:  # noqa: N802
        if not self._refused:
            self._clock_stop()
            super().allContentReceived()

    def timeoutConnection(self) -> None:  # noqa: N802
        if self._refused:
            self.forceAbortClient()
        else:
            super().timeoutConnection()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        self._clock_stop()
        self.factory.server.channels.discard(self)
        self.factory.server.open_connections -= 1  # not of those that a signalling socket took over
        super().connectionLost(reason)

    @property
    def speaks_http(self) -> bool:
        """False once the connection is a signalling socket's, or gone."""
        return self.transport is not None and getattr(self.transport, "protocol", None) is self

    def finish(self) -> None:
        """Take no more requests; close when the one in flight is answered to its last byte."""
        self.persistent = False
        if not self.requests:
            self.loseConnection()

    def refuse(self, refusal: AthosError) -> None:
        """Answer, say that nothing more will come, and give the client a moment to read it."""
        if self._refused:
            return
        self._refused = True
        self._clock_stop()
        self.clearLineBuffer()
        path = getattr(self, "_path", b"").partition(b"?")[0].decode("latin-1")
        request_id = request_id_make()
        logger.info("request refused", extra={"request_id": request_id, "code": refusal.code})
        answer = edge_answer(refusal, request_id=request_id, path=path)
        self.transport.write(_last_bytes(answer))
        self.transport.unregisterProducer()
        self.transport.loseWriteConnection()
        self.setTimeout(LINGER_SECONDS)

    def _refusal_of_head(self) -> AthosError | None:
        fields = self.requests[-1].requestHeaders
        hosts = len(fields.getRawHeaders(b"Host", []))
        if hosts > 1 or (hosts == 0 and self._version == b"HTTP/1.1"):
            return InvalidRequest("Send one Host field.")
        if self._version == b"HTTP/1.0" and fields.hasHeader(b"Transfer-Encoding"):
            return InvalidRequest("HTTP/1.0 knows no Transfer-Encoding.")
        too_long = self.length is not None and self.length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return PayloadTooLarge() if too_long else None

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802
        """Where all of Twisted's own refusals end."""
        size, count = self._receivedHeaderSize, self._receivedHeaderCount
        too_large = size > self.totalHeadersSize or count > self.maxHeaders
        self.refuse(HeadersTooLarge() if too_large else InvalidRequest("This is not valid HTTP."))

    def _clock_start(self) -> None:
        if self._deadline is None:
            self._deadline = self.callLater(REQUEST_SECONDS, self._too_slow)

    def _clock_stop(self) -> None:
        if self._deadline is not None:
            if self._deadline.active():
                self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self.refuse(RequestTimeout())


class Request(WebRequest):
    """One request. What Daphne would answer by a page of its own is answered in the envelope."""

    def __init__(self, channel: Channel, queued: int) -> None:
        super().__init__(channel, queued, parsePOSTFormSubmission=False)  # Django's to parse
        self.request_id = request_id_make()
        self._received = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        self.content = BytesIO()  # bounded, so never a file

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self._received += len(data)
        if self._received > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:  # of unknown length until now
            self.channel.refuse(PayloadTooLarge())
        else:
            super().handleContentChunk(data)

    def process(self) -> Any:
        # Daphne would let any client move the whole site below a path of its choice.
        self.requestHeaders.removeHeader(b"Daphne-Root-Path")
        if self.method == b"GET" and self.path in SOCKET_PATHS:
            self.channel.cut_when_stuck(0)  # a call outlives a lost network; it has its own pings
        else:
            self.requestHeaders.removeHeader(b"Upgrade")  # a server may ignore it (RFC 9110, 7.8)
        if self.uri.startswith(b"/"):
            return super().process()
        return self.basic_error(400, b"", "")  # meant for a proxy; we are none

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message.get("type") == "http.response.start":
            self.setHeader(b"Date", datetimeToString())
            if self.server.finishing:
                self.setHeader(b"Connection", b"close")
        super().handle_reply(message)

    def handle_exception(self, exception: Exception) -> None:
        if self._response_started:
            self.channel.forceAbortClient()  # a clean end would make half an answer look whole
        else:
            super().handle_exception(exception)

    def check_timeouts(self) -> None:
        if not self._response_started:  # a long download is none of Daphne's business
            super().check_timeouts()

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        path = (self.path or b"").decode("latin-1")
        answer = edge_answer(_refusal(status), request_id=self.request_id, path=path)
        start = {"type": "http.response.start", "status": answer.status}
        self.handle_reply({**start, "headers": answer.headers})
        self.handle_reply({"type": "http.response.body", "body": answer.body})


class Socket(WebSocketProtocol):
    """The signalling socket. Its opening is HTTP, and so it is answered as HTTP is."""

    request_id = ""

    def onConnect(self, request: Any) -> Any:  # noqa: N802
        request.headers.pop("daphne-root-path", None)
        self.request_id = request_id_make()
        return super().onConnect(request)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        self.server.open_connections -= 1  # the channel's, before it became a socket
        super().connectionLost(reason)

    def serverAccept(self, subprotocol: str | None = None) -> None:  # noqa: N802
        super().serverAccept((subprotocol, {REQUEST_ID_HEADER: self.request_id}))

    def sendHttpErrorResponse(  # noqa: N802
        self,
        code: int,
        reason: str,
        responseHeaders: Any = None,  # noqa: N803
    ) -> None:
        request_id = self.request_id or request_id_make()
        answer = edge_answer(_refusal(code), request_id=request_id, path="")
        versions = [(name.encode(), value.encode()) for name, value in responseHeaders or ()]
        self.sendData(_last_bytes(answer, versions))


class _Factory(HTTPFactory):
    protocol = Channel
    timeOut = IDLE_SECONDS  # noqa: N815

    def buildProtocol(self, address: Any) -> Channel:  # noqa: N802
        channel: Channel = super().buildProtocol(address)
        channel.requestFactory = Request
        return channel


class EdgeServer(Server):
    """Daphne with our parts, and no numbers but those above."""

    def __init__(self, application: Application, endpoints: list[str]) -> None:
        super().__init__(
            application,
            endpoints,
            http_timeout=ANSWER_SECONDS,
            websocket_connect_timeout=5,
            websocket_handshake_timeout=5,
            websocket_max_message_size=64 * 1024,
            websocket_max_frame_size=64 * 1024,
            application_close_timeout=1,
            verbosity=0,
            server_name="",
        )
        self.channels: WeakSet[Channel] = WeakSet()
        self.open_connections = 0
        self.finishing = False
        self._ports: list[Any] = []

    # Daphne's `run` makes its factories itself and leaves no other way in.

    @property
    def http_factory(self) -> _Factory:
        return self._http_factory

    @http_factory.setter
    def http_factory(self, daphnes: HTTPFactory) -> None:
        self._http_factory = _Factory(self)

    @property
    def ws_factory(self) -> WebSocketFactory:
        return self._ws_factory

    @ws_factory.setter
    def ws_factory(self, daphnes: WebSocketFactory) -> None:
        daphnes.protocol = Socket
        self._ws_factory = daphnes

    def listen_success(self, port: Any) -> None:
        self._ports.append(port)
        super().listen_success(port)

    def kill_all_applications(self) -> Any:
        """What Daphne does first when it is stopped. The reactor waits for it."""
        return Deferred.fromFuture(asyncio.ensure_future(self._finish()))

    async def _finish(self) -> None:
        """No new connections; sockets go to another process; requests in flight are answered."""
        self.finishing = True
        for port in self._ports:
            port.stopListening()
        for protocol in list(self.connections):
            if isinstance(protocol, Socket):
                protocol.serverClose(NO_WORKER)
        for channel in list(self.channels):
            if channel.speaks_http:
                channel.finish()
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                while any(channel.speaks_http for channel in self.channels):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            logger.warning("requests were cut", extra={"count": len(self.channels)})
        await self._end_applications()

    async def _end_applications(self) -> None:
        running = [details.get("application_instance") for details in self.connections.values()]
        left = [future for future in running if future is not None and not future.done()]
        for future in left:
            future.cancel()
        if left:
            await asyncio.wait(left, timeout=1.0)

    def create_application(self, protocol: Request | Socket, scope: Scope) -> Any:
        return super().create_application(protocol, {**scope, "request_id": protocol.request_id})


def _refusal(status: int) -> AthosError:
    match status:
        case 503:
            return DatabaseAway(retry_after=DATABASE_RETRY_SECONDS)
        case _ if status < 500:
            return InvalidRequest("This is not valid HTTP.")
        case _:
            return AthosError()


def _last_bytes(answer: EdgeAnswer, fields: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """What ends a connection: the answer as it goes over the wire."""
    line = b"HTTP/1.1 %d %s\r\n" % (answer.status, HTTPStatus(answer.status).phrase.encode())
    closing = ((b"Date", datetimeToString()), (b"Connection", b"close"))
    head = b"".join(b"%s: %s\r\n" % field for field in (*answer.headers, *fields, *closing))
    return line + head + b"\r\n" + answer.body
