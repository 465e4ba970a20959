"""Prometheus metrics of all processes of a machine, at one address that is not public.

Processes write counters and histograms into files of a common folder
(`PROMETHEUS_MULTIPROC_DIR`, the client library's multiprocess mode); `manage.py metrics` adds them
up, asks the database for what stands there, and serves `GET /metrics`.
"""

import hmac
import logging
from collections.abc import Callable, Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.db import Error, connection
from django.db.models import Count, Q
from django.db.models.functions import Now
from prometheus_client import CollectorRegistry, Counter, Histogram, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from athos.health import WORKER_FRESH
from calls.models import LiveSlot, LiveWorker
from work import kinds
from work.overview import Standing, standing

logger = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0  # that a scraper may take to ask
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_requests = Counter("athos_http_requests", "Requests to web by status.", ["method", "status"])
_request_seconds = Histogram(
    "athos_http_request_seconds",
    "Time until web had answered.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0),
)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def request_answered(*, method: str, status: int, seconds: float) -> None:
    _requests.labels(method if method in _METHODS else "other", str(status)).inc()
    _request_seconds.observe(seconds)


class DatabaseFigures(Collector):
    """What no process can count for itself: how work stands, and how many slots are taken."""

    def collect(self) -> Iterator[Metric]:
        try:
            yield from [*_work(), *_slots()]
            reachable = 1
        except Error as problem:
            logger.warning("no figures of the database", extra={"error": type(problem).__name__})
            reachable = 0
        finally:
            connection.close()  # this thread's; back to the pool
        yield GaugeMetricFamily(
            "athos_database_up", "Whether the database told its figures.", value=reachable
        )


def _work() -> list[Metric]:
    rows = GaugeMetricFamily(
        "athos_work_rows", "Rows of work by kind and state.", labels=["kind", "state"]
    )
    oldest = GaugeMetricFamily(
        "athos_work_oldest_seconds", "How long the first due row has waited.", labels=["kind"]
    )
    for kind in kinds.registered():
        stand: Standing = standing(kind)
        for state in ("due", "leased", "pausing", "parked"):
            rows.add_metric([kind.name, state], getattr(stand, state))
        oldest.add_metric([kind.name], float(stand.longest))
    return [rows, oldest]


def _slots() -> list[Metric]:
    fresh = LiveWorker.objects.filter(heartbeat_at__gte=Now() - WORKER_FRESH)
    taken = Q(lease_until__gt=Now(), call_id__isnull=False)
    counts = LiveSlot.objects.filter(worker__in=fresh).aggregate(
        taken=Count("pk", filter=taken),
        free=Count("pk", filter=~taken & Q(worker__draining=False)),
        draining=Count("pk", filter=~taken & Q(worker__draining=True)),
    )
    slots = GaugeMetricFamily("athos_live_slots", "Room for calls by state.", labels=["state"])
    for state, number in counts.items():
        slots.add_metric([state], number)
    return [slots]


def metrics_app(*, token: str) -> Application:
    """`GET /metrics` and nothing else; with a token only for who bears it."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(DatabaseFigures())
    metrics: Application = make_wsgi_app(registry)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/metrics":
            return _plain(start_response, "404 Not Found")
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return _plain(start_response, "405 Method Not Allowed")
        if token and not _bears(environ, token):
            return _plain(start_response, "401 Unauthorized")
        return metrics(environ, start_response)

    return application


def metrics_server(*, address: str, port: int, token: str) -> WSGIServer:
    """A server ready for `serve_forever`."""
    return make_server(address, port, metrics_app(token=token), _Server, _Handler)


def _bears(environ: dict[str, Any], token: str) -> bool:
    given = str(environ.get("HTTP_AUTHORIZATION", ""))
    return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def _plain(start_response: Callable[..., Any], status: str) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{status}\n".encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """A scrape each few seconds is no news."""
