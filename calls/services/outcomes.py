"""How a call ends for the customer: scored, or given up, and told so in the same transaction."""

from django.db.models.functions import Now

from calls.models import Call
from calls.services.practice_days import practice_mark
from calls.services.telling import tell_outcome


def call_fail(*, call: Call, failure: Call.Failure) -> None:
    """The call gets no score. `call` is locked, in its tenant's scope."""
    call.stage = Call.Stage.FAILED
    call.failure = failure
    call.due_at = None
    call.save(update_fields=["stage", "failure", "due_at", "updated_at"])
    practice_mark(call)
    tell_outcome(call)


def call_tell_parked(call: Call) -> None:
    """Work on the call was parked: the customer hears that it failed.

    The stage stays, so that a person can unpark the call; its score is then there to be read, and
    no second event is sent.
    """
    call.failure = Call.Failure.SCORING_INCOMPLETE
    call.save(update_fields=["failure", "updated_at"])
    tell_outcome(call)


def call_succeed(*, call: Call, overall: int) -> None:
    """The call has its score, 0..100. `call` is locked, in its tenant's scope."""
    call.stage = Call.Stage.SCORED
    call.failure = ""
    call.due_at = None
    call.scored_at = Now()
    call.overall = None if call.private else overall
    call.save(update_fields=["stage", "failure", "due_at", "scored_at", "overall", "updated_at"])
    practice_mark(call)
    tell_outcome(call)
