"""What is written about sandbox calls: that one is wished for, and what it was made into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now

from calls.models import Call, Drill, RecordingPart, SandboxCall, Turn
from calls.selectors import drill_find
from calls.services.outcomes import call_fail, call_tell_parked
from calls.services.people import agency_check, agency_ensure, rep_ensure
from calls.services.telling import tell_ended, tell_started
from calls.services.tokens import DrillNotFound
from tenants.auth import Caller
from tenants.errors import AthosError, RateLimited
from tenants.isolation import tenant_scope, whole_tenant
from tenants.models import ApiKey, Tenant
from work.bell import ring
from work.claims import Claim

UNFINISHED_AT_ONCE = 4  # sandbox calls of a tenant that are neither scored nor given up
RETRY_SECONDS = 5
EPOCH = 1  # nobody takes such a call over
SEED = 1  # of the director's choices: the same script gives the same conversation


class NotATestKey(AthosError):
    code, status = "TEST_KEY_REQUIRED", 403
    message = "The sandbox answers to test keys (ath_test_…) only."


@dataclass(frozen=True, slots=True)
class SandboxWish:
    """A call to be made. Either `script` names what the rep says, or `rep_lines` are it."""

    drill_key: str
    difficulty: str
    external_user_id: str
    external_agency_id: str | None
    script: str
    rep_lines: tuple[str, ...]
    webhook: str
    webhook_delay: int  # seconds


def sandbox_call_create(*, caller: Caller, wish: SandboxWish) -> Call:
    """A call that is due to be made, by a test key. Takes no live slot and counts toward nothing.

    Raises NotATestKey, DrillNotFound, InsufficientScope for another agency's rep, and
    RateLimited while too many of the tenant's are unfinished.
    """
    if caller.mode != ApiKey.Mode.TEST:
        raise NotATestKey
    tenant = caller.tenant
    with whole_tenant(), tenant_scope(tenant.pk):  # the rep may be known in another agency
        agency_check(caller, wish.external_agency_id)
        drill = drill_find(tenant=tenant, key=wish.drill_key)
        if drill is None:
            raise DrillNotFound
        _check_room(tenant)
        call = sandbox_call_add(tenant=tenant, drill=drill, wish=wish)
        ring("sandbox")
    return call


def sandbox_call_add(
    *,
    tenant: Tenant,
    drill: Drill,
    wish: SandboxWish,
    happened_at: datetime | None = None,
    seed: int = SEED,
) -> Call:
    """The rows of a call that is due to be made; `happened_at` is when it is to have ended.

    In the caller's transaction and the tenant's scope.
    """
    call = _call_create(tenant, drill, wish, seed)
    SandboxCall.objects.create(
        tenant=tenant,
        call=call,
        script=wish.script,
        rep_lines=list(wish.rep_lines),
        webhook=wish.webhook,
        webhook_delay=wish.webhook_delay,
        happened_at=happened_at,
        due_at=Now(),
    )
    return call


def _check_room(tenant: Tenant) -> None:
    """Two that come at once wait for each other here."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    open_stages = [Call.Stage.CREATED, Call.Stage.ENDED, Call.Stage.TRANSCRIBED]
    unfinished = SandboxCall.objects.for_tenant(tenant).filter(
        call__stage__in=open_stages, call__failure="", happened_at=None
    )
    if unfinished.count() >= UNFINISHED_AT_ONCE:
        raise RateLimited(
            f"{UNFINISHED_AT_ONCE} sandbox calls are being made. Wait until one is scored.",
            retry_after=RETRY_SECONDS,
        )


def _call_create(tenant: Tenant, drill: Drill, wish: SandboxWish, seed: int) -> Call:
    agency = agency_ensure(tenant_id=tenant.pk, external_id=wish.external_agency_id)
    return Call.objects.create(
        tenant=tenant,
        mode=ApiKey.Mode.TEST,
        rep=rep_ensure(
            tenant_id=tenant.pk,
            external_id=wish.external_user_id,
            agency=agency,
            mode=ApiKey.Mode.TEST,
        ),
        agency=agency,
        external_user_id=wish.external_user_id,
        external_agency_id=wish.external_agency_id,
        drill_owner_id=drill.tenant_id,
        drill=drill,
        drill_key=drill.key,
        difficulty=wish.difficulty,
        persona_name=drill.pack["persona"]["name"],
        seed=seed,
    )


# --- the work ------------------------------------------------------------------------------------


def sandbox_call_made(
    *,
    claim: Claim[SandboxCall],
    turns: Sequence[Mapping[str, Any]],
    parts: Sequence[Mapping[str, Any]],
    seconds: float,
    again_in: timedelta | None = None,
) -> None:
    """The call is over, and ended just now, or when it is to have happened.

    `turns` and `parts` are the columns of their rows beyond call and epoch, turns in order. The
    row is looked at again after `again_in`.
    """
    with claim.finish() as sandbox:
        _done(sandbox, again_in)
        length, then = timedelta(seconds=seconds), sandbox.happened_at
        if then is None:
            times: dict[str, Any] = {"started_at": Now() - length, "ended_at": Now()}
        else:
            times = {"created_at": then - length, "started_at": then - length, "ended_at": then}
        ended = Call.objects.filter(pk=sandbox.call_id, stage=Call.Stage.CREATED).update(
            stage=Call.Stage.ENDED,
            end_reason=Call.EndReason.REP_ENDED,
            epoch=EPOCH,
            due_at=Now(),
            updated_at=Now(),
            **times,
        )
        if not ended:
            return
        owner = {"tenant_id": claim.tenant_id, "call_id": sandbox.call_id, "epoch": EPOCH}
        Turn.objects.bulk_create(
            Turn(**owner, number=number, **turn) for number, turn in enumerate(turns, start=1)
        )
        RecordingPart.objects.bulk_create(RecordingPart(**owner, **part) for part in parts)
        tell_started(sandbox.call_id)
        tell_ended(sandbox.call_id)
        ring("transcribe")


def sandbox_call_fail(*, claim: Claim[SandboxCall], failure: Call.Failure) -> None:
    """The script wants a call without a score."""
    with claim.finish() as sandbox:
        _done(sandbox)
        call = Call.objects.select_for_update().get(pk=sandbox.call_id)
        if call.stage == Call.Stage.CREATED:
            call_fail(call=call, failure=failure)


def sandbox_tell_parked(sandbox: SandboxCall) -> None:
    """The call could not be made: the integrator hears that it failed."""
    call = Call.objects.select_for_update().get(pk=sandbox.call_id)
    if call.stage == Call.Stage.CREATED:
        call_tell_parked(call)


def _done(sandbox: SandboxCall, again_in: timedelta | None = None) -> None:
    sandbox.due_at = None if again_in is None else Now() + again_in
    sandbox.rep_lines = []
    sandbox.save(update_fields=["due_at", "rep_lines"])
