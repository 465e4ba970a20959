"""How many minutes of calls were spent in a month (UTC), in all and by agency.

A call belongs to the month in which it ends. One that could not be scored counts toward the
allowance and is not billed. Seconds are summed and never rounded call by call.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Self

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from calls.history.listing import Reader
from calls.models import Call, ErasedCall
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, Tenant
from tenants.selectors import database_now

MOST_AGENCIES = 1000  # listed; the sums are over all
_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month, UTC. `end` is the first moment after it."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, moment: datetime) -> Self:
        begin = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return cls(begin, (begin + timedelta(days=31)).replace(day=1))

    @classmethod
    def parse(cls, text: str) -> Self:
        """`2026-06`; raises InvalidRequest for anything else."""
        if not _MONTH.fullmatch(text):
            raise InvalidRequest("month must look like 2026-06.", details={"field": "month"})
        return cls.of(datetime(int(text[:4]), int(text[5:]), 1, tzinfo=UTC))

    def __str__(self) -> str:
        return f"{self.begin:%Y-%m}"


@dataclass(frozen=True, slots=True)
class Tally:
    """What some calls come to. `seconds` of all of them, `billable_seconds` of the scored ones."""

    calls: int = 0
    scored: int = 0
    seconds: float = 0.0
    billable_seconds: float = 0.0

    def __add__(self, other: Self) -> "Tally":
        return Tally(
            self.calls + other.calls,
            self.scored + other.scored,
            self.seconds + other.seconds,
            self.billable_seconds + other.billable_seconds,
        )


Tallies = dict[str | None, Tally]  # by the integrator's name of the agency


@dataclass(frozen=True, slots=True)
class Usage:
    """The month of a reader. `minutes_allowed` is the whole tenant's, None where there is none."""

    month: Month
    minutes_allowed: int | None
    total: Tally
    agencies: Tallies  # None: calls without one


def usage_of(*, tenant: Tenant, reader: Reader, month: str | None) -> Usage:
    """What the reader's calls of that month come to, the running ones included; None: this month.

    The allowance is told to whom it concerns: a live key that sees the whole tenant.
    """
    with tenant_scope(reader.tenant_id):
        now = database_now()
        wanted = Month.parse(month) if month is not None else Month.of(now)
        parts = [_ended(reader, wanted), _erased(reader, wanted)]
        if wanted.begin <= now < wanted.end:
            parts.append(_running(reader))
    agencies: Tallies = {}
    for agency, tally in chain.from_iterable(part.items() for part in parts):
        agencies[agency] = agencies.get(agency, Tally()) + tally
    whole = reader.mode == ApiKey.Mode.LIVE and not reader.agencies
    return Usage(
        month=wanted,
        minutes_allowed=tenant.monthly_minutes if whole else None,
        total=sum(agencies.values(), Tally()),
        agencies=agencies,
    )


def _ended(reader: Reader, month: Month) -> Tallies:
    calls = reader.calls().filter(
        ended_at__gte=month.begin, ended_at__lt=month.end, started_at__isnull=False
    )
    scored = Q(stage=Call.Stage.SCORED)
    return _tallies(calls, "external_agency_id", F("ended_at") - F("started_at"), scored)


def _running(reader: Reader) -> Tallies:
    calls = reader.calls().filter(stage=Call.Stage.LIVE, ended_at=None)
    none_yet = Q(stage=Call.Stage.SCORED)
    return _tallies(calls, "external_agency_id", Now() - F("started_at"), none_yet)


def _erased(reader: Reader, month: Month) -> Tallies:
    """Calls that were erased count as before; of them only this is left."""
    rows = ErasedCall.objects.for_tenant(reader.tenant_id)
    rows = rows.filter(mode=reader.mode, month=month.begin.date())
    if reader.agencies:
        rows = rows.filter(agency_id__in=reader.agencies)
    return _tallies(rows, "agency__external_id", F("seconds"), Q(scored=True))


def _tallies(rows: QuerySet[Any], agency: str, length: Combinable, scored: Q) -> Tallies:
    counted = rows.values(agency).annotate(
        number=Count("tenant_id"),
        scored_number=Count("tenant_id", filter=scored),
        spent=Sum(length),
        billable=Sum(length, filter=scored),
    )
    return {row[agency]: _tally(row) for row in counted.order_by()}


def _tally(row: Mapping[str, Any]) -> Tally:
    spent, billable = _seconds(row["spent"]), _seconds(row["billable"])
    return Tally(row["number"], row["scored_number"], spent, billable)


def _seconds(length: timedelta | float | None) -> float:
    return length.total_seconds() if isinstance(length, timedelta) else length or 0.0
