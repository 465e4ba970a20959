"""One call: what was said, how it was scored, how it sounds, and how far its scoring is."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.files.storage import Storage

from calls.history.listing import Reader
from calls.history.recording_links import RecordingLink, recording_link_make
from calls.models import Call, TranscriptLine
from calls.models import Recording as RecordingRow
from scoring.models import Override, Scorecard
from scoring.selectors import overrides_of, score_json, scorecard_of
from tenants.errors import AthosError
from tenants.isolation import tenant_scope

_PUBLIC_ID = re.compile(r"athos_call_[A-Za-z0-9_-]{21}")
CONTENT_TYPES = {RecordingRow.Format.MP3: "audio/mpeg"}


class CallNotFound(AthosError):
    code, status, message = "CALL_NOT_FOUND", 404, "There is no such call, or it is not scored yet."


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call with all that came of it. `score` is the API's object, None until there is one.

    `card` and `overrides` are what it was made of; `peaks` as in the row of the recording.
    """

    call: Call
    lines: list[TranscriptLine]
    score: dict[str, Any] | None
    audio: RecordingLink | None
    card: Scorecard | None = None
    overrides: Sequence[Override] = ()
    peaks: bytes = b""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file in Django's storage; `size` in bytes."""

    storage: Storage
    name: str
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call is. `reason` says why a failed one has no score."""

    stage: str
    reason: str | None


def call_scored_get(*, reader: Reader, public_id: str) -> CallRecord:
    """The reader's scored call. A stranger's, none, and one that is not scored look the same."""
    with reader.scope():
        record = _record(_call(reader, public_id))
    if record.call.stage != Call.Stage.SCORED:
        raise CallNotFound
    return record


def call_get(*, reader: Reader, public_id: str) -> CallRecord:
    """The reader's call as far as it is, for people. A stranger's and none look the same.

    Of a call that the rep keeps to themselves only that it was, and how long
    (docs/decisions/0024-private-practice.md).
    """
    with reader.scope():
        call = _call(reader, public_id)
        return CallRecord(call, [], None, None) if call.private else _record(call)


def call_locked(*, reader: Reader, public_id: str, stage: str | None = None) -> Call:
    """The reader's call for a change, at that stage if one is named. Needs the reader's scope.

    A stranger's call, no call, one of another stage and one that the rep keeps to themselves look
    the same.
    """
    if not _PUBLIC_ID.fullmatch(public_id):
        raise CallNotFound
    rows = reader.calls().filter(public_id=public_id, private=False)
    rows = rows.filter(stage=stage) if stage else rows
    return _found(rows.select_for_update(of=("self",)).first())


def call_of_ticket(*, tenant_id: uuid.UUID, call_id: uuid.UUID) -> CallRecord:
    """The one call that a connection ticket is for."""
    with tenant_scope(tenant_id):
        rows = Call.objects.for_tenant(tenant_id).select_related("drill").defer("drill__pack")
        return _record(_found(rows.filter(pk=call_id).first()))


def call_progress(*, reader: Reader, public_id: str) -> Progress:
    """The stage of the reader's call, scored or not."""
    with reader.scope():
        return progress_of(_call(reader, public_id))


def progress_of(call: Call) -> Progress:
    """As it is published.

    A call that waits for its rep's connection counts as live. One that was given up keeps its stage
    beside the failure.
    """
    if call.failure or call.stage == Call.Stage.FAILED:
        return Progress(
            Call.Stage.FAILED, (call.failure or Call.Failure.SCORING_INCOMPLETE).upper()
        )
    return Progress(Call.Stage.LIVE if call.stage == Call.Stage.CREATED else call.stage, None)


def recording_of(*, tenant_id: uuid.UUID, call_id: uuid.UUID) -> Recording | None:
    """The call's finished recording; None while there is none, or when it was erased."""
    with tenant_scope(tenant_id):
        row = RecordingRow.objects.for_tenant(tenant_id).filter(call_id=call_id).first()
    if row is None:
        return None
    kind = CONTENT_TYPES[RecordingRow.Format(row.format)]
    return Recording(row.file.storage, str(row.file.name), row.size, kind)


def _call(reader: Reader, public_id: str) -> Call:
    if not _PUBLIC_ID.fullmatch(public_id):
        raise CallNotFound
    rows = reader.calls().select_related("rep", "agency", "drill").defer("drill__pack")
    return _found(rows.filter(public_id=public_id).first())


def _found(call: Call | None) -> Call:
    if call is None:
        raise CallNotFound
    return call


def _record(call: Call) -> CallRecord:
    tenant_id, call_id = call.tenant_id, call.pk
    recording = RecordingRow.objects.for_tenant(tenant_id).filter(call_id=call_id).first()
    card = scorecard_of(tenant_id=tenant_id, call_id=call_id)
    overrides = overrides_of(card) if card else []
    return CallRecord(
        call=call,
        lines=list(TranscriptLine.objects.for_tenant(tenant_id).filter(call_id=call_id)),
        score=score_json(card, overrides) if card else None,
        audio=recording_link_make(tenant_id=tenant_id, call_id=call_id) if recording else None,
        card=card,
        overrides=overrides,
        peaks=bytes(recording.peaks) if recording else b"",
    )
