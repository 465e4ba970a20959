"""Tests run on real engines: a PostgreSQL and a Valkey of their own, thrown away at the end.

Set DATABASE_URL, DATABASE_OWNER_URL and REDIS_URL to use others; the owner needs CREATEDB then.
Everything here happens at import, because app conftests may import models at their top.
"""

import atexit
import fcntl
import functools
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

_ROOT = Path(__file__).parent
_REAL_SPEECH = re.compile(r"mark\.(journey|models)\b")
_SPEECH, _MATRIX = "real speech", "tests/isolation/test_matrix.py"
_PREFIX = "athos-test-"
_ours: set[str] = set()  # what was set here, and is for this process and those that it starts
_locks = []  # open files: the lock says "this folder is in use", also to a later sweep


def _sweep_folders_of_killed_runs() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if folder.stat().st_mtime > time.time() - 60:
                continue  # perhaps about to be locked
            with (folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, or not ours


def _start_engines() -> None:
    from athos.engines.launcher import Engines

    _sweep_folders_of_killed_runs()
    var = Path(tempfile.mkdtemp(prefix=_PREFIX))
    var.chmod(0o711)  # as root PostgreSQL may have to run as another account
    lock = (var / "lock").open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)
    _locks.append(lock)
    engines = Engines(var, durable=False)
    started_by = os.getpid()

    def stop() -> None:
        if os.getpid() == started_by:  # not in a forked child
            engines.stop()
            shutil.rmtree(var, ignore_errors=True)

    atexit.register(stop)
    environment = engines.start()
    _ours.update(environment.keys() - os.environ.keys())
    os.environ.update(environment)
    (var / "static").mkdir()  # WhiteNoise warns of a missing one
    if engines.postgres:
        engines.postgres.allow_test_databases()


_start_engines()
os.environ["DJANGO_SETTINGS_MODULE"] = "athos.settings"
_ours.add("DJANGO_SETTINGS_MODULE")

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import TransactionTestCase  # noqa: E402

from athos.engines.postgres import DATABASE_SQL  # noqa: E402
from tenants.row_security import CREATE_CATALOGUE  # noqa: E402


# --- several processes: pytest -n 2 -------------------------------------------------------------
class _Scheduling(LoadFileScheduling):
    """A file stays in one process; so do all that need real speech, one after another."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _SPEECH if _REAL_SPEECH.search((_ROOT / file).read_text()) else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        """The longest first, so that no process waits for it at the end."""
        for scope in (_MATRIX, _SPEECH):
            if scope in self.workqueue:
                self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Each process that is started now has engines of its own."""
    for name in _ours:
        del os.environ[name]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Scheduling:
    return _Scheduling(config, log)


# --- the database: made and migrated by athos_owner, used as athos_app ------------------------
_KEPT_TABLES = ("django_migrations", "django_content_type", "auth_permission")


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_blocker) -> Iterator[None]:
    """One database per pytest process. Processes that a test starts find it in DATABASE_URL."""
    name = f"athos_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    maintenance = os.environ["DATABASE_OWNER_URL"]
    with psycopg.connect(maintenance, autocommit=True) as owner:
        owner.execute(f"drop database if exists {name} with (force)".encode())
        owner.execute(f"create database {name}".encode())
    for alias, variable in (("owner", "DATABASE_OWNER_URL"), ("default", "DATABASE_URL")):
        connections[alias].settings_dict["NAME"] = name
        os.environ[variable] = _with_database(os.environ[variable], name)
    with django_db_blocker.unblock():
        with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
            owner.execute(DATABASE_SQL.read_bytes())
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        connections["owner"].close()
    yield
    with django_db_blocker.unblock():
        for connection in connections.all():
            connection.close()
        connections["default"].close_pool()
    # Autovacuum may sit in it, and the owner may not end that; the next setup drops it then.
    with psycopg.connect(maintenance, autocommit=True) as owner, suppress(psycopg.Error):
        owner.execute(f"drop database if exists {name} with (force)".encode())


def _with_database(url: str, name: str) -> str:
    before, _, query = url.partition("?")
    return before.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")


def _truncate_as_owner(self: TransactionTestCase) -> None:
    """In place of Django's flush: athos_app may not truncate, and owns no table."""
    connections["default"].close()
    connections["default"].close_pool()  # with what a thread of the test may have kept
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        tables = owner.execute(
            "select quote_ident(tablename) from pg_tables"
            " where schemaname = 'public' and not tablename = any(%s)",
            [list(_KEPT_TABLES)],
        ).fetchall()
        owner.execute("set lock_timeout = '10s'")  # a test that left a transaction open is told
        if tables:
            _truncate(owner, f"truncate {', '.join(t for (t,) in tables)} cascade".encode())
            owner.execute(CREATE_CATALOGUE.encode())


def _truncate(owner: psycopg.Connection, statement: bytes) -> None:
    """A server of the test may still be reading for a browser that has gone: it ends by itself."""
    for left in (2, 1, 0):
        try:
            owner.execute(statement)
        except psycopg.errors.DeadlockDetected:
            if not left:
                raise
        else:
            return


TransactionTestCase._fixture_teardown = _truncate_as_owner  # type: ignore[method-assign]


# --- the network: shut, except this machine ---------------------------------------------------
_connect, _connect_ex, _sendto = (
    socket.socket.connect,
    socket.socket.connect_ex,
    socket.socket.sendto,
)


def _check_local(family: int, address: object) -> None:
    if family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return
    host = str(address[0])
    if not (host in {"", "localhost"} or _is_this_machine(family, host)):
        raise OSError(f"Tests reach this machine only, not {host}.")


@functools.cache
def _is_this_machine(family: int, host: str) -> bool:
    """Only an address of this machine can be bound to. WebRTC also tries those beside loopback."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _guarded(original):
    def call(self, *arguments):
        _check_local(self.family, arguments[-1])
        return original(self, *arguments)

    return call


socket.socket.connect = _guarded(_connect)  # type: ignore[method-assign]
socket.socket.connect_ex = _guarded(_connect_ex)  # type: ignore[method-assign]
socket.socket.sendto = _guarded(_sendto)  # type: ignore[method-assign]


# --- the bell ---------------------------------------------------------------------------------
@pytest.fixture
def bells(monkeypatch) -> list[str]:
    """The kinds of work rung for, in order; nothing is sent. Bells ring after the commit."""
    from work import bell

    rung: list[str] = []
    monkeypatch.setattr(bell, "_send", lambda kind: rung.append(kind.name))
    return rung


# --- speech: one real server for all tests marked `models` ------------------------------------
@pytest.fixture(scope="session")
def speech_socket() -> Iterator[Path]:
    """Where a warm speech server listens. ATHOS_TEST_SPEECH names one that runs already."""
    from tests.speech_process import speech_process

    if running := os.environ.get("ATHOS_TEST_SPEECH"):
        yield Path(running)
        return
    folder = Path(tempfile.mkdtemp(prefix="athos-speech-"))  # tmp_path is too long for a socket
    with speech_process(folder / "s"):
        yield folder / "s"
    shutil.rmtree(folder, ignore_errors=True)
