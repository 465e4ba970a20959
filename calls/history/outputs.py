"""Calls as JSON, under the names of the API."""

from datetime import datetime
from typing import Any

from calls.history.detail import CallRecord, progress_of
from calls.models import Call, TranscriptLine
from tenants.api import timestamp

CONSENT_SOURCES = {
    Call.ConsentSource.REP_PAGE.value: "repPage",
    Call.ConsentSource.INTEGRATOR.value: "integrator",
}


def call_row(call: Call) -> dict[str, Any]:
    """A row of GET /calls. Every key is always there."""
    return {
        "id": call.public_id,
        "source": call.source,
        "externalUserId": call.external_user_id,
        "externalAgencyId": call.external_agency_id,
        "drillKey": call.drill_key,
        "startedAt": _time(call.started_at),
        "endedAt": _time(call.ended_at),
        "durationSec": duration_seconds(call),
        "scoredAt": _time(call.scored_at),
    }


def call_detail(record: CallRecord) -> dict[str, Any]:
    """GET /calls/{callId}: a row, and what came of the call."""
    call = record.call
    return call_row(call) | {
        "status": call.stage,
        "difficulty": call.difficulty,
        "persona": {"name": call.persona_name},
        "consent": consent_json(call),
        "transcript": transcript_json(record.lines),
        "score": record.score,
        **audio_json(record),
        "waveform": None,
        "createdAt": _time(call.created_at),
        "updatedAt": _time(max(filter(None, (call.updated_at, call.scored_at)))),
    }


def call_for_rep(record: CallRecord) -> dict[str, Any]:
    """GET /embed/v1/call: the rep's own call, as far as it is."""
    call, progress = record.call, progress_of(record.call)
    scored = call.stage == Call.Stage.SCORED
    return {
        "callId": call.public_id,
        "stage": progress.stage,
        "reason": progress.reason,
        "persona": {"name": call.persona_name},
        "drillTitle": call.drill.title,
        "difficulty": call.difficulty,
        "startedAt": _time(call.started_at),
        "endedAt": _time(call.ended_at),
        "durationSec": duration_seconds(call),
        "transcript": transcript_json(record.lines) if scored else [],
        "scorecard": record.score if scored else None,
        **audio_json(record),
    }


def consent_json(call: Call) -> dict[str, str | None] | None:
    """What the rep agreed to; None where nobody said so."""
    if call.consented_at is None:
        return None
    return {
        "source": CONSENT_SOURCES[call.consent_source],
        "version": call.consent_version,
        "at": timestamp(call.consented_at),
    }


def duration_seconds(call: Call) -> int | None:
    """Whole seconds, as the SDK's `ended` says it."""
    if call.started_at is None or call.ended_at is None:
        return None
    return round((call.ended_at - call.started_at).total_seconds())


def transcript_json(lines: list[TranscriptLine]) -> list[dict[str, Any]]:
    return [
        {
            "role": line.role,
            "content": line.text,
            "startTime": round(line.start_time, 3),
            "endTime": round(line.end_time, 3),
            "number": line.number,
            "interrupted": line.interrupted,
        }
        for line in lines
    ]


def audio_json(record: CallRecord) -> dict[str, str | None]:
    link = record.audio
    return {
        "audioUrl": link.url if link else None,
        "audioUrlExpiresAt": timestamp(link.expires_at) if link else None,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else timestamp(at)
