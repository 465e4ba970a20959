"""The log of a tenant's API requests: written beside the requests, in batches, never in their way.

Each web process keeps what it answered in a bounded queue and writes it twice a second. What finds
no room, or can't be written within two seconds, is dropped and counted: at most once is enough for
a log, and a database that is slow must not be made slower. A process that stops writes the rest.
"""

import json
import logging
import re
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Event, Thread

from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from prometheus_client import Counter

from tenants import keys
from tenants.models import ApiRequest
from tenants.rate_limits import key_identity

logger = logging.getLogger(__name__)

KEPT = timedelta(days=7)
EVERY_SECONDS = 0.5
BATCH = 1_000  # requests of one statement
MOST_WAITING = 10_000  # requests of one process
WRITE_MILLISECONDS = 2_000
REMEMBERED = 10_000  # keys
EXTERNAL = "/api/external/v1/"
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")

_written = Counter("athos_request_log_rows", "API requests written to the log.")
_dropped = Counter(
    "athos_request_log_dropped", "API requests that the log had no room or time for."
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose request it was; without a key where a session token was shown."""

    tenant_id: uuid.UUID
    key_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A request and what became of it, as `ApiRequest` keeps it."""

    request_id: uuid.UUID
    owner: Owner
    at: datetime
    method: str
    route: str
    query: str
    status: int
    code: str
    field: str
    subject: str
    duration_ms: int


class RequestLog:
    """The queue of a process, which keeps nothing until it is started."""

    def __init__(self, write: Callable[[Sequence[Answered]], None], *, most: int) -> None:
        self._write = write
        self._most = most
        self._waiting: deque[Answered] = deque()
        self._stopping = Event()
        self._thread: Thread | None = None
        self._failing = False

    def start(self) -> None:
        self._thread = Thread(target=self._run, name="request-log", daemon=True)
        self._thread.start()

    def stop(self, *, seconds: float) -> None:
        """Write what is waiting, for so long at most."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(seconds)
            self._thread = None

    @property
    def running(self) -> bool:
        return self._thread is not None

    def note(self, answered: Answered) -> None:
        """Never waits and never fails."""
        if len(self._waiting) >= self._most:
            _dropped.inc()
        elif self._thread is not None:
            self._waiting.append(answered)

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        """All that waits now; what comes meanwhile is for the next time."""
        for _ in range(0, len(self._waiting), BATCH):
            count = min(BATCH, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            try:
                self._write(batch)
            except Exception as problem:  # noqa: BLE001 - the rim: the thread must go on
                # Dropped and counted: a later try would only lengthen the queue.
                _dropped.inc(len(batch))
                self._tell(problem)
            else:
                _written.inc(len(batch))
                self._failing = False
            finally:
                connection.close()  # this thread's; back to the pool

    def _tell(self, problem: Exception) -> None:
        if not self._failing:
            logger.warning("request log not written", extra={"error": type(problem).__name__})
        self._failing = True


def requests_write(batch: Sequence[Answered]) -> None:
    """Store them, each in its tenant's scope, in one transaction and two statements."""
    rows = [
        {
            "id": str(each.request_id),
            "tenant_id": str(each.owner.tenant_id),
            "key_id": str(each.owner.key_id) if each.owner.key_id else None,
            "at": each.at.isoformat(),
            "method": each.method,
            "route": each.route,
            "query": each.query,
            "status": each.status,
            "code": each.code,
            "field": each.field,
            "subject": each.subject,
            "duration_ms": each.duration_ms,
        }
        for each in batch
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        limit = str(WRITE_MILLISECONDS)
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
        cursor.execute("SELECT request_log_write(%s::jsonb)", [json.dumps(rows)])


log = RequestLog(requests_write, most=MOST_WAITING)


# --- whose a request was -------------------------------------------------------------------------


class _Owners:
    """Whose the keys are that were looked up in this process. Full, it starts anew."""

    def __init__(self) -> None:
        self._known: dict[str, Owner] = {}

    def put(self, key: str, owner: Owner) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key_identity(key)] = owner

    def get(self, key: str) -> Owner | None:
        return self._known.get(key_identity(key)) if keys.parse(key) else None


owners = _Owners()


def owned_by(request: HttpRequest, tenant_id: uuid.UUID) -> None:
    """A session token showed whose request this is."""
    request.api_owner = Owner(tenant_id, None)  # type: ignore[attr-defined]


def owner_of(request: HttpRequest, key: str) -> Owner | None:
    """None: nobody's, as far as this process knows without asking the database."""
    given: Owner | None = getattr(request, "api_owner", None)
    return given or owners.get(key)


# --- what a route is called ----------------------------------------------------------------------


@lru_cache(maxsize=256)
def template_of(route: str) -> str:
    """`/calls/{callId}` for `api/external/v1/calls/<str:call_id>`."""
    return _PARAMETER.sub(_in_braces, f"/{route}".removeprefix(EXTERNAL.removesuffix("/")))


def _in_braces(parameter: "re.Match[str]") -> str:
    first, *others = parameter[1].split("_")
    return "{" + first + "".join(word.capitalize() for word in others) + "}"


# --- forgetting ----------------------------------------------------------------------------------


def requests_expire(*, tenant_id: uuid.UUID, most: int) -> int:
    """Delete up to `most` requests that are older than seven days; how many.

    Needs the tenant's scope.
    """
    old = ApiRequest.objects.for_tenant(tenant_id).filter(at__lt=Now() - KEPT)
    chosen = old.order_by("at").values("pk")[:most]
    deleted, _ = ApiRequest.objects.for_tenant(tenant_id).filter(pk__in=chosen).delete()
    return deleted
