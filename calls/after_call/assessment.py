"""The work `score`: a transcript becomes a scorecard, and the customer is told."""

import asyncio
import logging

from calls.after_call import engines
from calls.after_call.transcribing import words_read
from calls.models import Call, Rescoring, TranscriptLine
from calls.services.outcomes import call_fail, call_succeed
from calls.services.rescoring import rescored
from scoring.assessing import Assessment, assess
from scoring.models import Rubric
from scoring.ports import JudgeRefused, JudgeUnavailable, Line, Transcript, Word
from scoring.rubric import ScoringIncomplete, rubric_parse
from scoring.selectors import rubric_latest, scorecard_of
from scoring.services import scorecard_create
from tenants.isolation import tenant_scope
from work.claims import Claim

logger = logging.getLogger(__name__)


def call_score(claim: Claim[Call]) -> None:
    """Judge, then keep scorecard, stage and event in one transaction."""
    transcript, rubric = _read(claim)
    if rubric is None:
        claim.park(error="RUBRIC_MISSING")
        return
    try:
        assessment = asyncio.run(_assess(transcript, rubric))
    except JudgeUnavailable:
        claim.release(error="JUDGE_UNAVAILABLE")
    except JudgeRefused:
        claim.park(error="JUDGE_REFUSED")
    except ScoringIncomplete:
        with claim.finish() as call:
            call_fail(call=call, failure=Call.Failure.SCORING_INCOMPLETE)
    else:
        _keep(claim, rubric, assessment)


def call_rescore(claim: Claim[Rescoring]) -> None:
    """Judge a scored call again and keep the next version of its scorecard."""
    with tenant_scope(claim.tenant_id):
        asked = Rescoring.objects.select_related("call__drill").get(pk=claim.pk)
        transcript, rubric = _material(asked.call)
    if rubric is None:
        claim.park(error="RUBRIC_MISSING")
        return
    try:
        assessment = asyncio.run(_assess(transcript, rubric))
    except JudgeUnavailable:
        claim.release(error="JUDGE_UNAVAILABLE")
    except JudgeRefused:
        claim.park(error="JUDGE_REFUSED")
    except ScoringIncomplete:
        with claim.finish():
            rescored(claim=claim, card=None)
    else:
        with claim.finish() as row:
            last = scorecard_of(tenant_id=row.tenant_id, call_id=row.call_id)
            card = scorecard_create(
                tenant_id=row.tenant_id,
                call_id=row.call_id,
                rubric=rubric,
                assessment=assessment,
                version=last.version + 1 if last else 1,
            )
            rescored(claim=claim, card=card)
        logger.info("call_rescored", extra={"call_id": asked.call.public_id})


def _keep(claim: Claim[Call], rubric: Rubric, assessment: Assessment) -> None:
    with claim.finish() as call:
        card = scorecard_create(
            tenant_id=call.tenant_id, call_id=call.pk, rubric=rubric, assessment=assessment
        )
        call_succeed(call=call, overall=card.overall)
    logger.info("call_scored", extra={"call_id": call.public_id})


async def _assess(transcript: Transcript, rubric: Rubric) -> Assessment:
    return await assess(transcript, rubric_parse(rubric.content), engines.judge())


def _read(claim: Claim[Call]) -> tuple[Transcript, Rubric | None]:
    with tenant_scope(claim.tenant_id):
        return _material(Call.objects.select_related("drill").get(pk=claim.pk))


def _material(call: Call) -> tuple[Transcript, Rubric | None]:
    key = call.drill.pack.get("rubric") or call.drill_key
    return transcript_read(call), rubric_latest(tenant_id=call.tenant_id, key=str(key))


def transcript_read(call: Call) -> Transcript:
    """The call's transcript as scoring takes it. Needs the tenant's scope."""
    rows = list(call.transcript_lines.all())
    ends = [row.end_time for row in rows]
    if call.started_at is not None and call.ended_at is not None:
        ends.append((call.ended_at - call.started_at).total_seconds())
    return Transcript(
        lines=tuple(_line(row) for row in rows),
        duration=max(ends, default=0.0),
        difficulty=call.difficulty,
        lags={row.number: row.lag for row in rows if row.lag},
    )


def _line(row: TranscriptLine) -> Line:
    return Line(
        number=row.number,
        role="user" if row.role == "user" else "assistant",
        text=row.text,
        start=row.start_time,
        end=row.end_time,
        words=tuple(Word(word.text, word.start, word.end) for word in words_read(row.words)),
        interrupted=row.interrupted,
    )
