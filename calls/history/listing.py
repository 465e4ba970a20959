"""Lists of calls, page by page: a page costs the same however deep it lies.

Each order has an index of its own, whole, of one rep and of one agency (`Call.Meta.indexes`), and a
page reads little more of it than its own rows. `bench/calls_list.py` asserts the plans.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db import connection
from django.db.models import Q, QuerySet
from django_scopes import get_scope

from calls.history.filters import CallFilters, Cursor
from calls.models import Call
from tenants.isolation import tenant_scope
from tenants.models import Agency

# What a row of the API shows, and what the cursor needs; the wide rest stays in the database.
ROW = (
    "public_id", "source", "external_user_id", "external_agency_id", "drill_key", "started_at",
    "ended_at", "scored_at",
)  # fmt: skip
Row = TypeVar("Row")  # a call, or some of its columns
SETTLED = """
    SELECT least(
        statement_timestamp() - interval '250 milliseconds',
        min(CASE WHEN backend_xid IS NULL THEN query_start ELSE xact_start END)
            - interval '1 microsecond'
    )
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND xact_start IS NOT NULL AND (backend_xid IS NOT NULL OR state = 'active')
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: the tenant, and the agencies that the key or the membership is limited to.

    `mode` is "live" or "test": what was practised in the sandbox is no part of the real list.
    """

    tenant_id: uuid.UUID
    agencies: tuple[uuid.UUID, ...] = ()  # empty: all
    mode: str = "live"

    @contextmanager
    def scope(self) -> Iterator[None]:
        """The tenant's scope, limited as the reader is. Several reads share one: where it is open
        already, it is that one."""
        around = get_scope()
        mine = (self.tenant_id, tuple(self.agencies))
        if (around.get("tenant"), tuple(around.get("agencies", ()))) == mine:
            yield
            return
        with tenant_scope(self.tenant_id, agencies=self.agencies):
            yield

    def calls(self) -> QuerySet[Call]:
        """The calls that this reader may see. Needs the scope."""
        rows = calls_of_mode(self)
        return rows.filter(agency_id__in=self.agencies) if self.agencies else rows


@dataclass(frozen=True, slots=True)
class Page:
    calls: list[Call]
    next_cursor: str | None


def calls_scored(
    *, reader: Reader, filters: CallFilters, limit: int, cursor: str | None = None
) -> Page:
    """A page of scored calls.

    A list shows what was scored when its first page was asked for, so no row comes twice and none
    is left out, whatever is scored meanwhile. Where it goes by the time of scoring, it stops short
    of anything that a running transaction could still add: who goes on from the last row's
    `scoredAt` misses nothing.
    """
    digest = filters.digest(tenant_id=reader.tenant_id, mode=reader.mode)
    place = Cursor.read(cursor, list_digest=digest) if cursor is not None else None
    with reader.scope():
        as_of = place.as_of if place else _now(settled=filters.scored_from is not None)
        rows = calls_of_mode(reader).filter(stage=Call.Stage.SCORED, scored_at__lte=as_of)
        rows = _after(_filtered(rows, filters), filters, place).only(*ROW)
        agencies = _agencies(reader, filters)
        if filters.external_user_id is not None and agencies is not None:
            rows, agencies = rows.filter(agency_id__in=agencies), None  # one rep's are few
        order = ("scored_at", "id") if filters.scored_from else ("-ended_at", "-id")
        found = calls_first(rows, order, limit + 1, agencies)
    page = found[:limit]
    if len(found) <= limit:
        return Page(page, None)
    last = page[-1]
    at = last.scored_at if filters.scored_from else last.ended_at
    return Page(page, Cursor(as_of, _known(at), last.pk).write(list_digest=digest))


def calls_of_mode(reader: Reader) -> QuerySet[Call]:
    return Call.objects.for_tenant(reader.tenant_id).filter(mode=reader.mode)


def _filtered(rows: QuerySet[Call], filters: CallFilters) -> QuerySet[Call]:
    wanted = {
        "ended_at__gte": filters.ended_from,
        "ended_at__lt": filters.ended_before,
        "scored_at__gte": filters.scored_from,
        "source": filters.source,
        "external_user_id": filters.external_user_id,
    }
    return rows.filter(**{field: value for field, value in wanted.items() if value is not None})


def _agencies(reader: Reader, filters: CallFilters) -> tuple[uuid.UUID, ...] | None:
    """Those whose calls are listed; None: all calls, also those of no agency."""
    if filters.external_agency_id is None:
        return reader.agencies or None
    named = Agency.objects.for_tenant(reader.tenant_id)
    if reader.agencies:
        named = named.filter(pk__in=reader.agencies)
    named = named.filter(external_id=filters.external_agency_id)
    return tuple(named.values_list("pk", flat=True))


def calls_first(
    rows: QuerySet[Call, Row],
    order: tuple[str, str],
    count: int,
    agencies: Sequence[uuid.UUID] | None,
) -> list[Row]:
    """The first in that order, of all or of some agencies.

    PostgreSQL would sort all rows of `agency_id IN (...)`, or walk past everybody else's. A part
    for each agency, in order and with a limit of its own, is an index scan, merged as they come.
    """
    if agencies is not None and len(agencies) < 2:
        rows = rows.filter(agency_id__in=agencies)
    elif agencies is not None:
        first, *others = (rows.filter(agency_id=one).order_by(*order)[:count] for one in agencies)
        rows = first.union(*others, all=True)
    return list(rows.order_by(*order)[:count])


def _after(rows: QuerySet[Call], filters: CallFilters, place: Cursor | None) -> QuerySet[Call]:
    if place is None:
        return rows
    if filters.scored_from is not None:
        same = Q(scored_at=place.at, id__gt=place.row_id)
        return rows.filter(Q(scored_at__gt=place.at) | same, scored_at__gte=place.at)
    same = Q(ended_at=place.at, id__lt=place.row_id)
    return rows.filter(Q(ended_at__lt=place.at) | same, ended_at__lte=place.at)


def _now(*, settled: bool) -> datetime:
    """The database's time; `settled`: a moment before which nothing can be scored any more.

    A row's `scored_at` is the start of the statement that scored it. So that is, of those whose
    transactions run: who wrote already, since the transaction began; who runs a statement, since
    that began; who has only read and is idle can't. What begins is shown a moment later, hence the
    margin. Those of other roles are invisible here, and score nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(SETTLED if settled else "SELECT statement_timestamp()")
        now: datetime = cursor.fetchall()[0][0]
    return now


def _known(at: datetime | None) -> datetime:
    if at is None:  # a constraint of the table forbids it for a scored call
        raise ValueError("A scored call has its times.")
    return at
