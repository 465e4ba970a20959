import os
import signal
import socketserver
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections
from django.utils import timezone

from athos import database_role, health
from athos.health import CheckFailed, Readiness
from calls.models import LiveWorker


def test_healthz_touches_nothing(client):
    # Without the database mark, a query would be an error.
    assert client.get("/healthz").content == b"ok\n"


def test_healthz_answers_reading_methods_only(client):
    assert client.post("/healthz").status_code == 405


@pytest.fixture
def readiness(monkeypatch):
    """The view with checks of our own."""

    def install(**checks):
        monkeypatch.setattr(health, "_readiness", Readiness(checks))

    return install


def passes() -> None:
    pass


def fails() -> None:
    raise CheckFailed("does not answer")


def test_ready_when_every_check_passes(client, readiness):
    readiness(database=passes, speech=passes)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"database": "ok", "speech": "ok"}}
    assert answer["Cache-Control"] == "no-store"


def test_not_ready_when_one_fails(client, readiness):
    readiness(database=passes, speech=fails)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "ok", "speech": "does not answer"}


def test_the_answer_is_kept_for_a_second(client, readiness):
    calls = []
    readiness(database=lambda: calls.append(1))
    for _ in range(20):
        client.get("/readyz")
    assert len(calls) == 1


def test_a_hanging_check_costs_a_quarter_second_and_one_thread(monkeypatch):
    monkeypatch.setattr(health, "CACHE_SECONDS", 0.0)
    release, started = threading.Event(), []

    def hangs() -> None:
        started.append(1)
        release.wait(30)

    readiness = Readiness({"database": hangs, "valkey": passes})
    try:
        for _ in range(3):
            assert readiness.results() == {"database": "no answer within 0.25 s", "valkey": None}
        assert len(started) == 1
    finally:
        release.set()


@pytest.mark.django_db
def test_the_database_and_its_migrations_pass():
    health.check_database()
    health.check_migrations()


@pytest.mark.django_db
def test_a_migration_that_was_not_applied_is_counted(monkeypatch):
    applied = health._migrations()
    monkeypatch.setattr(health, "_migrations", lambda: applied | {("calls", "9999_new")})
    with pytest.raises(CheckFailed, match="1 not applied"):
        health.check_migrations()


def test_valkey_passes():
    health.check_valkey()


def test_a_valkey_that_is_away_is_told(settings):
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    with pytest.raises(CheckFailed, match="does not answer"):
        health.check_valkey()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("age", "draining", "ready"), [(1, False, True), (30, False, False), (1, True, False)]
)
def test_a_live_worker_counts_when_fresh_and_taking_calls(age, draining, ready):
    heartbeat = timezone.now() - timedelta(seconds=age)
    LiveWorker.objects.create(host="here", slots=1, draining=draining, heartbeat_at=heartbeat)
    if ready:
        health.check_live()
    else:
        with pytest.raises(CheckFailed, match="no worker takes calls"):
            health.check_live()


class _Speech(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(self.server.answer + b"\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def speech(tmp_path, settings):
    path = tmp_path / "s.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), _Speech) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        settings.SPEECH_URL = f"http+unix://{path}"
        yield server
        server.shutdown()


def test_speech_passes_when_it_says_so(speech):
    speech.answer = b"HTTP/1.1 200 OK"
    health.check_speech()


def test_speech_that_still_warms_up_is_told(speech):
    speech.answer = b"HTTP/1.1 503 Service Unavailable"
    with pytest.raises(CheckFailed, match="is not ready"):
        health.check_speech()


def test_speech_that_is_away_is_told(settings):
    settings.SPEECH_URL = "http+unix:///nowhere/speech.sock"
    with pytest.raises(CheckFailed, match="does not answer"):
        health.check_speech()


# --- the role that serves ----------------------------------------------------------------------


@pytest.fixture
def forgets_checks(monkeypatch):
    monkeypatch.setattr(database_role, "_checked_by", set())


@pytest.fixture
def signals_sent(monkeypatch):
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


@pytest.mark.django_db
def test_the_app_role_serves(forgets_checks, signals_sent):
    database_role.refuse_wrong_role(None, connection)
    assert signals_sent == []


@pytest.mark.django_db(databases=["default", "owner"])
def test_the_owner_role_ends_the_process(forgets_checks, signals_sent, monkeypatch):
    owner = connections["owner"]
    monkeypatch.setattr(owner, "alias", "default")
    monkeypatch.setattr(owner, "close", lambda: None)
    with pytest.raises(ImproperlyConfigured, match="owns tables"):
        database_role.refuse_wrong_role(None, owner)
    assert signals_sent == [(os.getpid(), signal.SIGTERM)]


@pytest.mark.django_db
def test_a_process_with_the_owners_url_ends_itself_and_says_why():
    code = "import django; django.setup(); from django.db import connection;"
    code += "connection.ensure_connection(); print('served')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"DATABASE_URL": os.environ["DATABASE_OWNER_URL"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGTERM
    assert "DATABASE_URL's role owns tables" in done.stderr
    assert "served" not in done.stdout
