"""How a call ends for the customer: scored, or given up, and told so in the same transaction."""

from collections.abc import Mapping
from datetime import timedelta

from django.db.models.functions import Now

from calls.models import Call, SandboxCall
from tenants.models import ApiKey
from webhooks.models import Rehearsal
from webhooks.services import CALL_SCORED, RehearsalPlan, event_publish

_REASONS: Mapping[str, str] = {
    Call.Failure.NEVER_CONNECTED: "Nobody connected to the call.",
    Call.Failure.REP_NEVER_SPOKE: "The rep did not speak in this call.",
    Call.Failure.SCORING_INCOMPLETE: "The call could not be scored.",
}


def call_fail(*, call: Call, failure: Call.Failure) -> None:
    """The call gets no score. `call` is locked, in its tenant's scope."""
    call.stage = Call.Stage.FAILED
    call.failure = failure
    call.due_at = None
    call.save(update_fields=["stage", "failure", "due_at", "updated_at"])
    _publish(call)


def call_tell_parked(call: Call) -> None:
    """Work on the call was parked: the customer hears that it failed.

    The stage stays, so that a person can unpark the call; its score is then there to be read, and
    no second event is sent.
    """
    call.failure = Call.Failure.SCORING_INCOMPLETE
    call.save(update_fields=["failure", "updated_at"])
    _publish(call)


def call_succeed(*, call: Call) -> None:
    """The call has its score. `call` is locked, in its tenant's scope."""
    call.stage = Call.Stage.SCORED
    call.failure = ""
    call.due_at = None
    call.scored_at = Now()
    call.save(update_fields=["stage", "failure", "due_at", "scored_at", "updated_at"])
    _publish(call)


def _publish(call: Call) -> None:
    body: dict[str, object] = {
        "success": not call.failure,
        "callId": call.public_id,
        "source": call.source,
        "externalUserId": call.external_user_id,
        "externalAgencyId": call.external_agency_id,
    }
    if call.failure:
        body |= {"reason": call.failure.upper(), "reasonMessage": _REASONS[call.failure]}
    event_publish(
        tenant_id=call.tenant_id,
        type=CALL_SCORED,
        subject_id=call.pk,
        body=body,
        test=_rehearsal(call) if call.mode == ApiKey.Mode.TEST else None,
    )


def _rehearsal(call: Call) -> RehearsalPlan:
    """How a test's webhook behaves: as the sandbox was asked to, as always for other tests."""
    asked = SandboxCall.objects.filter(call_id=call.pk).first()
    if asked is None:
        return RehearsalPlan()
    return RehearsalPlan(Rehearsal(asked.webhook), timedelta(seconds=asked.webhook_delay))
