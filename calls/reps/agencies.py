"""Agencies and how much is practised in each, against their own past."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum

from calls.history.listing import Reader
from calls.models import Call, PracticeDay
from calls.reps.people import CHOICES, agencies_of, reading, reps_of
from tenants.models import Agency, Membership
from tenants.selectors import database_now
from tenants.team import MEMBERS_MOST

ENOUGH = 5  # scores on either side of a comparison


@dataclass(frozen=True, slots=True)
class AgencyRow:
    """An agency in the list."""

    agency: Agency
    reps: int
    unnamed: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class AgencySetUp:
    """An agency in the settings. `members` are those who see nothing but their agencies."""

    agency: Agency
    reps: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Month:
    """Thirty days of an agency. `mean` is of the scores that count, None without any."""

    calls: int
    minutes: float
    scored: int
    mean: float | None


@dataclass(frozen=True, slots=True)
class Months:
    """The last thirty days, today included, and the thirty before them."""

    now: Month
    before: Month

    @property
    def change(self) -> float | None:
        """Points up or down; None where either side has too few scores to be compared."""
        if self.now.mean is None or self.before.mean is None:
            return None
        if min(self.now.scored, self.before.scored) < ENOUGH:
            return None
        return self.now.mean - self.before.mean


def agency_months(*, reader: Reader, agency: Agency) -> Months:
    """The agency against its own past: of the sums that are kept per day."""
    today = database_now().astimezone(UTC).date()
    border, begin = today - timedelta(days=29), today - timedelta(days=59)
    with reading(reader):
        days = PracticeDay.objects.for_tenant(reader.tenant_id).filter(
            agency_id=agency.pk, mode=reader.mode
        )
        return Months(
            now=_month(days.filter(day__gte=border, day__lte=today)),
            before=_month(days.filter(day__gte=begin, day__lt=border)),
        )


def agency_rows(*, reader: Reader) -> list[AgencyRow]:
    """The reader's agencies, at most 500, by the integrator's name for them."""
    with reading(reader):
        found = list(agencies_of(reader).order_by("external_id")[:CHOICES])
        ids = [agency.pk for agency in found]
        reps, unnamed = _counts(reader, ids), _counts(reader, ids, name="")
        last = _last(reader, ids)
    return [AgencyRow(a, reps.get(a.pk, 0), unnamed.get(a.pk, 0), last.get(a.pk)) for a in found]


def agencies_set_up(*, reader: Reader, after: str, limit: int) -> list[AgencySetUp]:
    """Agencies by the integrator's ids that come after that one, and who is limited to each."""
    with reading(reader):
        rows = agencies_of(reader).filter(external_id__gt=after) if after else agencies_of(reader)
        found = list(rows.order_by("external_id")[:limit])
        ids = [agency.pk for agency in found]
        reps = _counts(reader, ids)
        members = Membership.objects.for_tenant(reader.tenant_id).filter(agencies__overlap=ids)
        limited = [
            (set(member.agencies), member.user.name or member.user.email)
            for member in members.select_related("user").order_by("user__email")[:MEMBERS_MOST]
        ]
    return [
        AgencySetUp(
            agency,
            reps.get(agency.pk, 0),
            tuple(name for agencies, name in limited if agency.pk in agencies),
        )
        for agency in found
    ]


def _month(days: QuerySet[PracticeDay]) -> Month:
    sums = days.aggregate(
        calls=Sum("calls"), seconds=Sum("seconds"), scored=Sum("scored"), points=Sum("score_sum")
    )
    scored = sums["scored"] or 0
    mean = sums["points"] / scored if scored else None
    return Month(sums["calls"] or 0, (sums["seconds"] or 0) / 60, scored, mean)


def _counts(reader: Reader, ids: Sequence[uuid.UUID], **which: str) -> dict[uuid.UUID, int]:
    rows = reps_of(reader).filter(agency_id__in=ids, **which)
    return dict(rows.values("agency_id").annotate(n=Count("pk")).values_list("agency_id", "n"))


def _last(reader: Reader, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, datetime | None]:
    """When each was practised in last: one step into an index for each."""
    scored = Call.objects.for_tenant(reader.tenant_id).filter(
        agency_id=OuterRef("pk"), mode=reader.mode, stage=Call.Stage.SCORED
    )
    newest = Subquery(scored.order_by("-ended_at", "-id").values("ended_at")[:1])
    rows = Agency.objects.for_tenant(reader.tenant_id).filter(pk__in=ids)
    return dict(rows.annotate(last_at=newest).values_list("pk", "last_at"))


def agencies_named(*, reader: Reader, external_ids: Sequence[str]) -> dict[str, str]:
    """The names of those that have one, by the integrator's id."""
    with reading(reader):
        rows = agencies_of(reader).filter(external_id__in=external_ids).exclude(name="")
        return dict(rows.values_list("external_id", "name"))
