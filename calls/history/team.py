"""What a team practised: figures of a period, from sums that cost the same for any number of calls.

Everything is read in one scope of the reader, who may be limited to agencies; the door opens it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from django.db.models import Case, Count, F, Model, Q, QuerySet, Sum, When

from calls.history.listing import Reader
from calls.history.to_review import ToReview, calls_to_review
from calls.models import Drill, PracticeCheck, PracticeDay, PracticeTotal, RepStanding
from tenants.isolation import CATALOGUE
from tenants.models import Agency

ENOUGH = 5  # verdicts or scores: with fewer nothing is said about a team
WEAKEST, NEEDY, BETTER = 6, 6, 5  # rows shown
RISES_BY, FALLS_BY, LOW = 5, 10, 60  # points of 100
ABSENT, GONE = timedelta(days=14), timedelta(days=60)
AGENCIES = 200  # offered as a filter

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, UTC, the last included."""

    first: date
    last: date

    @classmethod
    def until(cls, today: date, days: int) -> "Period":
        return cls(today - timedelta(days=days - 1), today)

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def before(self) -> "Period":
        """The same length, right before."""
        return Period.until(self.first - timedelta(days=1), self.days)

    def begin(self) -> datetime:
        return datetime.combine(self.first, time(), UTC)


@dataclass(frozen=True, slots=True)
class Sums:
    """Of some days. `seconds` from start to end of all calls, `points` of the scored ones."""

    calls: int = 0
    seconds: int = 0
    scored: int = 0
    points: int = 0

    @property
    def mean(self) -> float | None:
        """Points of 100; None where nothing was scored."""
        return self.points / self.scored if self.scored else None

    @classmethod
    def of(cls, several: Iterable["Sums"]) -> "Sums":
        columns = zip(*((s.calls, s.seconds, s.scored, s.points) for s in several), strict=True)
        return cls(*map(sum, columns))


@dataclass(frozen=True, slots=True)
class WeakCheck:
    """A check that the team loses points on."""

    drill_key: str
    drill: str
    check_key: str
    title: str
    asked: int
    met: int
    partly: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """Somebody whom a manager should look after, or who got better, and why it is said."""

    public_id: str  # of the rep
    name: str  # the integrator's id where no name is known
    agency: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Team:
    """All of the page. `by_day` has the days of the period that have calls."""

    by_day: dict[date, Sums]
    earlier: Sums  # the period before, of the same length
    practised: int  # reps with a score in the period
    weakest: list[WeakCheck]
    needy: list[Noticed]
    better: list[Noticed]
    to_review: list[ToReview]
    agencies: list[Agency]

    @property
    def now(self) -> Sums:
        return Sums.of(self.by_day.values()) if self.by_day else Sums()


def agencies_seen(reader: Reader) -> list[Agency]:
    """Those that the reader may choose from, by name. Needs the reader's scope."""
    rows = Agency.objects.for_tenant(reader.tenant_id)
    if reader.agencies:
        rows = rows.filter(pk__in=reader.agencies)
    return sorted(rows[:AGENCIES], key=lambda agency: agency.name or agency.external_id)


def team_find(
    *, reader: Reader, period: Period, now: datetime, agency: Agency | None, agencies: list[Agency]
) -> Team:
    """The team of the tenant, or of one of its agencies. Needs the reader's scope."""
    by_day = _by_day(reader, period.before().first, agency)
    standings = _of(RepStanding.objects.for_tenant(reader.tenant_id), reader, agency)
    lately = standings.filter(last_at__gte=period.begin())
    return Team(
        by_day={day: sums for day, sums in by_day.items() if day >= period.first},
        earlier=Sums.of([s for day, s in by_day.items() if day < period.first] or [Sums()]),
        practised=lately.aggregate(n=Count("rep", distinct=True))["n"],
        weakest=_weakest(reader, period, agency),
        needy=_needy(standings, now),
        better=_better(lately),
        to_review=calls_to_review(reader=reader, ended_from=period.begin(), agency=agency),
        agencies=agencies,
    )


def needy_reasons(standing: RepStanding, now: datetime) -> tuple[str, ...]:
    """Why a manager should look after the rep. Pure; empty: no reason."""
    found = []
    lately, before = standing.lately, standing.before
    if lately is not None and before is not None and before - lately >= FALLS_BY:
        found.append(_against_before(standing))
    elif lately is not None and lately < LOW:
        found.append(f"Last 3 scores {lately:.0f} of 100 on average")
    away = now - standing.last_at
    if ABSENT <= away <= GONE:
        found.append(f"No practice for {away.days} days")
    return tuple(found)


def _against_before(standing: RepStanding) -> str:
    """Of a standing that has both means."""
    return (
        f"Last 3 scores {standing.lately:.0f} on average, {standing.before:.0f} before"
        f" (n = {len(standing.scores)})"
    )


def _of(rows: QuerySet[Row], reader: Reader, agency: Agency | None) -> QuerySet[Row]:
    rows = rows.filter(mode=reader.mode)
    if agency is not None:
        return rows.filter(agency_id=agency.pk)
    return rows.filter(agency_id__in=reader.agencies) if reader.agencies else rows


def _by_day(reader: Reader, first: date, agency: Agency | None) -> dict[date, Sums]:
    rows = _of(PracticeDay.objects.for_tenant(reader.tenant_id), reader, agency)
    found = (
        rows.filter(day__gte=first, calls__gt=0)
        .values("day")
        .annotate(n=Sum("calls"), length=Sum("seconds"), good=Sum("scored"), sum=Sum("score_sum"))
        .order_by("day")
    )
    return {row["day"]: Sums(row["n"], row["length"], row["good"], row["sum"]) for row in found}


def _weakest(reader: Reader, period: Period, agency: Agency | None) -> list[WeakCheck]:
    """Those with the smallest share met, a half for partly, of those asked often enough."""
    checks = _of(PracticeCheck.objects.for_tenant(reader.tenant_id), reader, agency)
    whole = agency is None and not reader.agencies
    totals = PracticeTotal.objects.for_tenant(reader.tenant_id).filter(mode=reader.mode)
    rows: QuerySet[PracticeTotal] | QuerySet[PracticeCheck] = totals if whole else checks
    share = (F("yes") + F("half") * 0.5) / F("n")
    found = list(
        rows.filter(day__gte=period.first)
        .values("drill_key", "check_key")
        .annotate(n=Sum("asked"), yes=Sum("met"), half=Sum("partly"))
        .filter(n__gte=ENOUGH, yes__lt=F("n"))
        .order_by(share, "check_key")[:WEAKEST]
    )
    newest = [
        checks.filter(drill_key=row["drill_key"], check_key=row["check_key"])
        .order_by("-day")
        .values_list("drill_key", "check_key", "title")[:1]
        for row in found
    ]
    told = newest[0].union(*newest[1:], all=True) if newest else []
    titles = {(drill, check): title for drill, check, title in told}
    drills = drill_titles({row["drill_key"] for row in found})
    return [
        WeakCheck(
            drill_key=row["drill_key"],
            drill=drills.get(row["drill_key"], row["drill_key"]),
            check_key=row["check_key"],
            title=titles[row["drill_key"], row["check_key"]],
            asked=row["n"],
            met=row["yes"],
            partly=row["half"],
        )
        for row in found
    ]


def drill_titles(keys: set[str]) -> dict[str, str]:
    """The titles of drills, the tenant's own before the catalogue's. Needs the scope."""
    rows = Drill.objects.with_catalogue().filter(key__in=keys).order_by("version")
    ours_last = sorted(
        rows.only("key", "title", "tenant_id"), key=lambda d: d.tenant_id != CATALOGUE
    )
    return {drill.key: drill.title for drill in ours_last}


def _needy(standings: QuerySet[RepStanding], now: datetime) -> list[Noticed]:
    """Who falls most first, then who is low, then who stayed away."""
    falling = Q(lately__lte=F("before") - FALLS_BY)
    low = Q(lately__lt=LOW)
    absent = Q(last_at__lte=now - ABSENT, scores__len__gte=ENOUGH)
    urgency = Case(When(falling, then=0), When(low, then=1), default=2)
    found = (
        standings.filter(falling | low | absent, last_at__gte=now - GONE)
        .select_related("rep", "agency")
        .order_by(urgency, F("lately") - F("before"), "lately", "-last_at", "pk")[:NEEDY]
    )
    return [_noticed(standing, needy_reasons(standing, now)) for standing in found]


def _better(standings: QuerySet[RepStanding]) -> list[Noticed]:
    """Who rose most first, of those who practised in the period."""
    found = (
        standings.filter(lately__gte=F("before") + RISES_BY)
        .select_related("rep", "agency")
        .order_by(F("before") - F("lately"), "-last_at", "pk")[:BETTER]
    )
    return [_noticed(standing, (_against_before(standing),)) for standing in found]


def _noticed(standing: RepStanding, reasons: tuple[str, ...]) -> Noticed:
    return Noticed(
        public_id=standing.rep.public_id,
        name=standing.rep.name or standing.rep.external_id,
        agency=_named(standing.agency),
        reasons=reasons,
    )


def _named(agency: Agency | None) -> str:
    return (agency.name or agency.external_id) if agency else ""
