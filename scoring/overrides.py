"""What managers say of a scorecard: kept as rows beside it, never in it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import IntegrityError, transaction

from scoring import models
from scoring.evidence import Absence, Quote
from scoring.feedback import Feedback
from scoring.overriding import Overridden, overridden
from scoring.ports import Answer
from scoring.rubric import ScoringIncomplete, check_hundredths, rubric_parse
from scoring.selectors import (
    MOST_OVERRIDES,
    overrides_holding,
    overrides_of,
    scorecard_of,
)
from scoring.verdicts import Verdict
from tenants.errors import AthosError, InvalidRequest

LONGEST_REASON = 1000  # characters


class ScorecardChanged(AthosError):
    code, status = "SCORECARD_CHANGED", 409
    message = "Somebody changed this scorecard meanwhile. Look at it again."


class CheckNotFound(AthosError):
    code, status, message = "CHECK_NOT_FOUND", 404, "The scorecard has no such check."


class TooLittleScored(AthosError):
    code, status = "TOO_LITTLE_SCORED", 409
    message = "Too little would be left for a score that means anything."


@dataclass(frozen=True, slots=True)
class Seen:
    """What a manager had before their eyes: which scorecard, and how many overrides it had."""

    version: int
    overrides: int


def verdict_override(
    *,
    tenant_id: uuid.UUID,
    call_id: uuid.UUID,
    check_key: str,
    answer: Answer,
    reason: str,
    seen: Seen,
    actor: str,
) -> models.Override:
    """Give a check of the call's newest scorecard another answer. A reason is required.

    Raises ScorecardChanged where somebody was quicker, CheckNotFound, TooLittleScored, and
    InvalidRequest. In the tenant's scope, like the others here; the caller tells and audits.
    """
    if not reason.strip():
        raise InvalidRequest("Say why.", details={"field": "reason"})
    change = models.Override(check_key=check_key, answer=answer, reason=reason, actor=actor)
    return _add(tenant_id, call_id, change, seen)


def override_withdraw(
    *,
    tenant_id: uuid.UUID,
    call_id: uuid.UUID,
    check_key: str,
    reason: str = "",
    seen: Seen,
    actor: str,
) -> models.Override:
    """Let the judge's verdict on a check hold again. The override stays in the history."""
    change = models.Override(check_key=check_key, answer="", reason=reason, actor=actor)
    return _add(tenant_id, call_id, change, seen)


def scorecard_validate(
    *,
    tenant_id: uuid.UUID,
    call_id: uuid.UUID,
    valid: bool,
    reason: str,
    seen: Seen,
    actor: str,
) -> models.Override:
    """Say that the score does not count, as after a call with a broken microphone, or does."""
    if not valid and not reason.strip():
        raise InvalidRequest("Say why.", details={"field": "reason"})
    change = models.Override(check_key="", valid=valid, reason=reason, actor=actor)
    return _add(tenant_id, call_id, change, seen)


def _add(
    tenant_id: uuid.UUID, call_id: uuid.UUID, change: models.Override, seen: Seen
) -> models.Override:
    if len(change.reason) > LONGEST_REASON or "\x00" in change.reason:
        problem = f"A reason has at most {LONGEST_REASON} characters."
        raise InvalidRequest(problem, details={"field": "reason"})
    card = scorecard_of(tenant_id=tenant_id, call_id=call_id)
    if card is None:
        raise CheckNotFound
    history = overrides_of(card)
    if seen != Seen(card.version, len(history)):
        raise ScorecardChanged
    if len(history) >= MOST_OVERRIDES:
        raise InvalidRequest(f"A scorecard is changed at most {MOST_OVERRIDES} times.")
    change.tenant_id, change.scorecard, change.number = tenant_id, card, len(history) + 1
    _score(card, history, change)
    try:
        with transaction.atomic():
            change.save(force_insert=True)
    except IntegrityError as raced:  # the other took this number
        raise ScorecardChanged from raced
    return change


def _score(
    card: models.Scorecard, history: Sequence[models.Override], change: models.Override
) -> None:
    """Fill in what the change makes of the score."""
    rubric = rubric_parse(models.Rubric.objects.with_catalogue().get(pk=card.rubric_id).content)
    rows = models.Verdict.objects.for_tenant(card.tenant_id).filter(scorecard=card)
    verdicts = {row.check_key: verdict_read(row) for row in rows}
    holding = overrides_holding(history)
    if change.check_key:
        _check_news(change, verdicts, holding)
    else:
        _check_validity(change, history)
    answers = {key: Answer(row.answer) for key, row in holding.items()}
    if change.answer:
        answers[change.check_key] = Answer(change.answer)
        hundredths = check_hundredths(rubric.check(change.check_key), Answer(change.answer))
        change.points = hundredths / 100
    elif change.check_key:
        del answers[change.check_key]
    try:
        result = overridden(rubric, list(verdicts.values()), answers)
    except ScoringIncomplete as incomplete:
        raise TooLittleScored from incomplete
    if change.check_key:
        change.valid = history[-1].valid if history else True
    for name, value in _columns(card, result).items():
        setattr(change, name, value)


def _check_news(
    change: models.Override,
    verdicts: Mapping[str, Verdict],
    holding: Mapping[str, models.Override],
) -> None:
    """Raises unless the change says something new of a check that is there."""
    verdict = verdicts.get(change.check_key)
    if verdict is None:
        raise CheckNotFound
    before = holding.get(change.check_key)
    if before is not None:
        holds = before.answer
    else:  # there is nothing to withdraw, and no use in agreeing
        holds = verdict.answer if change.answer and verdict.verified else ""
    if change.answer == holds:
        raise InvalidRequest("That is its verdict already.", details={"field": "answer"})


def _check_validity(change: models.Override, history: Sequence[models.Override]) -> None:
    if change.valid == (history[-1].valid if history else True):
        raise InvalidRequest("That is so already.", details={"field": "valid"})


def _columns(card: models.Scorecard, result: Overridden) -> dict[str, Any]:
    score = result.score
    forgotten = not card.summary and not card.feedback  # with the transcript, see retention.py
    words = Feedback("", "") if forgotten else result.feedback
    return {
        "overall": score.overall,
        "earned": score.earned,
        "possible": score.possible,
        "coverage": score.coverage,
        "sections": [asdict(section) for section in score.sections],
        "hard_fails": list(score.hard_fails),
        "summary": words.summary,
        "feedback": words.text,
    }


def verdict_read(row: models.Verdict) -> Verdict:
    """A stored verdict as the arithmetic and the feedback take it."""
    found = row.evidence
    evidence: Quote | Absence | None = None
    if found["kind"] == "quote":
        evidence = _quote(found)
    elif found["kind"] == "absence":
        span = (found[k] for k in ("firstTurn", "lastTurn", "start", "end", "turnsSearched"))
        evidence = Absence(*span)
    trigger = found.get("trigger")
    return Verdict(
        check_key=row.check_key,
        answer=Answer(row.answer),
        points=float(row.points),
        max_points=row.max_points,
        evidence=evidence,
        trigger=_quote(trigger) if trigger else None,
        verified=row.verified,
        reason=row.reason,
    )


def _quote(found: Mapping[str, Any]) -> Quote:
    return Quote(
        turn=found["turn"],
        text=found["quote"],
        first=found["firstCharacter"],
        last=found["lastCharacter"],
        start=found["start"],
        end=found["end"],
    )
