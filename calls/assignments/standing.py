"""How far people are with what they were asked to practise: computed from their scored calls."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import (
    Case,
    Count,
    Exists,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import JSONObject

from calls.assignments.giving import AssignmentNotFound
from calls.assignments.schedule import due_end
from calls.history.filters import Cursor
from calls.history.listing import Reader
from calls.models import Assignee, Assignment, Call, Drill
from calls.reps.people import reading, rep_name
from scoring.selectors import rubric_latest
from tenants.models import ApiKey, Rep, User
from tenants.selectors import database_now

OF_A_REP = 20  # assignments shown with a rep, the newest
# Which calls of an assignee count: live ones, unless the sandbox alone knows the rep.
_MODE = Case(
    When(rep__sandbox_only=True, then=Value(ApiKey.Mode.TEST)), default=Value(ApiKey.Mode.LIVE)
)


class State(StrEnum):
    """Where one rep stands."""

    OPEN = "open"
    TRIED = "tried"  # practised, not passed yet
    PASSED = "passed"
    PASSED_LATE = "passed_late"
    LATE = "late"  # the day is over and it is not passed
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Standing:
    """One rep of an assignment."""

    assignment: Assignment
    rep: Rep
    attempts: int
    best: int | None  # points of 100
    passed_at: datetime | None  # the end of the first call that passed
    state: State
    mails: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The people of an assignment, by how far they are. `late` are not among the others."""

    people: int
    passed: int
    tried: int
    late: int


@dataclass(frozen=True, slots=True)
class Row:
    assignment: Assignment
    title: str  # of the drill
    tally: Tally


@dataclass(frozen=True, slots=True)
class AssignmentPage:
    rows: list[Row]
    next_cursor: str | None


def assignments_page(*, reader: Reader, limit: int, cursor: str = "") -> AssignmentPage:
    """The newest first. Raises InvalidRequest for a cursor of another list."""
    digest = json.dumps(["assignments", str(reader.tenant_id), *map(str, reader.agencies)])
    place = Cursor.read(cursor, list_digest=digest) if cursor else None
    with reading(reader):
        rows = _assignments(reader)
        if place:
            same = Q(created_at=place.at, id__lt=place.row_id)
            rows = rows.filter(Q(created_at__lt=place.at) | same, created_at__lte=place.at)
        found = list(rows.order_by("-created_at", "-id")[: limit + 1])
        page = found[:limit]
        standings = standings_of(_assignees(reader).filter(assignment__in=page))
        titles = drill_titles({assignment.drill_key for assignment in page})
    last = page[-1] if len(found) > limit else None
    return AssignmentPage(
        rows=[_row(assignment, titles, standings) for assignment in page],
        next_cursor=Cursor(last.created_at, last.created_at, last.pk).write(list_digest=digest)
        if last
        else None,
    )


def assignment_get(*, reader: Reader, public_id: str) -> tuple[Row, list[Standing]]:
    """One with its people, those who are late first. Raises AssignmentNotFound."""
    with reading(reader):
        rows = _assignments(reader)
        assignment = rows.filter(public_id=public_id).first()
        if assignment is None:
            raise AssignmentNotFound
        standings = standings_of(_assignees(reader).filter(assignment=assignment))
        titles = drill_titles({assignment.drill_key})
    order = list(State)
    urgent = {State.LATE: -2, State.OPEN: -1}
    standings.sort(
        key=lambda s: (urgent.get(s.state, order.index(s.state)), rep_name(s.rep).casefold())
    )
    return _row(assignment, titles, standings), standings


def assignments_of_rep(*, reader: Reader, rep: Rep) -> list[Standing]:
    """What one rep was asked for, the newest first."""
    with reading(reader):
        rows = _assignees(reader).filter(rep=rep)
        newest = rows.order_by("-assignment__created_at", "-id").values_list("pk", flat=True)
        return standings_of(_assignees(reader).filter(pk__in=list(newest[:OF_A_REP])))


def standing_of(assignee: Assignee) -> Standing:
    """Of one rep with one assignment. Needs the scope."""
    return standings_of(Assignee.objects.for_tenant(assignee.tenant_id).filter(pk=assignee.pk))[0]


def assigned_by(assignment: Assignment) -> str:
    """The name of who gave it."""
    kind, _, user_id = assignment.created_by.partition(":")
    user = User.objects.filter(pk=user_id).first() if kind == "user" else None
    return (user.name or user.email) if user else "somebody who has left"


def titles_of(*, reader: Reader, standings: Sequence[Standing]) -> dict[str, str]:
    """The titles of their drills, by key; the key itself where a drill is gone."""
    keys = {standing.assignment.drill_key for standing in standings}
    if not keys:
        return {}
    with reading(reader):
        return {key: key for key in keys} | drill_titles(keys)


def drill_titles(keys: Iterable[str]) -> dict[str, str]:
    """By key, of the newest version. Needs the scope."""
    rows = Drill.objects.with_catalogue().filter(key__in=list(keys)).order_by("version")
    return dict(rows.values_list("key", "title"))


def check_title(*, reader: Reader, drill_key: str, check_key: str) -> str:
    """What the drill's rubric calls that check; empty where it has none of that key."""
    if not drill_key or not check_key or "\x00" in drill_key:
        return ""
    with reading(reader):
        rubric = rubric_latest(tenant_id=reader.tenant_id, key=drill_key)
    sections = rubric.content.get("sections", []) if rubric else []
    checks = (check for section in sections for check in section["checks"])
    return next((str(check["title"]) for check in checks if check["key"] == check_key), "")


def state_of(
    assignment: Assignment, *, attempts: int, passed_at: datetime | None, now: datetime
) -> State:
    """Pure."""
    end = due_end(assignment.due_on)
    if passed_at is not None:
        return State.PASSED if passed_at < end else State.PASSED_LATE
    if assignment.cancelled_at is not None:
        return State.CANCELLED
    if now >= end:
        return State.LATE
    return State.TRIED if attempts else State.OPEN


def _assignments(reader: Reader) -> QuerySet[Assignment]:
    rows = Assignment.objects.for_tenant(reader.tenant_id)
    if reader.mode == ApiKey.Mode.LIVE:
        real = Assignee.objects.filter(assignment=OuterRef("pk"), rep__sandbox_only=False)
        rows = rows.filter(Exists(real))
    return rows.filter(agencies__overlap=list(reader.agencies)) if reader.agencies else rows


def _assignees(reader: Reader) -> QuerySet[Assignee]:
    rows = Assignee.objects.for_tenant(reader.tenant_id)
    return rows.filter(agency_id__in=reader.agencies) if reader.agencies else rows


def standings_of(rows: QuerySet[Assignee]) -> list[Standing]:
    """Of these people. Needs the scope. What a rep keeps to themselves counts for nothing here."""
    rows = rows.select_related("assignment", "rep").annotate(mode=_MODE).annotate(told=_told())
    now = database_now()
    found = rows.order_by("-assignment__created_at", "rep__external_id")
    return [_standing(assignee, assignee.told, now) for assignee in found]


def _standing(assignee: Assignee, told: dict[str, Any] | None, now: datetime) -> Standing:
    """`told` as `_told` brings it: None where nothing was practised."""
    told = told or {"attempts": 0, "best": None, "passed_at": None}
    attempts, at = told["attempts"], told["passed_at"]
    passed_at = datetime.fromisoformat(at) if at else None
    return Standing(
        assignment=assignee.assignment,
        rep=assignee.rep,
        attempts=attempts,
        best=told["best"],
        passed_at=passed_at,
        state=state_of(assignee.assignment, attempts=attempts, passed_at=passed_at, now=now),
        mails=assignee.mails,
    )


def _told() -> Subquery:
    """Of the outer assignee: how scored calls of the drill went since it was given.

    All at once: a busy rep's calls are many, and are read once only.
    """
    calls = Call.objects.filter(
        external_user_id=OuterRef("rep__external_id"),
        mode=OuterRef("mode"),
        stage=Call.Stage.SCORED,
        ended_at__gte=OuterRef("assignment__created_at"),
        drill_key=OuterRef("assignment__drill_key"),
        private=False,
        overall__isnull=False,
    )
    passing = Q(overall__gte=OuterRef("assignment__pass_mark"))
    told = JSONObject(
        attempts=Count("pk"), best=Max("overall"), passed_at=Min("ended_at", filter=passing)
    )
    grouped = calls.order_by().values("external_user_id").annotate(told=told)
    return Subquery(grouped.values("told"))


def _row(assignment: Assignment, titles: dict[str, str], standings: Sequence[Standing]) -> Row:
    states = [s.state for s in standings if s.assignment.pk == assignment.pk]
    tally = Tally(
        people=len(states),
        passed=sum(state in {State.PASSED, State.PASSED_LATE} for state in states),
        tried=states.count(State.TRIED),
        late=states.count(State.LATE),
    )
    return Row(assignment, titles.get(assignment.drill_key, assignment.drill_key), tally)
