"""One connection by a clock of the test's: what comes in, how slowly, and how it ends."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from athos import edge_server
from athos.edge import AnswerCutShort
from athos.edge_server import Channel
from athos.tests.test_edge_corpus import chunked

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"


@implementer(IHalfCloseableDescriptor)
class Wire(StringTransport):
    """A transport that remembers how it was ended."""

    ended = ""

    def loseWriteConnection(self):  # noqa: N802
        self.ended = "half"

    def loseConnection(self):  # noqa: N802
        self.ended = "closed"

    def abortConnection(self):  # noqa: N802
        self.ended = "aborted"


class Connection:
    """A channel on a wire and a clock. Requests that arrive whole are kept, not answered."""

    def __init__(self) -> None:
        self.clock, self.wire, self.whole = Clock(), Wire(), []
        self.channel = Channel()
        server = SimpleNamespace(
            channels=set(),
            finishing=False,
            open_connections=0,
            protocol_connected=ignore,
            protocol_disconnected=ignore,
            log_action=ignore,
            server_name="",
            http_timeout=edge_server.ANSWER_SECONDS,
        )
        self.channel.factory = SimpleNamespace(server=server, log=ignore)
        self.channel.callLater = self.clock.callLater
        self.channel.timeOut = edge_server.IDLE_SECONDS
        self.channel.requestFactory = self._request
        self.channel.makeConnection(self.wire)

    def _request(self, channel, queued):
        found = edge_server.Request(channel, queued)
        found.process = lambda: self.whole.append(found)
        return found

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def pass_(self, seconds: float) -> None:
        self.clock.pump([0.25] * round(seconds * 4))

    @property
    def said(self) -> bytes:
        return self.wire.value().partition(b"\r\n")[0]


def ignore(*_: object) -> None:
    pass


@pytest.fixture
def connection() -> Connection:
    return Connection()


def drip(connection: Connection, data: bytes, every: float) -> None:
    for byte in data:
        connection.send(bytes([byte]))
        connection.pass_(every)


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (b"", b"GET /aaaaaaaaaaaa"),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 3),
        (HEAD.replace(b"5", b"50"), b"x" * 20),
        (chunked(), b"1;aaaaaaaaaaaaa"),
    ],
    ids=["line", "head", "body", "chunks"],
)
def test_a_client_that_drips_is_cut_however_steadily(connection, start, rest):
    connection.send(start)
    drip(connection, rest, every=5.0)
    assert connection.said == b"HTTP/1.1 408 Request Timeout"
    assert b"REQUEST_TIMEOUT" in connection.wire.value()
    assert not connection.whole


def test_a_refused_client_is_listened_to_a_moment_and_then_cut(connection):
    connection.send(b"nonsense\r\n")
    assert (connection.said, connection.wire.ended) == (b"HTTP/1.1 400 Bad Request", "half")
    told = len(connection.wire.value())
    for _ in range(10):
        connection.send(b"x" * 10_000)  # must neither be parsed nor keep the line open
        connection.pass_(edge_server.LINGER_SECONDS / 8)
    assert connection.wire.ended == "aborted"
    assert len(connection.wire.value()) == told


def test_who_never_asks_is_closed_without_a_word(connection):
    connection.pass_(edge_server.IDLE_SECONDS - 1)
    assert connection.wire.ended == ""
    connection.pass_(2)
    assert (connection.wire.ended, connection.wire.value()) == ("closed", b"")


def test_the_clock_stops_while_we_answer_and_starts_with_the_next_request(connection):
    connection.send(HEAD + b"hello")
    (first,) = connection.whole
    connection.pass_(edge_server.REQUEST_SECONDS * 4)
    assert connection.wire.value() == b""
    connection.send(b"GET /slow HTTP/1.1\r\n")  # comes early, waits its turn
    connection.pass_(edge_server.REQUEST_SECONDS * 4)
    first.finish()
    answered = len(connection.wire.value())
    connection.pass_(edge_server.REQUEST_SECONDS - 1)
    assert len(connection.wire.value()) == answered
    connection.pass_(2)
    assert b"408 Request Timeout" in connection.wire.value()[answered:]


def test_a_client_that_leaves_takes_its_clocks_along(connection):
    connection.send(b"GET / HTTP/1.1\r\nHo")
    connection.channel.connectionLost(None)
    assert connection.clock.getDelayedCalls() == []


def test_of_a_body_without_length_no_more_is_kept_than_the_limit(connection, settings):
    connection.send(chunked())
    content = connection.channel.requests[0].content
    for _ in range(64):
        connection.send(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
    assert connection.said == b"HTTP/1.1 413 Request Entity Too Large"
    assert content.tell() == settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    connection.send(b"0\r\n\r\n")
    assert connection.whole == []


PIECES = [
    b"GET / HTTP/1.1\r\n", b"POST /api/x?y=1 HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n",
    b"Host: localhost\r\n", b"Content-Length: 5\r\n", b"Content-Length: 99999999\r\n",
    b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"X-A: b\r\n", b" folded\r\n",
    b"Transfer-Encoding: identity\r\n", b"Expect: 100-continue\r\n", b"Cookie: a=b; ;=\r\n",
    b"Connection: close\r\n", b"\r\n", b"\n", b"\r", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n",
    b"ffffffffffffffffffff\r\n", b"\x00", b"\xff", b":", b" ", b"x" * 9000,
]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=40), max_size=25), st.booleans())
def test_no_bytes_make_it_fail_or_say_what_is_not_http(pieces, one_by_one):
    connection = Connection()
    sent = b"".join(pieces)
    for part in [sent[n : n + 1] for n in range(len(sent))] if one_by_one else pieces:
        connection.send(part)
    said = connection.wire.value().removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert said == b"" or re.match(rb"HTTP/1.1 4(00|13|14|31) ", said)
    connection.pass_(edge_server.IDLE_SECONDS + edge_server.REQUEST_SECONDS)
    assert connection.whole or connection.wire.ended  # a request to answer, or nobody there


def test_half_an_answer_never_ends_cleanly(connection):
    connection.send(HEAD + b"hello")
    (asked,) = connection.whole
    asked.handle_reply({"type": "http.response.start", "status": 200, "headers": []})
    asked.handle_reply({"type": "http.response.body", "body": b"half", "more_body": True})
    asked.handle_exception(AnswerCutShort())
    assert connection.wire.ended == "aborted"
    assert b"0\r\n\r\n" not in connection.wire.value()


def test_an_application_that_does_not_answer_is_503(connection, monkeypatch):
    connection.send(HEAD + b"hello")
    (asked,) = connection.whole
    monkeypatch.setattr(asked, "duration", lambda: edge_server.ANSWER_SECONDS + 1.0)
    asked.check_timeouts()
    assert connection.said == b"HTTP/1.1 503 Service Unavailable"
    assert b"Retry-After" in connection.wire.value()


def test_a_long_download_is_not_cut_by_the_time_to_answer(connection, monkeypatch):
    connection.send(HEAD + b"hello")
    (asked,) = connection.whole
    asked.handle_reply({"type": "http.response.start", "status": 200, "headers": []})
    monkeypatch.setattr(asked, "duration", lambda: 3600.0)
    asked.check_timeouts()
    assert not asked.finished
