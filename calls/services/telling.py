"""What a tenant's endpoints are told of a call, in the transaction that makes it true."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from functools import partial

from django.db import transaction

from calls import metrics
from calls.models import Call, SandboxCall
from tenants.models import ApiKey
from webhooks.models import Rehearsal
from webhooks.services import (
    CALL_ENDED,
    CALL_SCORE_FAILED,
    CALL_SCORED,
    CALL_STARTED,
    RECORDING_DELETED,
    SCORE_OVERRIDDEN,
    RehearsalPlan,
    event_offer,
    event_publish,
)

_REASONS = {
    Call.Failure.NEVER_CONNECTED: "Nobody connected to the call.",
    Call.Failure.REP_NEVER_SPOKE: "The rep did not speak in this call.",
    Call.Failure.SCORING_INCOMPLETE: "The call could not be scored.",
}


class Deletion(StrEnum):
    """Why a recording is gone."""

    RETENTION = "RETENTION"
    CALL_ERASED = "CALL_ERASED"
    REP_ERASED = "REP_ERASED"


def tell_started(call_id: uuid.UUID) -> None:
    """Audio flows. Needs the tenant's scope, like all of these."""
    call = Call.objects.get(pk=call_id)
    event_offer(
        tenant_id=call.tenant_id,
        type=CALL_STARTED,
        subject_id=call.pk,
        body=_facts(call),
        test=_rehearsal(call),
    )
    _count(call, partial(metrics.call_reached, "started"))


def tell_ended(call_id: uuid.UUID) -> None:
    """The line is closed; the score comes later."""
    call = Call.objects.get(pk=call_id)
    lasted = (call.ended_at - call.started_at) if call.ended_at and call.started_at else timedelta()
    ending = {"endReason": call.end_reason.upper(), "durationSec": round(lasted.total_seconds())}
    event_offer(
        tenant_id=call.tenant_id,
        type=CALL_ENDED,
        subject_id=call.pk,
        body=_facts(call) | ending,
        test=_rehearsal(call),
    )
    _count(call, partial(metrics.call_ended, call.end_reason))


def tell_outcome(call: Call) -> None:
    """The call has its score, or never will."""
    _count(call, partial(metrics.call_reached, "failed" if call.failure else "scored"))
    body = _facts(call) | {"success": not call.failure}
    if call.failure:
        failure = Call.Failure(call.failure)
        body |= {"reason": failure.upper(), "reasonMessage": _REASONS[failure]}
    test = _rehearsal(call)
    event_publish(
        tenant_id=call.tenant_id, type=CALL_SCORED, subject_id=call.pk, body=body, test=test
    )
    if call.failure:
        del body["success"]
        event_offer(
            tenant_id=call.tenant_id,
            type=CALL_SCORE_FAILED,
            subject_id=call.pk,
            body=body,
            test=test,
        )


def tell_overridden(call: Call, *, override_id: uuid.UUID) -> None:
    """A manager changed the score, or took that back: once for each change."""
    event_offer(
        tenant_id=call.tenant_id,
        type=SCORE_OVERRIDDEN,
        subject_id=call.pk,
        body=_facts(call),
        test=_rehearsal(call),
        occurrence=override_id,
    )


def tell_recording_deleted(call: Call, deletion: Deletion) -> None:
    """The call's audio is gone, or can be had no more. Once: by what is told, nobody is named.

    It may well be the rep who was erased, and this message outlives that.
    """
    event_offer(
        tenant_id=call.tenant_id,
        type=RECORDING_DELETED,
        subject_id=call.pk,
        body={"callId": call.public_id, "source": call.source, "reason": deletion.value},
        test=_rehearsal(call),
    )


def _count(call: Call, metric: Callable[[], None]) -> None:
    """Once it is true; calls of the sandbox are no calls."""
    if call.mode == ApiKey.Mode.LIVE:
        transaction.on_commit(metric)


def _facts(call: Call) -> dict[str, object]:
    return {
        "callId": call.public_id,
        "source": call.source,
        "externalUserId": call.external_user_id,
        "externalAgencyId": call.external_agency_id,
    }


def _rehearsal(call: Call) -> RehearsalPlan | None:
    """None for a live call. A test's webhooks behave as the sandbox was asked, else as always."""
    if call.mode != ApiKey.Mode.TEST:
        return None
    asked = SandboxCall.objects.filter(call_id=call.pk).first()
    if asked is None:
        return RehearsalPlan()
    return RehearsalPlan(Rehearsal(asked.webhook), timedelta(seconds=asked.webhook_delay))
