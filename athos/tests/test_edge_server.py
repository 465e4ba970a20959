"""The web process in time and in trouble: slow clients, a failing application, engines away."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.db import connections
from django.test import Client, TransactionTestCase
from django.urls import URLPattern, URLResolver, get_resolver
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from athos import edge_server
from athos.edge import AnswerCutShort, Edge
from athos.edge_server import Channel
from athos.tests.test_edge_corpus import chunked, get, post
from athos.tests.web_process import request, web_process
from calls.tests.making import API, make_integrator
from work.tests.test_chaos import wait

MINT, REDEEM = f"{API}/session", f"{API}/roleplay/session"
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"


# --- slow clients, by a clock of the test's ------------------------------------------------------


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


# --- an application that fails -------------------------------------------------------------------


async def ask(application, path=MINT, **scope):
    """The messages that come out of the edge around this application."""
    sent = []

    async def send(message):
        sent.append(message)

    given = {"type": "http", "path": path, "method": "GET", "headers": []} | scope
    await Edge(application)(given, None, send)
    return sent


async def failing(scope, receive, send):
    raise RuntimeError("a secret text")


async def failing_late(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("a secret text")


def answering(status):
    async def application(scope, receive, send):
        headers = [(b"Content-Length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return application


async def test_an_application_that_fails_is_answered_for(caplog):
    start, body = await ask(failing, request_id="req_x")
    assert start["status"] == 500
    assert dict(start["headers"])[b"X-Athos-Request-Id"] == b"req_x"
    error = json.loads(body["body"])["error"]
    assert (error["code"], error["requestId"]) == ("INTERNAL_ERROR", "req_x")
    assert b"secret" not in body["body"]
    assert "request failed" in caplog.text


async def test_only_redeem_may_be_read_by_other_sites_when_it_fails():
    start, _ = await ask(failing, path=REDEEM)
    assert dict(start["headers"])[b"Access-Control-Allow-Origin"] == b"*"
    start, _ = await ask(failing, path=MINT)
    assert not any(name.lower().startswith(b"access-control") for name, _ in start["headers"])


async def test_an_application_that_fails_late_has_its_connection_cut():
    with pytest.raises(AnswerCutShort):
        await ask(failing_late)


async def test_an_answer_without_id_gets_one_and_204_no_length():
    start, _ = await ask(answering(204))
    names = [name for name, _ in start["headers"]]
    assert names == [b"X-Athos-Request-Id"]


async def test_a_websocket_passes_through():
    seen = []

    async def application(scope, receive, send):
        seen.append((scope, receive, send))

    await Edge(application)({"type": "websocket"}, 1, 2)
    assert seen == [({"type": "websocket"}, 1, 2)]


# --- a real process ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(django_db_setup, tmp_path_factory) -> Iterator["Database"]:
    yield Database(tmp_path_factory.mktemp("pg"))


class Database:
    """The tests' PostgreSQL behind a door of its own, which can be shut for one web process."""

    def __init__(self, folder: Path) -> None:
        owner = connections["owner"].settings_dict
        self._socket = folder / ".s.PGSQL.5432"
        self._engine = Path(owner["HOST"]) / ".s.PGSQL.5432"
        self.url = f"postgres://athos_app@/{owner['NAME']}?host={folder}&application_name=edge_test"
        self.open()

    def open(self) -> None:
        self._socket.symlink_to(self._engine)

    def shut(self) -> None:
        """No new connection, and those there are break, as when PostgreSQL stops."""
        self._socket.unlink()
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as same_role:
            same_role.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'edge_test'"
            )


@pytest.fixture(scope="module")
def web(database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    with web_process(folder, DATABASE_URL=database.url) as running:
        yield running


@pytest.fixture
def acme(web, django_db_blocker):
    with django_db_blocker.unblock():
        made = make_integrator()
    yield made
    with django_db_blocker.unblock():
        TransactionTestCase("__init__")._fixture_teardown()


def test_while_the_database_is_stopped_everything_says_503(web, database, acme):
    mint = post(b'{"externalUserId": "r"}').replace(b"KEY", acme.secret.encode())
    signed_in = request("GET", "/calls", headers={"Cookie": f"sessionid={'a' * 32}"})
    assert web.ask(mint).status == 200
    assert web.ask(signed_in).status == 302
    database.shut()
    try:
        for _ in range(3):  # the first meets a broken connection, the others none
            refused = web.ask(mint)
            assert refused.status == 503
            assert refused.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
            assert refused.json()["error"]["requestId"] == refused.header("X-Athos-Request-Id")
            page = web.ask(signed_in)
            assert page.status == 503
            for answer in (refused, page):
                assert int(answer.header("Retry-After")) > 0
                assert answer.header("X-Athos-Request-Id").startswith("req_")
        assert web.get("/healthz").status == 200
        assert web.get(f"{API}/nothing").status == 404
    finally:
        database.open()
    wait(lambda: web.ask(mint).status == 200, 30, "mint answers again")


def test_the_socket_opens_with_an_id(web):
    key = [b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    answer = web.ask(get("/live/v1", b"Upgrade: websocket", b"Connection: Upgrade", *key))
    assert answer.status == 101
    assert answer.header("X-Athos-Request-Id").startswith("req_")


def test_a_browser_may_read_why_redeem_was_refused_at_the_edge(web):
    too_large = b"Content-Length: 99999999"
    answer = web.ask(post(b"", too_large, path=REDEEM, length=False))
    assert answer.status == 413
    assert answer.header("Access-Control-Allow-Origin") == "*"
    assert answer.header("Access-Control-Expose-Headers") == "X-Athos-Request-Id"
    elsewhere = web.ask(post(b"", too_large, length=False))
    assert elsewhere.header("Access-Control-Allow-Origin") == ""


def test_preflight_off_the_wire(web):
    answer = web.ask(get(REDEEM, b"Origin: https://crm.example.com").replace(b"GET", b"OPTIONS"))
    assert answer.status == 204
    assert (answer.header("Content-Length"), answer.header("Transfer-Encoding")) == ("", "")
    assert answer.header("Access-Control-Allow-Headers") == "Authorization, Content-Type"
    assert answer.header("Access-Control-Allow-Credentials") == ""


def test_pipelined_requests_are_answered_in_order(web):
    with web.connect() as wire:
        wire.send(get() + get("/healthz") + get(MINT) + get("/healthz", b"Connection: close"))
        assert [wire.answer().status for _ in range(4)] == [404, 200, 405, 200]
        assert wire.is_closed()


def test_no_byte_of_a_body_is_asked_for_before_it_may_come(web):
    with web.connect() as wire:
        wire.send(post(b"", b"Content-Length: 2", b"Expect: 100-continue", length=False))
        assert wire.answer().status == 100
        wire.send(b"{}")
        assert wire.answer().status == 401


def test_a_client_that_leaves_in_the_middle_harms_nobody(web):
    for part in (b"GET / HT", get()[:-2], post(b"", b"Content-Length: 9", length=False) + b"{"):
        with web.connect() as wire:
            wire.send(part)
    assert web.get("/healthz").status == 200


def test_the_web_process_says_nothing_it_should_not(web, acme):
    web.ask(post(b'{"externalUserId": "CANARY"}').replace(b"KEY", acme.secret.encode()))
    web.ask(get(f"{API}/calls?from=CANARY", b"Authorization: Bearer CANARY"))
    web.ask(get("/", b"X-CANARY: \x00"))
    log = web.log.read_text()
    assert "CANARY" not in log
    assert acme.secret[9:] not in log
    assert "Traceback" not in log


# --- every route ---------------------------------------------------------------------------------


def routes(patterns=None, before=""):
    """Each address of the product, its parameters filled in."""
    for found in patterns if patterns is not None else get_resolver().url_patterns:
        path = before + str(found.pattern)
        if isinstance(found, URLResolver):
            yield from routes(found.url_patterns, path)
        elif isinstance(found, URLPattern):
            yield "/" + re.sub(r"<(\w+:)?\w+>|\(\?P.*\)", "x", path).strip("^$")


@pytest.mark.django_db
def test_other_web_sites_may_read_redeem_and_the_sdk_alone():
    """The SDK is a public file, and a script of another site has to load it."""
    found = list(routes())
    assert {REDEEM, MINT, "/sdk/x", "/calls/x"} <= set(found)
    client = Client(
        raise_request_exception=False,
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    for path in found:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = client.generic(method, path)
            told = [name for name in answer.headers if name.lower().startswith("access-control")]
            assert bool(told) == (path == REDEEM), (method, path, told)
            assert "Access-Control-Allow-Credentials" not in told
            assert answer.headers["X-Athos-Request-Id"].startswith("req_")
