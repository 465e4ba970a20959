"""Lists of calls, page by page."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet

from calls.history.filters import CallFilters, Cursor
from calls.models import Call
from scoring.models import Scorecard
from tenants.isolation import tenant_scope

SETTLED = """
    SELECT least(
        statement_timestamp() - interval '250 milliseconds',
        min(xact_start) - interval '1 microsecond'
    )
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: the tenant, and the agencies that the key or the membership is limited to.

    `mode` is "live" or "test": what was practised in the sandbox is no part of the real list.
    """

    tenant_id: uuid.UUID
    agencies: tuple[uuid.UUID, ...] = ()  # empty: all
    mode: str = "live"

    def calls(self) -> QuerySet[Call]:
        """The calls that this reader may see. Needs the tenant's scope."""
        rows = Call.objects.for_tenant(self.tenant_id).filter(mode=self.mode)
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
    with tenant_scope(reader.tenant_id):
        as_of = place.as_of if place else _now(settled=filters.scored_from is not None)
        rows = reader.calls().filter(stage=Call.Stage.SCORED, scored_at__lte=as_of)
        rows = _filtered(rows, filters)
        found = list(_after(rows, filters, place)[: limit + 1])
    page = found[:limit]
    if len(found) <= limit:
        return Page(page, None)
    last = page[-1]
    at = last.scored_at if filters.scored_from else last.ended_at
    return Page(page, Cursor(as_of, _known(at), last.pk).write(list_digest=digest))


def calls_recent(*, reader: Reader, limit: int, cursor: str | None = None) -> Page:
    """A page of the reader's calls at whatever stage, the newest first, for people."""
    digest = f"recent:{reader.tenant_id}:{reader.mode}"
    place = Cursor.read(cursor, list_digest=digest) if cursor else None
    with tenant_scope(reader.tenant_id):
        rows = reader.calls().select_related("rep", "agency", "drill")
        if place:
            same = Q(created_at=place.at, id__lt=place.row_id)
            rows = rows.filter(Q(created_at__lt=place.at) | same, created_at__lte=place.at)
        found = list(rows.order_by("-created_at", "-id")[: limit + 1])
    page = found[:limit]
    if len(found) <= limit:
        return Page(page, None)
    last = page[-1].created_at
    return Page(page, Cursor(last, last, page[-1].pk).write(list_digest=digest))


def overall_scores(*, tenant_id: uuid.UUID, call_ids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The points of each call that has a scorecard, by the newest one."""
    with tenant_scope(tenant_id):
        cards = Scorecard.objects.for_tenant(tenant_id).filter(call_id__in=call_ids)
        return dict(cards.order_by("version").values_list("call_id", "overall"))


def _filtered(rows: QuerySet[Call], filters: CallFilters) -> QuerySet[Call]:
    wanted = {
        "ended_at__gte": filters.ended_from,
        "ended_at__lt": filters.ended_before,
        "scored_at__gte": filters.scored_from,
        "source": filters.source,
        "external_user_id": filters.external_user_id,
        "external_agency_id": filters.external_agency_id,
    }
    return rows.filter(**{field: value for field, value in wanted.items() if value is not None})


def _after(rows: QuerySet[Call], filters: CallFilters, place: Cursor | None) -> QuerySet[Call]:
    if filters.scored_from is not None:
        rows = rows.order_by("scored_at", "id")
        if place:
            same = Q(scored_at=place.at, id__gt=place.row_id)
            rows = rows.filter(Q(scored_at__gt=place.at) | same, scored_at__gte=place.at)
        return rows
    rows = rows.order_by("-ended_at", "-id")
    if place:
        same = Q(ended_at=place.at, id__lt=place.row_id)
        rows = rows.filter(Q(ended_at__lt=place.at) | same, ended_at__lte=place.at)
    return rows


def _now(*, settled: bool) -> datetime:
    """The database's time; `settled`: a moment before which nothing can be scored any more.

    A row's `scored_at` is the start of the transaction that scored it, so that is the start of the
    oldest running one. A transaction shows its start a moment after it took it, hence the margin.
    Those of other roles are invisible here, and score nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(SETTLED if settled else "SELECT statement_timestamp()")
        now: datetime = cursor.fetchall()[0][0]
    return now


def _known(at: datetime | None) -> datetime:
    if at is None:  # a constraint of the table forbids it for a scored call
        raise ValueError("A scored call has its times.")
    return at
