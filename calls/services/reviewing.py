"""What managers do to the score of a call: kept, told and audited in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from calls.history.detail import call_locked
from calls.history.listing import Reader
from calls.models import Call
from calls.services.practice_days import practice_mark
from calls.services.telling import tell_overridden
from scoring import overrides
from scoring.models import Override
from scoring.overrides import Seen
from scoring.ports import Answer
from tenants.services import audit


def score_override(
    *,
    reader: Reader,
    public_id: str,
    check_key: str,
    answer: Answer,
    reason: str,
    seen: Seen,
    actor: str,
) -> Override:
    """Give a check another answer; the score follows. Raises what `verdict_override` raises."""
    with _scored(reader, public_id) as call:
        change = overrides.verdict_override(
            tenant_id=call.tenant_id,
            call_id=call.pk,
            check_key=check_key,
            answer=answer,
            reason=reason.strip(),
            seen=seen,
            actor=actor,
        )
        return _kept(call, change, "score.override")


def score_override_withdraw(
    *, reader: Reader, public_id: str, check_key: str, seen: Seen, actor: str, reason: str = ""
) -> Override:
    """Let the judge's verdict on a check hold again."""
    with _scored(reader, public_id) as call:
        change = overrides.override_withdraw(
            tenant_id=call.tenant_id,
            call_id=call.pk,
            check_key=check_key,
            reason=reason.strip(),
            seen=seen,
            actor=actor,
        )
        return _kept(call, change, "score.override_withdraw")


def score_validate(
    *, reader: Reader, public_id: str, valid: bool, reason: str, seen: Seen, actor: str
) -> Override:
    """Say whether the score counts. One that does not is left out of lists by score."""
    with _scored(reader, public_id) as call:
        change = overrides.scorecard_validate(
            tenant_id=call.tenant_id,
            call_id=call.pk,
            valid=valid,
            reason=reason.strip(),
            seen=seen,
            actor=actor,
        )
        return _kept(call, change, "score.validate" if valid else "score.invalidate")


@contextmanager
def _scored(reader: Reader, public_id: str) -> Iterator[Call]:
    """The reader's scored call, locked: two managers wait for each other."""
    with reader.scope():
        yield call_locked(reader=reader, public_id=public_id, stage=Call.Stage.SCORED)


def _kept(call: Call, change: Override, action: str) -> Override:
    call.overall = change.overall if change.valid else None
    call.save(update_fields=["overall", "updated_at"])
    practice_mark(call)
    tell_overridden(call, override_id=change.pk)
    audit(
        tenant_id=call.tenant_id,
        actor=change.actor,
        action=action,
        target=f"call:{call.public_id}",
        details={"check": change.check_key, "override": change.number},
    )
    return change
