"""The work `retain`: once an hour, delete the content of a tenant whose time is over."""

import logging
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from calls.erasure.files import (
    StorageUnavailable,
    call_files,
    files_delete,
    folder_delete,
)
from calls.erasure.retention import Retention, retention_of
from calls.erasure.rows import recorded
from calls.models import (
    Call,
    Comment,
    Dispute,
    ErasedCall,
    HeardChunk,
    Recording,
    RecordingPart,
    RetentionRound,
    TranscriptLine,
    TranscriptWords,
    Turn,
)
from calls.services.telling import Deletion, tell_recording_deleted
from scoring.retention import scorecards_forget
from tenants.idempotency import answers_expire
from tenants.isolation import tenant_scope
from tenants.request_log import requests_expire
from webhooks.retention import log_expire, payloads_expire
from work.claims import Claim

logger = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
GO_ON_IN = timedelta(seconds=1)
ROUND_SECONDS = 300.0  # then another tenant may have its turn
BATCH = 50  # calls
PAYLOADS = 500  # events
REQUESTS = 5000
# A worker that slept through an erasure may leave a file when it is killed as it wakes up.
LOOKED_AFTER_FOR = timedelta(days=7)
LOOKED_AFTER = 5000  # of the erased calls, the newest

# What quotes or retells a call, and goes with its transcript.
_SAID = (Turn, TranscriptLine, TranscriptWords, HeardChunk, Comment, Dispute)
_NOBODY_WORKS_ON_IT = Q(lease_token=None) | Q(lease_until__lte=Now())


def retention_round(claim: Claim[RetentionRound]) -> None:
    """Batch by batch, each for good; what is left after five minutes is done in the next round."""
    until = time.monotonic() + ROUND_SECONDS
    policy = retention_of(tenant_id=claim.tenant_id)
    try:
        done = _audio(claim, policy, until)
        done = _transcripts(claim, policy, until) and done
        done = _payloads(claim, policy, until) and done
        done = _webhook_log(claim, policy, until) and done
        done = _idempotent_answers(claim, until) and done
        done = _request_log(claim, until) and done
        _look_after_erased(claim)
    except StorageUnavailable:
        claim.release(error="STORAGE_UNAVAILABLE")
        return
    with claim.finish() as row:
        row.due_at = Now() + (EVERY if done else GO_ON_IN)
        row.save(update_fields=["due_at"])


def _audio(claim: Claim[RetentionRound], policy: Retention, until: float) -> bool:
    if policy.audio_days is None:
        return True
    while time.monotonic() < until:
        claim.check()
        with tenant_scope(claim.tenant_id):
            old = _ended_before(claim, policy.audio_days).filter(audio_expired_at=None)
            calls = list(old.order_by("ended_at").values_list("pk", flat=True)[:BATCH])
        if not calls:
            return True
        if not _audio_expire(claim, calls):
            return True  # all of them are in other hands just now
    return False


def _audio_expire(claim: Claim[RetentionRound], calls: Sequence[uuid.UUID]) -> int:
    """The files first: whoever is killed in between leaves rows, by which the next finds them."""
    with tenant_scope(claim.tenant_id):
        parts = RecordingPart.objects.filter(call_id__in=calls)
        whole = Recording.objects.filter(call_id__in=calls)
        parts_seen = dict(parts.values_list("pk", "file"))
        whole_seen = dict(whole.values_list("pk", "file"))
    files_delete([*parts_seen.values(), *whole_seen.values()])
    for call_id in calls:
        files_delete(call_files(claim.tenant_id, call_id))
        folder_delete(claim.tenant_id, call_id)
    with claim.step():
        # What was taken up meanwhile, to be transcribed after all, is left to a later round.
        kept = _lock(claim, calls)
        gone = recorded(claim.tenant_id, kept)
        RecordingPart.objects.filter(pk__in=parts_seen, call_id__in=kept).delete()
        Recording.objects.filter(pk__in=whole_seen, call_id__in=kept).delete()
        Call.objects.filter(pk__in=kept).update(audio_expired_at=Now(), updated_at=Now())
        for call in Call.objects.for_tenant(claim.tenant_id).filter(pk__in=gone):
            tell_recording_deleted(call, Deletion.RETENTION)
    _log("audio_expired", claim, len(kept))
    return len(kept)


def _transcripts(claim: Claim[RetentionRound], policy: Retention, until: float) -> bool:
    if policy.transcript_days is None:
        return True
    while time.monotonic() < until:
        with claim.step():
            old = _ended_before(claim, policy.transcript_days).filter(transcript_expired_at=None)
            calls = _lock(
                claim, list(old.order_by("ended_at").values_list("pk", flat=True)[:BATCH])
            )
            if not calls:
                return True
            for model in _SAID:
                model.objects.for_tenant(claim.tenant_id).filter(call_id__in=calls).delete()
            scorecards_forget(tenant_id=claim.tenant_id, call_ids=calls)
            Call.objects.filter(pk__in=calls).update(transcript_expired_at=Now(), updated_at=Now())
        _log("transcripts_expired", claim, len(calls))
    return False


def _payloads(claim: Claim[RetentionRound], policy: Retention, until: float) -> bool:
    if policy.webhook_payload_days is None:
        return True
    while time.monotonic() < until:
        with claim.step():
            emptied = payloads_expire(
                tenant_id=claim.tenant_id, days=policy.webhook_payload_days, most=PAYLOADS
            )
        if not emptied:
            return True
        _log("payloads_expired", claim, emptied)
    return False


def _webhook_log(claim: Claim[RetentionRound], policy: Retention, until: float) -> bool:
    days = policy.webhook_payload_days
    if days is None:
        return True
    while time.monotonic() < until:
        with claim.step():
            deleted = log_expire(tenant_id=claim.tenant_id, payload_days=days, most=PAYLOADS)
        if not deleted:
            return True
        _log("webhook_log_expired", claim, deleted)
    return False


def _request_log(claim: Claim[RetentionRound], until: float) -> bool:
    """It names no rep and has its own seven days, whatever the policy."""
    while time.monotonic() < until:
        with claim.step():
            deleted = requests_expire(tenant_id=claim.tenant_id, most=REQUESTS)
        if deleted < REQUESTS:
            return True
    return False


def _idempotent_answers(claim: Claim[RetentionRound], until: float) -> bool:
    while time.monotonic() < until:
        with claim.step():
            if not answers_expire(tenant_id=claim.tenant_id, most=PAYLOADS):
                return True
    return False


def _ended_before(claim: Claim[RetentionRound], days: int) -> QuerySet[Call]:
    rows = Call.objects.for_tenant(claim.tenant_id).filter(_NOBODY_WORKS_ON_IT)
    return rows.filter(ended_at__lt=Now() - timedelta(days=days))


def _lock(claim: Claim[RetentionRound], calls: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Those of the calls that nobody works on, locked so that nobody begins to."""
    rows = Call.objects.for_tenant(claim.tenant_id).filter(_NOBODY_WORKS_ON_IT, pk__in=calls)
    return list(rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True))


def _look_after_erased(claim: Claim[RetentionRound]) -> None:
    with tenant_scope(claim.tenant_id):
        lately = ErasedCall.objects.for_tenant(claim.tenant_id).filter(
            files_gone_at__isnull=False, created_at__gt=Now() - LOOKED_AFTER_FOR
        )
        calls = list(
            lately.order_by("-created_at").values_list("call_id", flat=True)[:LOOKED_AFTER]
        )
    for call_id in calls:
        claim.check()
        left = call_files(claim.tenant_id, call_id)
        if left:
            files_delete(left)
            folder_delete(claim.tenant_id, call_id)
            logger.warning("late_file_deleted", extra={"call_id": str(call_id), "files": len(left)})


def _log(message: str, claim: Claim[RetentionRound], number: int) -> None:
    logger.info(message, extra={"tenant_id": str(claim.tenant_id), "number": number})
