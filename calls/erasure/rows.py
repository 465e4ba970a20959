"""The rows of one call: locked, written off for the usage, and deleted in one transaction.

Every write about a call is fenced by the call's row (its epoch, its lease) or refers to it by a
foreign key. Without the row none of them can come after this, however late a worker wakes up.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from copy import copy
from datetime import UTC, date, datetime, timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from calls.erasure.files import folder_of
from calls.erasure.stores import by_store
from calls.models import (
    Call,
    ErasedCall,
    Erasure,
    Recording,
    RecordingPart,
    SandboxCall,
    SessionToken,
)
from calls.services.practice_days import practice_mark
from calls.services.slots import slot_free
from calls.services.telling import Deletion, tell_recording_deleted
from tenants.selectors import database_now
from webhooks.retention import events_erase

# A worker in the middle of the call hears of it within its lease, ten seconds at most, and then
# takes back the file that it is just writing.
SETTLES_IN = timedelta(seconds=30)


def calls_lock(rows: QuerySet[Call], most: int) -> list[Call]:
    """The first of these calls, locked in the order in which the makers of sandbox calls lock: what
    is to be made, then the call. The other way round the two would wait for each other."""
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:most])
    making = SandboxCall.objects.filter(call_id__in=ids).order_by("call_id")
    list(making.select_for_update(of=("self",)).values_list("pk", flat=True))
    return list(rows.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",)))


def call_rows_erase(*, call: Call, erasure: Erasure) -> Counter[str]:
    """Delete all rows of the locked call, in its tenant's scope; how many, by store."""
    _write_off(call, erasure)
    slot_free(call_id=call.pk)
    erased = by_store(events_erase(tenant_id=call.tenant_id, subject_id=call.pk))
    if recorded(call.tenant_id, [call.pk]):
        of_rep = erasure.subject == Erasure.Subject.REP
        tell_recording_deleted(call, Deletion.REP_ERASED if of_rep else Deletion.CALL_ERASED)
    tokens, _ = SessionToken.objects.filter(call_id=call.pk).delete()
    erased += Counter({"sessionTokens": tokens})
    gone = copy(call)  # a deleted row has no id any more
    erased += by_store(tables(call.delete()[1]))
    practice_mark(gone)
    return erased


def recorded(tenant_id: uuid.UUID, calls: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the calls of which there is audio, whole or in parts. Needs the tenant's scope."""
    return {
        call_id
        for model in (Recording, RecordingPart)
        for call_id in model.objects.for_tenant(tenant_id)
        .filter(call_id__in=calls)
        .values_list("call_id", flat=True)
        .order_by()
        .distinct()
    }


def tables(deleted: dict[str, int]) -> dict[str, int]:
    """Django counts by model (`calls.Turn`); the same by table."""
    return {label.replace(".", "_").lower(): number for label, number in deleted.items()}


def _write_off(call: Call, erasure: Erasure) -> None:
    now = database_now()
    ended_at = call.ended_at or now
    spoken = call.started_at is not None
    ErasedCall.objects.create(
        tenant_id=call.tenant_id,
        erasure=erasure,
        call_id=call.pk,
        mode=call.mode,
        agency_id=call.agency_id,
        scored=call.stage == Call.Stage.SCORED,
        month=_month(ended_at) if spoken else None,
        seconds=(ended_at - call.started_at).total_seconds() if call.started_at else 0.0,
        files=_files_elsewhere(call),
        settles_at=now + SETTLES_IN if _busy(call) else now,
    )


def _busy(call: Call) -> bool:
    """Whether somebody carries the call or works on it just now."""
    open_stages = (Call.Stage.CREATED, Call.Stage.LIVE)
    leased = Q(lease_token__isnull=False, lease_until__gt=Now())
    return call.stage in open_stages or Call.objects.filter(leased, pk=call.pk).exists()


def _month(at: datetime) -> date:
    return at.astimezone(UTC).date().replace(day=1)


def _files_elsewhere(call: Call) -> list[str]:
    """Files that rows name and that lie outside the call's folder."""
    folder = folder_of(call.tenant_id, call.pk) + "/"
    named = [
        *RecordingPart.objects.filter(call_id=call.pk).values_list("file", flat=True),
        *Recording.objects.filter(call_id=call.pk).values_list("file", flat=True),
    ]
    return [name for name in named if not name.startswith(folder)]
