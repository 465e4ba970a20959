"""A write that is asked for twice with one Idempotency-Key is done once, and answered twice.

The answer is kept in the transaction that does the work: whatever kills one undoes both. A twin
that comes meanwhile waits for that transaction. Refusals changed nothing and are not kept.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import OperationalError, connection
from django.db.models.functions import Now
from psycopg.errors import LockNotAvailable

from tenants.errors import IdempotencyKeyInUse, IdempotencyKeyReused, InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import IdempotentAnswer
from tenants.sealing import SealBroken, seal, unseal

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,255}")  # a UUID is best
KEPT_FOR = timedelta(hours=24)
TWIN_WAITS_MS = 5000  # for the first one to end; then it is told to come again
TWIN_RETRY_SECONDS = 1
_PURPOSE = "idempotent_answer"


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """What a write was answered with; `data` is JSON or None."""

    status: int
    data: Any
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A write as its sender names it: by its key, to one address, with one body."""

    tenant_id: uuid.UUID
    sender: str  # the API key: another one of the same tenant repeats nothing of it
    method: str
    path: str
    idempotency_key: str
    body: bytes

    def digest(self) -> str:
        """The header may hold anything, a person's name included, so it is not kept as it is."""
        named = [self.sender, self.method, self.path, self.idempotency_key]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()

    def body_digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def answer_once(request: WriteRequest, act: Callable[[], WriteAnswer]) -> WriteAnswer:
    """Do it and keep the answer, or give the kept one again.

    `act` writes to the database only, and raises what refuses. Raises IdempotencyKeyReused for
    another body under the same key, IdempotencyKeyInUse while a twin takes long.
    """
    if not KEY.fullmatch(request.idempotency_key):
        problem = f"{HEADER} must be 1 to 255 visible ASCII characters."
        raise InvalidRequest(problem, details={"field": HEADER})
    try:
        with tenant_scope(request.tenant_id):
            mine = _taken(request)
            if mine is None:
                return _kept(request)
            answer = act()
            mine.status, mine.sealed_answer = answer.status, _sealed(answer.data)
            mine.save(update_fields=["status", "sealed_answer"])
            return answer
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise IdempotencyKeyInUse(retry_after=TWIN_RETRY_SECONDS) from error
        raise


def answers_expire(*, tenant_id: uuid.UUID, most: int) -> int:
    """Delete up to `most` answers whose day is over; how many. Needs the tenant's scope."""
    rows = IdempotentAnswer.objects.for_tenant(tenant_id)
    old = rows.filter(created_at__lt=Now() - KEPT_FOR).order_by("created_at").values("pk")[:most]
    return rows.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]


def _taken(request: WriteRequest) -> IdempotentAnswer | None:
    """A row for our answer; None when there is one already. Waits for a twin's transaction."""
    rows = IdempotentAnswer.objects.for_tenant(request.tenant_id)
    mine = IdempotentAnswer(
        tenant_id=request.tenant_id, digest=request.digest(), body_digest=request.body_digest()
    )
    _lock_timeout(f"{TWIN_WAITS_MS}ms")
    rows.filter(digest=mine.digest, created_at__lt=Now() - KEPT_FOR).delete()
    IdempotentAnswer.objects.bulk_create([mine], ignore_conflicts=True)
    _lock_timeout("0")
    return mine if rows.filter(pk=mine.pk).exists() else None


def _kept(request: WriteRequest) -> WriteAnswer:
    rows = IdempotentAnswer.objects.for_tenant(request.tenant_id)
    row = rows.get(digest=request.digest())
    if row.body_digest != request.body_digest():
        raise IdempotencyKeyReused
    try:
        data = json.loads(unseal(row.sealed_answer, purpose=_PURPOSE))
    except SealBroken as broken:
        raise IdempotencyKeyReused("The answer of that key cannot be read any more.") from broken
    return WriteAnswer(row.status, data, repeated=True)


def _sealed(data: Any) -> str:
    return seal(json.dumps(data).encode(), purpose=_PURPOSE)


def _lock_timeout(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [value])
