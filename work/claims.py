"""Claims: who may work on a due row, for how long, and how the work ends.

The SQL functions of a kind are made by `work.sql.due_functions` in a migration. All times are the
database's, so that a skewed clock on one machine neither steals nor keeps a row.
"""

import logging
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from tenants.isolation import tenant_scope
from work import bell, kinds
from work.backoff import retry_delay
from work.functions import call_function
from work.leases import LEASE_SECONDS, Renewer
from work.models import DueRow

logger = logging.getLogger(__name__)

Row = TypeVar("Row", bound=DueRow)

LOOK_AHEAD = 16  # rows asked for at once by a worker that takes them one by one
STALE_SECONDS = 1.0  # what was due before that may be done by now: ask again


class LeaseLost(Exception):
    """The row is somebody else's now: stop, and keep nothing."""


class StillDue(Exception):
    """The work ended but the row is due for the same work: a fault that would loop for ever."""


@dataclass(eq=False)
class Claim(Generic[Row]):
    """The right to work on one row until the lease runs out. Made by `claims` and `claim_batch`."""

    kind: kinds.Kind
    model: type[Row]
    tenant_id: uuid.UUID
    pk: uuid.UUID
    token: uuid.UUID
    tries: int  # this start included
    failures: int
    ended: bool = False
    _held_until: float = field(default=0.0, repr=False)  # monotonic; never later than the row says

    @property
    def lost(self) -> bool:
        """The lease ran out. Cheap: no query, right after a suspended process wakes up too."""
        return time.monotonic() > self._held_until

    def check(self) -> None:
        """Raise LeaseLost if the row may be somebody else's. For the loops of long work."""
        if self.lost:
            raise LeaseLost

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Keep the row while the block runs, up to the kind's limit."""
        with hold([self]):
            yield

    @contextmanager
    def finish(self) -> Iterator[Row]:
        """The end: what the block writes, and the end of the claim, commit together or not at all.

        Gives the locked row, in its tenant's scope; raises LeaseLost if it is not ours any more.
        The block must leave the row no longer due for this kind.
        """
        with tenant_scope(self.tenant_id):
            yield self._locked()
            self._let_go(tries=0, failures=0, last_error="", lease_until=None)
            if self._due():
                raise StillDue(self.kind.name)
        self.ended = True

    @contextmanager
    def step(self) -> Iterator[Row]:
        """A part of long work that is done for good: commits like `finish`, keeps the claim.

        Progress clears the counts: only starts without any progress make a row poison.
        """
        with tenant_scope(self.tenant_id):
            yield self._locked()
            self._mine().update(tries=1, failures=0, last_error="")
        self.tries, self.failures = 1, 0

    def release(self, *, error: str, retry_in: float | None = None) -> None:
        """An orderly failure that a later try may mend: give the row back, for `retry_in` seconds.

        Without `retry_in` the wait doubles with each failure in a row. `error` is a code. Too many
        failures park the row.
        """
        if self.failures + 1 >= self.kind.max_failures:
            self.park(error=error)
            return
        if retry_in is None:
            retry_in = retry_delay(self.failures + 1, chance=_chance())
        with tenant_scope(self.tenant_id):
            self._let_go(
                tries=0,
                failures=F("failures") + 1,
                last_error=error,
                lease_until=Now() + timedelta(seconds=retry_in),
            )
        self.ended = True

    def fail(self, *, error: str) -> None:
        """A start that did not end as it should, a fault of ours: pause, then park."""
        if self.tries >= self.kind.max_tries:
            self.park(error=error)
            return
        pause = timedelta(seconds=retry_delay(self.tries, chance=_chance()))
        with tenant_scope(self.tenant_id):
            self._let_go(last_error=error, lease_until=Now() + pause)
        self.ended = True

    def park(self, *, error: str) -> None:
        """Take the row out of work until a person puts it back; the owner hears in `on_park`."""
        with tenant_scope(self.tenant_id):
            row = self._locked()
            if self.kind.on_park is not None:
                self.kind.on_park(row)
            self._let_go(parked_at=Now(), last_error=error, lease_until=None)
        self.ended = True
        logger.error("work_parked", extra=self.facts | {"error": error})

    @property
    def facts(self) -> dict[str, object]:
        """For the log: ids only."""
        return {"kind": self.kind.name, "row_id": str(self.pk), "tries": self.tries}

    def _mine(self) -> Any:
        return self.model._default_manager.filter(pk=self.pk, lease_token=self.token)

    def _locked(self) -> Row:
        _limit_idle()
        row: Row | None = self._mine().select_for_update(of=("self",)).first()
        if row is None:
            raise LeaseLost
        return row

    def _let_go(self, **changes: object) -> None:
        if not self._mine().update(lease_token=None, **changes):
            raise LeaseLost

    def _due(self) -> bool:
        return bool(call_function("is_due", self.kind, self.pk)[0][0])


def claims(model: type[Row], *, kind: str, seconds: float | None = None) -> Iterator[Claim[Row]]:
    """Claim due rows one by one until none is due, for about a minute (`seconds`) at most.

    Rings for help when it sees more than it can do at once, and again when its time is up.
    """
    found = _kind_of(model, kind)
    until = time.monotonic() + (bell.DRAIN_SECONDS if seconds is None else seconds)
    while waiting := due(found, LOOK_AHEAD):
        asked_at, won = time.monotonic(), False
        random.shuffle(waiting)  # in turn, all workers would fight for the first row
        for number, (tenant_id, pk) in enumerate(waiting, start=1):
            if time.monotonic() > until:
                bell.ring(kind)
                return
            claim = _claim(found, model, tenant_id, pk)
            if claim is None:
                continue
            if not won and number < len(waiting):
                bell.ring(kind)
            won = True
            if not _poisoned(claim):
                yield claim
            if time.monotonic() - asked_at > STALE_SECONDS:
                break
        if not won:
            return  # all of them are in other hands


def claim_batch(model: type[Row], *, kind: str, size: int) -> list[Claim[Row]]:
    """Claim up to `size` due rows at once, to be worked on together under one `hold`.

    One transaction for each tenant among them.
    """
    found = _kind_of(model, kind)
    won: list[Claim[Row]] = []
    for tenant_id, group in groupby(sorted(due(found, size)), key=itemgetter(0)):
        won += _claim_together(found, model, tenant_id, [pk for _, pk in group])
    return [claim for claim in won if not _poisoned(claim)]


@contextmanager
def finish_together(held: Sequence[Claim[Row]]) -> Iterator[list[tuple[Claim[Row], Row]]]:
    """`Claim.finish` for several claims of one tenant, in one transaction.

    Gives those that are still ours with their locked rows; what was lost is missing. The block must
    leave none of them due for their kind.
    """
    kind, model, tenant_id = held[0].kind, held[0].model, held[0].tenant_id
    if any((claim.kind, claim.tenant_id) != (kind, tenant_id) for claim in held):
        raise ValueError("Only claims of one kind and tenant end together.")
    by_token = {claim.token: claim for claim in held}
    with tenant_scope(tenant_id):
        _limit_idle()
        mine = model._default_manager.filter(lease_token__in=list(by_token))
        rows = list(mine.order_by("pk").select_for_update(of=("self",)))
        pairs = [(by_token[row.lease_token], row) for row in rows if row.lease_token]
        yield pairs
        ended = mine.update(lease_token=None, tries=0, failures=0, last_error="", lease_until=None)
        if ended != len(pairs):
            raise LeaseLost
        if _any_due(kind, [row.pk for row in rows]):
            raise StillDue(kind.name)
    for claim, _ in pairs:
        claim.ended = True


@contextmanager
def hold(held: Sequence[Claim[Any]]) -> Iterator[None]:
    """Renew these claims from one thread while the block runs; those that ended fall out."""
    if not held:
        yield
        return
    renewer = Renewer(lambda: _renew(held), limit=min(claim.kind.lease_limit for claim in held))
    renewer.start()
    try:
        yield
    finally:
        renewer.stop()


@contextmanager
def hold_open(held: Sequence[Claim[Any]], *, limit: float) -> Iterator[None]:
    """Like `hold`, for a list to which the block adds claims and from which it takes them again.

    Renews for `limit` seconds at most; that no single claim is kept too long is up to the block.
    """
    renewer = Renewer(lambda: _renew(list(held)) or True, limit=limit)
    renewer.start()
    try:
        yield
    finally:
        renewer.stop()


def due(kind: kinds.Kind, size: int) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Up to `size` rows (tenant, id) of all tenants that are due, fairly mixed."""
    return call_function("due", kind, size)


def _claim(
    kind: kinds.Kind, model: type[Row], tenant_id: uuid.UUID, pk: uuid.UUID
) -> Claim[Row] | None:
    won = _claim_together(kind, model, tenant_id, [pk])
    return won[0] if won else None


def _claim_together(
    kind: kinds.Kind, model: type[Row], tenant_id: uuid.UUID, pks: Sequence[uuid.UUID]
) -> list[Claim[Row]]:
    """Of these rows of one tenant, those that nobody else has."""
    tokens = [uuid.uuid4() for _ in pks]
    asked_at, alone = time.monotonic(), not connection.in_atomic_block
    with tenant_scope(tenant_id):
        if alone:
            _quick_commit()
        values: list[Any] = [list(pks), tokens, timedelta(seconds=LEASE_SECONDS)]
        with connection.cursor() as cursor:
            cursor.execute(  # the name is ours: `Kind` checks it
                "SELECT wanted.id, wanted.token, won.tries, won.failures"  # noqa: S608
                " FROM unnest(%s::uuid[], %s::uuid[]) AS wanted (id, token)"
                f" CROSS JOIN LATERAL claim_{kind.name}(wanted.id, wanted.token, %s) AS won",
                values,
            )
            rows = cursor.fetchall()
    claims_won = [Claim(kind, model, tenant_id, *row) for row in rows]
    for claim in claims_won:
        claim._held_until = asked_at + LEASE_SECONDS
    return claims_won


def _poisoned(claim: Claim[Any]) -> bool:
    """Park a row that was started too often without an end. A hook that fails costs it a lease."""
    if claim.tries <= claim.kind.max_tries:
        return False
    try:
        claim.park(error="NEVER_ENDED")
    except LeaseLost:
        pass
    except Exception as cause:  # noqa: BLE001 - one row's hook must not stop the others
        logger.error("work_park_failed", extra=claim.facts | {"error": type(cause).__name__})
    return True


def _renew(held: Sequence[Claim[Any]]) -> bool:
    """Renew what is neither ended nor lost; whether anything is left."""
    open_claims = sorted((c for c in held if not c.ended and not c.lost), key=_tenant)
    for tenant_id, group in groupby(open_claims, key=_tenant):
        _renew_for(tenant_id, list(group))
    return bool(open_claims)


def _renew_for(tenant_id: uuid.UUID, group: list[Claim[Any]]) -> None:
    asked_at = time.monotonic()
    tokens = [claim.token for claim in group]
    with tenant_scope(tenant_id):
        _quick_commit()
        rows = group[0].model._default_manager.filter(lease_token__in=tokens)
        rows.filter(lease_until__gt=Now()).update(
            lease_until=Now() + timedelta(seconds=LEASE_SECONDS)
        )
        renewed = set(rows.filter(lease_until__gt=Now()).values_list("lease_token", flat=True))
    for claim in group:
        claim._held_until = asked_at + LEASE_SECONDS if claim.token in renewed else 0.0


def _tenant(claim: Claim[Any]) -> uuid.UUID:
    return claim.tenant_id


def _kind_of(model: type[Row], kind: str) -> kinds.Kind:
    found = kinds.get(kind)
    if found.model is not model:
        raise ValueError(f"{kind} is not a kind of work on {model.__name__}.")
    return found


def _any_due(kind: kinds.Kind, pks: Sequence[uuid.UUID]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT bool_or(is_due_{kind.name}(pk)) FROM unnest(%s::uuid[]) AS pk",  # noqa: S608
            [list(pks)],
        )
        return bool(cursor.fetchone()[0])


def _limit_idle() -> None:
    """A suspended process would keep its locks on rows for ever, and no lease helps there."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '10s'")


def _quick_commit() -> None:
    """A lease need not outlive a crash of the database: its token fences it. Saves a disk flush."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing
