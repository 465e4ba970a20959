"""A real web process: with the database stopped, with clients that leave, with browsers."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from django.db import connections
from django.test import TransactionTestCase

from athos.tests.test_edge_corpus import get, post
from athos.tests.web_process import request, running, web_process
from calls.tests.making import API, make_integrator
from work.tests.test_chaos import wait

MINT, REDEEM = f"{API}/session", f"{API}/roleplay/session"


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


def test_many_who_never_finish_leave_room_for_others(web):
    waiting = [web.connect() for _ in range(200)]
    try:
        for number, wire in enumerate(waiting):
            wire.send(get()[: number % 40])
        assert web.get("/healthz").status == 200
    finally:
        for wire in waiting:
            wire.connection.close()


_FULL = """
import sys, django
django.setup()
from athos import edge_server
edge_server.MOST_CONNECTIONS, edge_server.MOST_REFUSED = 3, 2
async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})
edge_server.EdgeServer(application, [f"tcp:port={sys.argv[1]}:interface=127.0.0.1"]).run()
"""


def test_connections_beyond_the_bound_are_refused_until_others_end(django_db_setup, tmp_path):
    with running([sys.executable, "-c", _FULL], tmp_path) as full:
        call, idle = full.connect(), full.connect()
        call.send(upgrade())
        assert b" 101 " in call.connection.recv(4096)
        idle.send(get("/")[:10])
        assert full.get("/").status == 200
        last = full.connect()
        wait(lambda: refused(full), 10, "three are open")
        answer = full.get("/")
        assert (answer.status, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert answer.header("Retry-After") == "1" and answer.header("X-Athos-Request-Id")
        late = [full.connect() for _ in range(6)]
        wait(lambda: any(cut(wire) for wire in late), 10, "the rest are closed without a word")
        for wire in (call, last, *late):
            wire.connection.close()
        wait(lambda: not refused(full), 10, "there is room again")
        assert full.get("/").status == 200
        idle.connection.close()


def refused(server) -> bool:
    try:
        return server.get("/").status == 503
    except OSError:  # so many that not even that is said
        return True


def cut(wire) -> bool:
    wire.connection.settimeout(0.2)
    try:
        return wire.connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def upgrade() -> bytes:
    fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    fields["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    return request("GET", "/live/v1", headers=fields)


_GENEROUS = """
import sys, django
django.setup()
from athos import edge_server
edge_server.STUCK_SECONDS = 1
async def application(scope, receive, send):
    headers = [(b"Content-Length", b"50000000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 50_000_000})
edge_server.EdgeServer(application, [f"tcp:port={sys.argv[1]}:interface=127.0.0.1"]).run()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems leave it to TCP")
def test_a_client_that_takes_nothing_of_its_answer_is_cut(django_db_setup, tmp_path):
    with running([sys.executable, "-c", _GENEROUS], tmp_path) as generous:
        own = psutil.Process(generous.process.pid)
        with generous.connect() as wire:
            wire.send(get("/"))
            wait(lambda: talking(own), 10, "the answer began")
            wait(lambda: not talking(own), 30, "the connection is cut")


def talking(process: psutil.Process) -> bool:
    return any(found.status == "ESTABLISHED" for found in process.net_connections("tcp"))


_SLOW = """
import asyncio, pathlib, sys, django
django.setup()
from athos import edge_server
folder = pathlib.Path(sys.argv[1])
async def application(scope, receive, send):
    (folder / "began").touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.02)
    headers = [(b"Content-Length", b"5000000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 5_000_000})
edge_server.EdgeServer(application, [f"tcp:port={sys.argv[2]}:interface=127.0.0.1"]).run()
"""


def test_a_web_process_that_is_stopped_answers_what_it_was_asked(django_db_setup, tmp_path):
    with (
        running([sys.executable, "-c", _SLOW, str(tmp_path)], tmp_path) as slow,
        slow.connect() as idle,
        slow.connect() as busy,
    ):
        busy.send(get("/"))
        wait((tmp_path / "began").exists, 10, "the request is being answered")
        slow.process.terminate()
        assert idle.connection.recv(1) == b""
        wait(lambda: refuses(slow.port), 10, "nobody new is let in")
        (tmp_path / "go").touch()
        answer = busy.answer()
        assert (answer.status, len(answer.body)) == (200, 5_000_000)
        assert answer.header("Connection") == "close"
        assert slow.process.wait(10) == 0


def refuses(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) != 0
