"""Is it alive, can it serve? `/healthz` touches nothing; `/readyz` looks at what serving needs."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from functools import cache

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from athos.engines.probes import http_get
from calls.models import LiveWorker

CHECK_SECONDS = 0.25  # each; they run side by side
CACHE_SECONDS = 1.0  # whoever asks more often gets the last answer
RETRY_SECONDS = 0.2
WORKER_FRESH = timedelta(seconds=10)  # a live worker renews its row every 2 s


class CheckFailed(Exception):
    """What is wrong, in words that may be shown to anybody: no addresses, no names."""


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every check passes, else 503; a JSON line per check."""
    results = _readiness.results()
    ready = all(problem is None for problem in results.values())
    body = {
        "ready": ready,
        "checks": {name: problem or "ok" for name, problem in results.items()},
    }
    response = JsonResponse(body, status=200 if ready else 503)
    response["Cache-Control"] = "no-store"
    response._has_been_logged = True  # type: ignore[attr-defined]  # a 503 each second is no news
    return response


def check_database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except DatabaseError as error:
        raise CheckFailed("does not answer") from error


def check_migrations() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("select app, name from django_migrations")
            missing = _migrations() - set(cursor.fetchall())
    except DatabaseError as error:
        raise CheckFailed("can't be read") from error
    if missing:
        raise CheckFailed(f"{len(missing)} not applied")


def check_valkey() -> None:
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=CHECK_SECONDS, socket_connect_timeout=CHECK_SECONDS
    )
    try:
        client.ping()
    except redis.RedisError as error:
        raise CheckFailed("does not answer") from error
    finally:
        client.close()


def check_speech() -> None:
    """Our own speech process. A remote service is not asked: it may bill by the request."""
    if not settings.SPEECH_URL.startswith("http+unix://"):
        return
    status, _ = http_get(settings.SPEECH_URL, "/readyz", CHECK_SECONDS)
    if status != 200:
        raise CheckFailed("does not answer" if status == 0 else "is not ready")


def check_live() -> None:
    fresh = timezone.now() - WORKER_FRESH
    try:
        found = LiveWorker.objects.filter(draining=False, heartbeat_at__gte=fresh).exists()
    except DatabaseError as error:
        raise CheckFailed("can't be read") from error
    if not found:
        raise CheckFailed("no worker takes calls")


CHECKS: dict[str, Callable[[], None]] = {
    "database": check_database,
    "migrations": check_migrations,
    "valkey": check_valkey,
    "speech": check_speech,
    "live": check_live,
}


class Readiness:
    """Runs the checks side by side, each with a time limit, at most once per `CACHE_SECONDS`
    (`RETRY_SECONDS` while something is missing).

    A check that hangs keeps its one thread until it ends; it is not started a second time, so that
    a hung database costs one thread, not one per request.
    """

    def __init__(self, checks: dict[str, Callable[[], None]]) -> None:
        self._checks = checks
        self._executor = ThreadPoolExecutor(len(checks), thread_name_prefix="readyz")
        self._running: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._results: dict[str, str | None] = {}
        self._good_until = 0.0

    def results(self) -> dict[str, str | None]:
        """Per check None, or what is wrong."""
        with self._lock:
            if time.monotonic() >= self._good_until:
                self._results = self._look()
                missing = any(self._results.values())
                self._good_until = time.monotonic() + (RETRY_SECONDS if missing else CACHE_SECONDS)
            return self._results

    def _look(self) -> dict[str, str | None]:
        hung = {name for name, future in self._running.items() if not future.done()}
        for name in self._checks.keys() - hung:
            self._running[name] = self._executor.submit(_with_connection, self._checks[name])
        deadline = time.monotonic() + CHECK_SECONDS
        return {name: self._outcome(name, deadline) for name in self._checks}

    def _outcome(self, name: str, deadline: float) -> str | None:
        try:
            self._running[name].result(max(0.0, deadline - time.monotonic()))
        except FutureTimeout:
            return f"no answer within {CHECK_SECONDS:g} s"
        except CheckFailed as problem:
            return str(problem)
        return None


def _with_connection(check: Callable[[], None]) -> None:
    try:
        check()
    finally:
        connection.close()  # this thread's own; back to the pool


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """All that this code brings along. Read once: files don't change under a running process."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    replaced = {old for migration in loader.disk_migrations.values() for old in migration.replaces}
    return frozenset(set(loader.disk_migrations) - replaced)


_readiness = Readiness(CHECKS)
