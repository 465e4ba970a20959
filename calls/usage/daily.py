"""A month's usage day by day (UTC), for the dashboard and as a table to keep.

A call stands on the day on which it ended. Erased calls have kept their month alone, so the days
may come to less than the month.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDay

from calls.history.listing import Reader
from calls.models import Call
from calls.usage.counting import Month
from tenants.isolation import tenant_scope

MOST_ROWS = 50_000  # 1,600 agencies on every day


@dataclass(frozen=True, slots=True)
class Day:
    """What the calls of one day come to; of one agency where it is named."""

    day: date
    calls: int
    scored: int
    seconds: float
    billable_seconds: float
    agency: str | None = None  # as the integrator names it; None: calls without one, or all


def days_of(*, reader: Reader, month: Month) -> list[Day]:
    """Every day of the month, those without a call included."""
    with tenant_scope(reader.tenant_id):
        found = {row["moment"].date(): row for row in _counted(reader, month)}
    first, length = month.begin.date(), (month.end - month.begin).days
    days = [first + timedelta(days=number) for number in range(length)]
    return [_day(found[day]) if day in found else Day(day, 0, 0, 0.0, 0.0) for day in days]


def days_by_agency(*, reader: Reader, month: Month) -> list[Day]:
    """The days with calls, agency by agency; at most `MOST_ROWS`, the first days first."""
    with tenant_scope(reader.tenant_id):
        found = list(_counted(reader, month, "external_agency_id")[:MOST_ROWS])
    return [_day(row) for row in found]


def months_before(now: datetime, *, most: int) -> list[Month]:
    """This month and those before it."""
    months = [Month.of(now.astimezone(UTC))]
    while len(months) < most:
        months.append(Month.of(months[-1].begin - timedelta(days=1)))
    return months


def _counted(reader: Reader, month: Month, *also: str) -> Any:
    calls = reader.calls().filter(
        ended_at__gte=month.begin, ended_at__lt=month.end, started_at__isnull=False
    )
    scored, length = Q(stage=Call.Stage.SCORED), F("ended_at") - F("started_at")
    return (
        calls.annotate(moment=TruncDay("ended_at", tzinfo=UTC))
        .values("moment", *also)
        .annotate(
            number=Count("tenant_id"),
            scored_number=Count("tenant_id", filter=scored),
            spent=Sum(length),
            billable=Sum(length, filter=scored),
        )
        .order_by("moment", *also)
    )


def _day(row: dict[str, Any]) -> Day:
    spent, billable = row["spent"], row["billable"]
    return Day(
        day=row["moment"].date(),
        calls=row["number"],
        scored=row["scored_number"],
        seconds=spent.total_seconds() if spent else 0.0,
        billable_seconds=billable.total_seconds() if billable else 0.0,
        agency=row.get("external_agency_id"),
    )
