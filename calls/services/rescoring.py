"""Scoring a call again on purpose: asked for by a manager, done by the workers."""

from django.db.models.functions import Now

from calls.history.detail import call_locked
from calls.history.listing import Reader
from calls.models import Call, Rescoring
from calls.services.practice_days import practice_mark
from calls.services.telling import tell_overridden
from scoring.models import Scorecard
from tenants.errors import AthosError
from tenants.services import audit
from work.bell import ring
from work.claims import Claim


class TranscriptGone(AthosError):
    code, status = "TRANSCRIPT_GONE", 409
    message = "The transcript is not kept any more, so there is nothing to score."


def rescore_ask(*, reader: Reader, public_id: str, actor: str) -> None:
    """Have a scored call scored again. Asking while it is under way changes nothing.

    The old scorecard stays until the new one is there, and is kept beside it.
    """
    with reader.scope():
        call = call_locked(reader=reader, public_id=public_id, stage=Call.Stage.SCORED)
        if not call.transcript_lines.exists():
            raise TranscriptGone
        asked, made = Rescoring.objects.get_or_create(
            tenant_id=call.tenant_id,
            call=call,
            defaults={"actor": actor, "requested_at": Now(), "due_at": Now()},
        )
        if not made:
            again = Rescoring.objects.filter(pk=asked.pk).exclude(outcome="", parked_at=None)
            made = bool(
                again.update(
                    actor=actor,
                    requested_at=Now(),
                    due_at=Now(),
                    outcome="",
                    parked_at=None,
                    tries=0,
                    failures=0,
                )
            )
        if made:
            audit(
                tenant_id=call.tenant_id,
                actor=actor,
                action="score.again",
                target=f"call:{call.public_id}",
            )
            ring("rescore")


def rescored(*, claim: Claim[Rescoring], card: Scorecard | None) -> None:
    """Within `claim.finish`: the call stands as its new scorecard says; None: the old one stays."""
    row = Rescoring.objects.get(pk=claim.pk)
    row.due_at = None
    row.outcome = Rescoring.Outcome.SCORED if card else Rescoring.Outcome.INCOMPLETE
    row.save(update_fields=["due_at", "outcome"])
    if card is None:
        return
    call = Call.objects.select_for_update(of=("self",)).get(pk=row.call_id)
    call.overall = None if call.private else card.overall
    call.save(update_fields=["overall", "updated_at"])
    practice_mark(call)
    tell_overridden(call, override_id=card.pk)
