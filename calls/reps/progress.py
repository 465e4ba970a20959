"""A rep against their own past: points per drill, and how often each check was met."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, Q

from calls.history.filters import Cursor
from calls.history.listing import Page, Reader
from calls.models import Call, Drill
from calls.reps.people import reading
from scoring.models import Override, Scorecard, Verdict
from tenants.models import Rep

LOOKED_AT = 200  # of a rep's scored calls, the newest
SHOWN = 20  # attempts of a drill in its picture
NOW, BEFORE = 5, 15  # attempts that "now" and "before" are made of
ENOUGH = 3  # attempts on either side, below which nothing is said to be better or worse
WORTH = {"yes": 1.0, "partial": 0.5, "no": 0.0}
CLEAR = 0.2  # of the share of a check that was met: a smaller change is not called one
CLEAR_POINTS = 5.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A scored call, whose score the reader may see."""

    call_id: uuid.UUID
    public_id: str
    drill_key: str
    difficulty: str
    ended_at: datetime
    points: int


@dataclass(frozen=True, slots=True)
class Trend:
    """The mean of the latest few against the few before. Means are None where there is none."""

    now: float | None
    now_count: int
    before: float | None
    before_count: int
    clear: float

    @property
    def direction(self) -> str:
        """`up`, `down` or `same`; `unknown` where there is too little to compare."""
        if self.now is None or self.before is None:
            return "unknown"
        if min(self.now_count, self.before_count) < ENOUGH:
            return "unknown"
        change = self.now - self.before
        return "same" if abs(change) < self.clear else "up" if change > 0 else "down"

    @property
    def change(self) -> float:
        return (self.now or 0.0) - (self.before or 0.0)


@dataclass(frozen=True, slots=True)
class DrillProgress:
    """Attempts at one drill, the oldest first; `title` of its newest version."""

    key: str
    title: str
    attempts: tuple[Attempt, ...]
    count: int  # of those that were looked at; `attempts` are the latest of them
    best: int
    trend: Trend


@dataclass(frozen=True, slots=True)
class CheckProgress:
    """How far a check was met, 0..1, in the latest attempts that it came up in."""

    key: str
    title: str
    trend: Trend


def drills_of(*, reader: Reader, rep: Rep) -> list[DrillProgress]:
    """Each drill that the rep was scored in of late, the one practised last first."""
    with reading(reader):
        attempts = _attempts(reader, rep)
        titles = _titles({attempt.drill_key for attempt in attempts})
    by_drill: dict[str, list[Attempt]] = {}
    for attempt in attempts:  # the newest first
        by_drill.setdefault(attempt.drill_key, []).append(attempt)
    return [_progress(key, titles.get(key, key), newest) for key, newest in by_drill.items()]


def checks_of(*, reader: Reader, attempts: Sequence[Attempt]) -> list[CheckProgress]:
    """Each check of these attempts at one drill, those that are met least first."""
    latest = [attempt.call_id for attempt in attempts][-(NOW + BEFORE) :]
    with reading(reader):
        answers = _answers(reader, latest)
    newest_first = list(reversed(latest))
    seen: dict[str, tuple[str, list[float]]] = {}
    for call_id in newest_first:
        for key, title, worth in answers.get(call_id, ()):
            seen.setdefault(key, (title, []))[1].append(worth)
    checks = [CheckProgress(key, title, trend(met, CLEAR)) for key, (title, met) in seen.items()]
    return sorted(checks, key=lambda check: (check.trend.now or 0.0, check.title))


def calls_of_rep(*, reader: Reader, rep: Rep, limit: int, cursor: str = "") -> Page:
    """The rep's calls at whatever stage, the newest first. Raises InvalidRequest."""
    digest = json.dumps(
        [str(reader.tenant_id), reader.mode, rep.pk.hex, *map(str, reader.agencies)]
    )
    place = Cursor.read(cursor, list_digest=digest) if cursor else None
    with reading(reader):
        titles = Prefetch("drill", Drill.objects.with_catalogue().only("title"))
        rows = reader.calls().filter(rep=rep).prefetch_related(titles)
        if place:
            same = Q(created_at=place.at, id__lt=place.row_id)
            rows = rows.filter(Q(created_at__lt=place.at) | same, created_at__lte=place.at)
        found = list(rows.order_by("-created_at", "-id")[: limit + 1])
    page = found[:limit]
    if len(found) <= limit:
        return Page(page, None)
    last = page[-1]
    return Page(page, Cursor(last.created_at, last.created_at, last.pk).write(list_digest=digest))


def trend(newest_first: Sequence[float], clear: float) -> Trend:
    """Pure: the latest five against up to fifteen before them; of six or seven the latest three or
    four, so that three are left to compare with."""
    latest = min(NOW, max(ENOUGH, len(newest_first) - ENOUGH))
    now, before = newest_first[:latest], newest_first[latest : latest + BEFORE]
    return Trend(_mean(now), len(now), _mean(before), len(before), clear)


def _attempts(reader: Reader, rep: Rep) -> list[Attempt]:
    rows = reader.calls().filter(
        external_user_id=rep.external_id,
        stage=Call.Stage.SCORED,
        private=False,
        overall__isnull=False,
    )
    columns = ("pk", "public_id", "drill_key", "difficulty", "ended_at", "overall")
    newest = rows.order_by("-ended_at", "-id").values_list(*columns)[:LOOKED_AT]
    return [Attempt(*row) for row in newest]


def _titles(keys: set[str]) -> dict[str, str]:
    rows = Drill.objects.with_catalogue().filter(key__in=keys).order_by("version")
    return dict(rows.values_list("key", "title"))


def _progress(key: str, title: str, newest: Sequence[Attempt]) -> DrillProgress:
    points = [attempt.points for attempt in newest]
    return DrillProgress(
        key=key,
        title=title,
        attempts=tuple(reversed(newest[:SHOWN])),
        count=len(newest),
        best=max(points),
        trend=trend(points, CLEAR_POINTS),
    )


def _answers(
    reader: Reader, calls: Sequence[uuid.UUID]
) -> Mapping[uuid.UUID, list[tuple[str, str, float]]]:
    """By call: what counts of its newest scorecard, a manager's answer before the judge's."""
    cards = Scorecard.objects.for_tenant(reader.tenant_id).filter(call_id__in=calls)
    newest = dict(cards.order_by("version").values_list("call_id", "pk"))
    overridden = _overridden(reader, list(newest.values()))
    rows = Verdict.objects.for_tenant(reader.tenant_id).filter(
        scorecard_id__in=list(newest.values())
    )
    found: dict[uuid.UUID, list[tuple[str, str, float]]] = {}
    for verdict in rows.select_related("scorecard").order_by("position"):
        card, key = verdict.scorecard, verdict.check_key
        judged = verdict.answer if verdict.verified else ""
        worth = WORTH.get(overridden.get((card.pk, key)) or judged)
        if worth is not None:
            found.setdefault(card.call_id, []).append((key, verdict.title, worth))
    return found


def _overridden(reader: Reader, cards: Sequence[uuid.UUID]) -> Mapping[tuple[uuid.UUID, str], str]:
    """By scorecard and check: a manager's last answer; empty where it was given back."""
    rows = Override.objects.for_tenant(reader.tenant_id).filter(scorecard_id__in=cards)
    said = rows.exclude(check_key="").order_by("number")
    return {
        (card, key): answer
        for card, key, answer in said.values_list("scorecard_id", "check_key", "answer")
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
