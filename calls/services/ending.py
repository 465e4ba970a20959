"""Ends that nobody asked for: a call that was never connected, and one whose worker died."""

from datetime import timedelta

from django.db import transaction
from django.db.models import F, Max
from django.db.models.functions import Now

from calls.models import Call, LiveSlot
from calls.services.outcomes import call_fail
from calls.services.slots import slot_free
from calls.services.telling import tell_ended
from work.bell import ring
from work.claims import Claim

CONNECT_WITHIN = timedelta(seconds=60)  # whoever creates a call makes it due after that


def call_fail_unconnected(claim: Claim[Call]) -> None:
    """The rep never came: the call failed and its slot is free. A call that has begun is left."""
    with claim.finish() as call:
        if call.stage != Call.Stage.CREATED:
            return
        call.end_reason = Call.EndReason.NEVER_CONNECTED
        call.save(update_fields=["end_reason"])
        call_fail(call=call, failure=Call.Failure.NEVER_CONNECTED)
        slot_free(call_id=call.pk)


def call_end_lost(claim: Claim[Call]) -> None:
    """Nobody took the call over in time: end it where its last trace ends, score what was said.

    The new epoch shuts out a worker that wakes up again and still thinks the call is its own.
    """
    with claim.finish() as call:
        if call.stage != Call.Stage.LIVE or _carried(call) or call.started_at is None:
            return
        call.stage = Call.Stage.ENDED
        call.end_reason = Call.EndReason.WORKER_LOST
        call.ended_at = call.started_at + timedelta(seconds=_last_trace(call))
        call.due_at = Now()
        call.epoch = F("epoch") + 1
        call.standing = None
        fields = ["stage", "end_reason", "ended_at", "due_at", "epoch", "standing", "updated_at"]
        call.save(update_fields=fields)
        slot_free(call_id=call.pk)
        tell_ended(call.pk)
        transaction.on_commit(lambda: ring("transcribe"), robust=True)


def _carried(call: Call) -> bool:
    return LiveSlot.objects.filter(call_id=call.pk, lease_until__gt=Now()).exists()


def _last_trace(call: Call) -> float:
    """Seconds from the start of the call to the end of what was last recorded or said."""
    recorded = call.recording_parts.aggregate(end=Max(F("offset") + F("duration")))["end"]
    said = call.turns.aggregate(end=Max("end_time"))["end"]
    return max(recorded or 0.0, said or 0.0)
