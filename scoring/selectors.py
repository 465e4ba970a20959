"""What is read of scoring's rows."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from scoring import models
from tenants.api import timestamp
from tenants.isolation import CATALOGUE

MOST_OVERRIDES = 500  # of one scorecard


def rubric_latest(*, tenant_id: uuid.UUID, key: str) -> models.Rubric | None:
    """The newest version of the tenant's own rubric of that key, else of the catalogue's."""
    rows = models.Rubric.objects.with_catalogue().filter(key=key).order_by("-version")
    own = rows.filter(tenant_id=tenant_id).first()
    return own or rows.filter(tenant_id=CATALOGUE).first()


def rubrics_shipped() -> list[models.Rubric]:
    """The latest version of each rubric of the catalogue. Needs its scope."""
    rows = models.Rubric.objects.filter(tenant_id=CATALOGUE).order_by("key", "-version")
    return list(rows.distinct("key"))


def scorecard_of(*, tenant_id: uuid.UUID, call_id: uuid.UUID) -> models.Scorecard | None:
    """The newest scorecard of the tenant's call."""
    return (
        models.Scorecard.objects.for_tenant(tenant_id)
        .filter(call_id=call_id)
        .order_by("-version")
        .first()
    )


def score_for_api(*, tenant_id: uuid.UUID, call_id: uuid.UUID) -> dict[str, Any] | None:
    """The `score` object of GET /calls/{callId}; None where the call has no scorecard."""
    card = scorecard_of(tenant_id=tenant_id, call_id=call_id)
    return score_json(card, overrides_of(card)) if card else None


def score_json(card: models.Scorecard, history: Sequence[models.Override]) -> dict[str, Any]:
    """The same of a scorecard, with all that managers said of it."""
    rubric = models.Rubric.objects.with_catalogue().get(pk=card.rubric_id)
    verdicts = models.Verdict.objects.for_tenant(card.tenant_id).filter(scorecard=card)
    holding = overrides_holding(history)
    final = history[-1] if history else card
    return {
        "overallScore": final.overall,
        "summary": final.summary,
        "feedback": final.feedback,
        "sections": final.sections,
        "hardFails": final.hard_fails,
        "criteria": [_criterion(v, holding.get(v.check_key)) for v in verdicts],
        "metrics": metrics_json(card.metrics),
        "coverage": final.coverage,
        **_reviewed(card, history),
        "versions": {
            "scorecard": card.version,
            "rubric": {"key": rubric.key, "version": rubric.version, "digest": rubric.digest},
            "judge": {
                "name": card.judge_name,
                "version": card.judge_version,
                "model": card.judge_model,
            },
        },
    }


def overrides_of(scorecard: models.Scorecard) -> list[models.Override]:
    """All that managers said of a scorecard, the oldest first."""
    rows = models.Override.objects.for_tenant(scorecard.tenant_id)
    return list(rows.filter(scorecard=scorecard)[:MOST_OVERRIDES])


def overrides_holding(history: Sequence[models.Override]) -> dict[str, models.Override]:
    """Of each check that is overridden, the row that says so, by check key."""
    last = {row.check_key: row for row in history if row.check_key}
    return {key: row for key, row in last.items() if row.answer}


def _reviewed(card: models.Scorecard, history: Sequence[models.Override]) -> dict[str, Any]:
    """Whether the score counts; once a manager changed it, the judge's too, and since when."""
    told: dict[str, Any] = {"valid": history[-1].valid if history else True}
    changed = [row for row in history if row.check_key]
    if changed:
        told |= {"aiScore": card.overall, "overriddenAt": timestamp(changed[-1].created_at)}
    return told


def metrics_json(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics under their public names, units in the names. docs/scoring.md defines each."""
    return {public: metrics.get(name) for public, name in _METRICS.items()}


_METRICS = {
    "talkRatio": "talk_ratio",
    "longestMonologueSec": "longest_monologue",
    "paceWordsPerMinute": "pace",
    "questions": "questions",
    "interruptions": "interruptions",
    "patienceSec": "patience",
    "silenceSec": "silence",
    "repSpeechSec": "rep_seconds",
    "personaSpeechSec": "persona_seconds",
    "repTurns": "rep_turns",
    "personaTurns": "persona_turns",
}


def _criterion(verdict: models.Verdict, override: models.Override | None) -> dict[str, Any]:
    told = _judged(verdict)
    if override is None:
        return told
    return told | {
        "answer": override.answer,
        "points": float(override.points),
        "verified": True,
        "override": {
            "aiAnswer": verdict.answer,
            "aiPoints": float(verdict.points),
            "aiVerified": verdict.verified,
            "reason": override.reason,
            "at": timestamp(override.created_at),
        },
    }


def _judged(verdict: models.Verdict) -> dict[str, Any]:
    return {
        "key": verdict.check_key,
        "section": verdict.section,
        "title": verdict.title,
        "question": verdict.question,
        "answer": verdict.answer,
        "points": float(verdict.points),
        "maxPoints": verdict.max_points,
        "verified": verdict.verified,
        "evidence": verdict.evidence,
        "reason": verdict.reason,
        "advice": verdict.advice,
    }
