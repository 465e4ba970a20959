"""What changes scoring's rows."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.db import IntegrityError, transaction

from scoring import models
from scoring.assessing import Assessment
from scoring.catalogue import shipped
from scoring.evidence import Absence, Quote
from scoring.rubric import rubric_parse
from scoring.verdicts import Verdict
from tenants.isolation import CATALOGUE, tenant_scope


def rubrics_load() -> int:
    """Bring the shipped rubrics into the catalogue. Returns how many versions were new."""
    before = after = 0
    with tenant_scope(CATALOGUE):
        before = models.Rubric.objects.count()
        for content in shipped():
            rubric_create(tenant_id=CATALOGUE, content=content)
        after = models.Rubric.objects.count()
    return after - before


def rubric_create(*, tenant_id: uuid.UUID, content: Mapping[str, Any]) -> models.Rubric:
    """The rubric's newest version if its content is unchanged, else the next version.

    Raises RubricError. Two at the same time make one version: the second finds the first's.
    """
    rubric = rubric_parse(content)
    for _ in range(2):
        latest = (
            models.Rubric.objects.for_tenant(tenant_id)
            .filter(key=rubric.key)
            .order_by("-version")
            .first()
        )
        if latest is not None and latest.digest == rubric.digest:
            return latest
        try:
            with transaction.atomic():
                return models.Rubric.objects.create(
                    tenant_id=tenant_id,
                    key=rubric.key,
                    version=latest.version + 1 if latest else 1,
                    digest=rubric.digest,
                    title=rubric.title,
                    content=content,
                )
        except IntegrityError as error:
            raced = error
    raise raced


@transaction.atomic
def scorecard_create(
    *,
    tenant_id: uuid.UUID,
    call_id: uuid.UUID,
    rubric: models.Rubric,
    assessment: Assessment,
    version: int = 1,
) -> models.Scorecard:
    """Keep an assessment. Doing it twice keeps the first and gives the same row."""
    scorecard, created = models.Scorecard.objects.get_or_create(
        tenant_id=tenant_id,
        call_id=call_id,
        version=version,
        defaults=_scorecard_fields(rubric, assessment),
    )
    if created:
        models.Verdict.objects.bulk_create(_verdict_rows(scorecard, assessment))
    return scorecard


def evidence_json(verdict: Verdict) -> dict[str, Any]:
    """What a verdict rests on, in JSON. Times in seconds of the call.

    `{"kind": "quote", turn, quote, start, end}`, or `{"kind": "absence", firstTurn, lastTurn,
    start, end, turnsSearched}`, or `{"kind": "none"}`; `trigger` is the persona's sentence that
    made the check apply.
    """
    found: dict[str, Any] = {"kind": "none"}
    if isinstance(verdict.evidence, Quote):
        found = {"kind": "quote", **_quote_json(verdict.evidence)}
    elif isinstance(verdict.evidence, Absence):
        found = {
            "kind": "absence",
            "firstTurn": verdict.evidence.first_turn,
            "lastTurn": verdict.evidence.last_turn,
            "start": verdict.evidence.start,
            "end": verdict.evidence.end,
            "turnsSearched": verdict.evidence.turns_searched,
        }
    if verdict.trigger is not None:
        found["trigger"] = _quote_json(verdict.trigger)
    return found


def _quote_json(quote: Quote) -> dict[str, Any]:
    return {
        "turn": quote.turn,
        "quote": quote.text,
        "firstCharacter": quote.first,
        "lastCharacter": quote.last,
        "start": quote.start,
        "end": quote.end,
    }


def _scorecard_fields(rubric: models.Rubric, assessment: Assessment) -> dict[str, Any]:
    if rubric.digest != assessment.rubric.digest:
        raise ValueError("The assessment was made with another rubric.")
    score = assessment.score
    return {
        "rubric_owner_id": rubric.tenant_id,
        "rubric": rubric,
        "judge_name": assessment.judge.name,
        "judge_version": assessment.judge.version,
        "judge_model": assessment.judge.model,
        "overall": score.overall,
        "earned": score.earned,
        "possible": score.possible,
        "coverage": score.coverage,
        "sections": [asdict(section) for section in score.sections],
        "hard_fails": list(score.hard_fails),
        "metrics": asdict(assessment.metrics),
        "summary": assessment.feedback.summary,
        "feedback": assessment.feedback.text,
    }


def _verdict_rows(scorecard: models.Scorecard, assessment: Assessment) -> list[models.Verdict]:
    rows = []
    for position, verdict in enumerate(assessment.verdicts):
        check = assessment.rubric.check(verdict.check_key)
        rows.append(
            models.Verdict(
                tenant_id=scorecard.tenant_id,
                scorecard=scorecard,
                position=position,
                check_key=check.key,
                section=check.section,
                title=check.title,
                question=check.question,
                advice=check.advice,
                answer=verdict.answer,
                points=verdict.points,
                max_points=verdict.max_points,
                verified=verdict.verified,
                evidence=evidence_json(verdict),
                reason=verdict.reason,
            )
        )
    return rows
