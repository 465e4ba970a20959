"""What the work after a call keeps: recognised chunks, the transcript, the recording."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from calls.models import Call, HeardChunk, Recording, TranscriptLine, TranscriptWords
from calls.services.ledger import ledger_keep
from calls.services.outcomes import call_fail
from work.bell import ring
from work.claims import Claim

LONGEST_SEARCHED = 500_000  # characters; PostgreSQL's own limit is 1 MiB of words
_WORDS = """
    INSERT INTO calls_transcriptwords (id, tenant_id, call_id, created_at, words)
    SELECT %(id)s, call.tenant_id, call.id, call.created_at,
        to_tsvector('pg_catalog.english', left(string_agg(text, ' ' ORDER BY number), %(most)s))
            || array_to_tsvector(call.tenant_id::text || calls_labels(
                call.mode, call.created_at, call.drill_key, call.rep_id, call.agency_id
            ))
    FROM calls_call AS call JOIN calls_transcriptline AS line
        ON line.tenant_id = call.tenant_id AND line.call_id = call.id
    WHERE call.tenant_id = %(tenant)s AND call.id = %(call)s
    GROUP BY call.id
"""


@dataclass(frozen=True, slots=True)
class RecordingFile:
    """A finished file in the storage. Seconds and bytes; `peaks` as in `Recording`."""

    name: str
    duration: float
    size: int
    peaks: bytes = b""


def heard_chunk_add(*, claim: Claim[Call], number: int, values: Mapping[str, Any]) -> None:
    """Keep a recognised chunk and the claim. `values` are the columns of HeardChunk."""
    with claim.step() as call:
        HeardChunk.objects.update_or_create(
            tenant_id=call.tenant_id, call_id=call.pk, number=number, defaults=dict(values)
        )


def call_transcribed(
    *,
    claim: Claim[Call],
    lines: Sequence[Mapping[str, Any]],
    recording: RecordingFile | None,
    rep_spoke: bool,
) -> None:
    """Keep transcript and recording, and go on to the score; without the rep there is none.

    `lines` are the columns of TranscriptLine beyond call and number, in order.
    """
    with claim.finish() as call:
        TranscriptLine.objects.filter(call_id=call.pk).delete()
        TranscriptLine.objects.bulk_create(
            TranscriptLine(tenant_id=call.tenant_id, call_id=call.pk, number=number, **values)
            for number, values in enumerate(lines, start=1)
        )
        words_keep(call=call)
        HeardChunk.objects.filter(call_id=call.pk).delete()
        _recording_keep(call, recording)
        ledger_keep(call=call)
        if not rep_spoke:
            call_fail(call=call, failure=Call.Failure.REP_NEVER_SPOKE)
            return
        call.stage, call.due_at = Call.Stage.TRANSCRIBED, Now()
        call.save(update_fields=["stage", "due_at", "updated_at"])
        ring("score")


def words_keep(*, call: Call) -> None:
    """Make the call's transcript searchable, as it is now. Needs the tenant's scope."""
    TranscriptWords.objects.filter(call_id=call.pk).delete()
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"id": uuid.uuid4(), "most": LONGEST_SEARCHED}
        cursor.execute(_WORDS, values | {"tenant": call.tenant_id, "call": call.pk})


def _recording_keep(call: Call, recording: RecordingFile | None) -> None:
    if recording is None:
        return
    Recording.objects.update_or_create(
        tenant_id=call.tenant_id,
        call_id=call.pk,
        defaults={
            "file": recording.name,
            "format": Recording.Format.MP3,
            "duration": recording.duration,
            "size": recording.size,
            "peaks": recording.peaks,
        },
    )
