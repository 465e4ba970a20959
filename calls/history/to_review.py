"""Calls that a manager should open: a rep waits for an answer, or the score asks for a listener."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef

from calls.history.filters import CallFilters
from calls.history.listing import Reader, calls_scored
from calls.models import Call, Dispute
from scoring.models import Override, Scorecard
from tenants.models import Agency, Rep

DISPUTED, REVIEWED = 5, 5  # rows shown of either kind
LOOKED_AT = 60  # newest scored calls among which those with a reason are found
BAD = 50  # points of 100
UNSURE_BELOW = 0.8  # share of the points with a verified verdict


@dataclass(frozen=True, slots=True)
class ToReview:
    """`check_key`: of the verdict that the rep sees differently; empty: it is about the score."""

    call: Call
    rep: str
    score: int | None
    reason: str
    check_key: str = ""


def calls_to_review(
    *, reader: Reader, ended_from: datetime, agency: Agency | None
) -> list[ToReview]:
    """Those whose rep waits, the longest first, then the newest whose score asks for a listener.

    Needs the reader's scope. Who waits is shown however old the call is.
    """
    disputed = _disputed(reader, agency)
    waiting = {call.pk for call, *_ in disputed}
    doubted = _doubted(reader, ended_from, agency)
    return _with_names(reader, [*disputed, *(row for row in doubted if row[0].pk not in waiting)])


def review_reason(*, score: int, hard_fails: list[str], coverage: float) -> str:
    """Why somebody should listen to a scored call. Pure; empty: no reason."""
    if coverage < UNSURE_BELOW:
        return f"The judge was sure of {coverage:.0%} of the points only"
    if hard_fails:
        return "A rule that caps the score was broken"
    return "A low score" if score < BAD else ""


_Row = tuple[Call, int | None, str, str]  # call, score, reason, key of the check


def _disputed(reader: Reader, agency: Agency | None) -> list[_Row]:
    """Disputes that nobody answered, of the newest scorecards: only those take an answer."""
    newer = Scorecard.objects.for_tenant(reader.tenant_id).filter(
        call_id=OuterRef("call_id"), version__gt=OuterRef("scorecard_version")
    )
    rows = (
        Dispute.objects.for_tenant(reader.tenant_id)
        .filter(~Exists(newer), reply="", call__mode=reader.mode, call__private=False)
        .select_related("call")
    )
    if agency is not None:
        rows = rows.filter(call__agency_id=agency.pk)
    elif reader.agencies:
        rows = rows.filter(call__agency_id__in=reader.agencies)
    return [
        (row.call, row.call.overall, "The rep sees a verdict differently", row.check_key)
        for row in rows.order_by("created_at")[:DISPUTED]
    ]


def _doubted(reader: Reader, ended_from: datetime, agency: Agency | None) -> list[_Row]:
    """Of the newest scored calls those that nobody has changed, with a reason to listen."""
    filters = CallFilters(
        ended_from=ended_from, external_agency_id=agency.external_id if agency else None
    )
    calls = calls_scored(reader=reader, filters=filters, limit=LOOKED_AT).calls
    changed = Override.objects.for_tenant(reader.tenant_id).filter(scorecard=OuterRef("pk"))
    cards = (
        Scorecard.objects.for_tenant(reader.tenant_id)
        .filter(call_id__in=[call.pk for call in calls], call__private=False)
        .order_by("version")
        .values_list("call_id", "overall", "hard_fails", "coverage", Exists(changed))
    )
    newest = {call_id: told for call_id, *told in cards}
    found: list[_Row] = []
    for call in calls:
        score, hard_fails, coverage, is_changed = newest.get(call.pk, (0, [], 1.0, True))
        reason = review_reason(score=score, hard_fails=hard_fails, coverage=coverage)
        if reason and not is_changed:
            found.append((call, score, reason, ""))
    return found[:REVIEWED]


def _with_names(reader: Reader, rows: Iterable[_Row]) -> list[ToReview]:
    found = list(rows)
    people = {call.external_user_id for call, *_ in found}
    named = Rep.objects.for_tenant(reader.tenant_id).filter(external_id__in=people)
    names = dict(named.values_list("external_id", "name"))
    return [
        ToReview(call, names.get(call.external_user_id) or call.external_user_id, *told)
        for call, told in ((row[0], row[1:]) for row in found)
    ]
