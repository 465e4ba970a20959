"""A month of two agencies for a first look: sandbox calls, made by the real work, dated back.

Everything belongs to reps of its own, so it can be told apart and is erased with them.
"""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now

from calls.assignments.giving import Wish, assignment_create
from calls.erasure.requests import Asking, RepNotFound, rep_erase
from calls.history.listing import Reader
from calls.models import Assignment, Call, SandboxCall, TranscriptLine, Turn
from calls.sandbox.month_plan import Given, Month, Practising, Said, month
from calls.sandbox.services import SandboxWish, sandbox_call_add
from calls.selectors import drill_find
from calls.services.discussing import comment_add, dispute_create, dispute_reply
from calls.services.reviewing import score_override
from calls.services.tokens import DrillNotFound
from scoring.overrides import Seen
from scoring.ports import Answer
from scoring.selectors import scorecard_of
from tenants.isolation import tenant_scope
from tenants.models import Agency, ApiKey, Membership, Rep, Tenant
from webhooks.models import Rehearsal
from work.bell import ring
from work.claims import Claim

NEXT_LOOK = timedelta(seconds=20)  # at a call that is not scored yet
_FINAL = (Call.Stage.SCORED, Call.Stage.FAILED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the month is. `calls` are those that were asked for, 0: there is no month; `done`
    those that are scored or given up."""

    calls: int
    done: int

    @property
    def is_ready(self) -> bool:
        return 0 < self.calls == self.done


def demo_month_create(*, tenant: Tenant, now: datetime) -> int:
    """Have the month made in the tenant's sandbox; the number of calls, none where it is there.

    Raises DrillNotFound. The calls wait for the worker, oldest first.
    """
    plan, owner = month(), _owner(tenant)
    with tenant_scope(tenant.pk):
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)  # two at once: one month
        drill = drill_find(tenant=tenant, key=plan.drill)
        if drill is None:
            raise DrillNotFound
        if _calls(tenant).exists():
            return 0
        _people_create(tenant, plan)
        planned = sorted(
            (ended_at, rep.external_id, place)
            for rep in plan.reps
            for place, ended_at in enumerate(rep.times(now.date()))
        )
        reps = {rep.external_id: rep for rep in plan.reps}
        for number, (ended_at, name, place) in enumerate(planned, start=1):
            wish = _wish(plan, reps[name], place)
            sandbox_call_add(
                tenant=tenant, drill=drill, wish=wish, happened_at=ended_at, seed=number
            )
        for given in plan.given:
            _assign(tenant, plan, given, now.date(), owner)
        ring("sandbox")
    return len(planned)


def demo_month_standing(*, tenant_id: uuid.UUID) -> Standing:
    """How many calls of the month there are, and how many are through."""
    with tenant_scope(tenant_id):
        over = Q(stage__in=_FINAL) | ~Q(failure="")
        found = _calls(Tenant(pk=tenant_id)).aggregate(
            calls=Count("pk"), done=Count("pk", filter=over)
        )
    return Standing(**found)


def demo_month_remove(*, tenant: Tenant, actor: str) -> int:
    """Have all of it erased with the made-up reps; how many of them there were."""
    asking = Asking(tenant=tenant, mode=ApiKey.Mode.TEST, agencies=(), actor=actor)
    found = 0
    for rep in month().reps:
        try:
            rep_erase(caller=asking, external_user_id=rep.external_id)
        except RepNotFound:
            continue
        found += 1
    return found


def month_afterwards(claim: Claim[SandboxCall]) -> None:
    """What people say of a call of the month, as soon as it is scored. Said once."""
    with claim.finish() as sandbox:
        call = sandbox.call
        if call.stage not in _FINAL and not call.failure:
            sandbox.due_at = Now() + NEXT_LOOK
        else:
            sandbox.due_at = None
        sandbox.save(update_fields=["due_at"])
        if call.stage == Call.Stage.SCORED:
            for said in _said_of(sandbox):
                _say(call, said, _owner(Tenant(pk=claim.tenant_id)))


def call_is_discussed(sandbox: SandboxCall) -> bool:
    """Whether something is to be said of the call afterwards. Needs the tenant's scope."""
    return bool(_said_of(sandbox))


def _said_of(sandbox: SandboxCall) -> list[Said]:
    if sandbox.happened_at is None:
        return []
    mine = SandboxCall.objects.filter(call__rep_id=sandbox.call.rep_id)
    number = mine.filter(happened_at__lte=sandbox.happened_at).count()
    name = sandbox.call.external_user_id
    return [said for said in month().said if (said.rep, said.call) == (name, number)]


def _say(call: Call, said: Said, user_id: uuid.UUID) -> None:
    """By the services that members and reps use. A check that the rubric lacks is passed over."""
    here: Any = {
        "reader": Reader(call.tenant_id, mode=call.mode),
        "public_id": call.public_id,
    }
    lines = TranscriptLine.objects.filter(call=call, role=Turn.Role.USER).order_by("number")
    line = lines.first() if said.at == "first" else lines.last()
    if said.comment and line is not None:
        comment_add(**here, line_number=line.number, text=said.comment, user_id=user_id)
    card = scorecard_of(tenant_id=call.tenant_id, call_id=call.pk)
    if not said.dispute or not card or not card.verdicts.filter(check_key=said.check).exists():
        return
    dispute_create(
        tenant_id=call.tenant_id, call_id=call.pk, check_key=said.check, text=said.dispute
    )
    if said.override:
        score_override(
            **here,
            check_key=said.check,
            answer=Answer.YES,
            reason=said.override,
            seen=Seen(card.version, 0),
            actor=f"user:{user_id}",
        )
    if said.reply:
        dispute_reply(**here, check_key=said.check, text=said.reply, user_id=user_id)


def _assign(tenant: Tenant, plan: Month, given: Given, today: date, user_id: uuid.UUID) -> None:
    """Given some days ago, and due then, or already over."""
    agency = Agency.objects.get(tenant=tenant, external_id=given.agency)
    wish = Wish(
        form_id=uuid.uuid4(),
        drill_key=plan.drill,
        due_on=today,
        pass_mark=given.pass_mark,
        agency=agency.public_id,
        team=given.team,
        focus=given.focus,
        note=given.note,
    )
    made = assignment_create(tenant_id=tenant.pk, agencies=(), wish=wish, actor=f"user:{user_id}")
    Assignment.objects.filter(pk=made.pk).update(
        created_at=Now() + timedelta(days=given.given), due_on=today + timedelta(days=given.due)
    )


def _people_create(tenant: Tenant, plan: Month) -> None:
    agencies = {
        external_id: Agency.objects.get_or_create(
            tenant=tenant, external_id=external_id, defaults={"name": name}
        )[0]
        for external_id, name in plan.agencies.items()
    }
    Rep.objects.bulk_create(
        [
            Rep(
                tenant=tenant,
                external_id=rep.external_id,
                name=rep.name,
                team=rep.team,
                agency=agencies[rep.agency],
                sandbox_only=True,
            )
            for rep in plan.reps
        ],
        ignore_conflicts=True,  # one whom a file had brought in as a real one stays
    )


def _wish(plan: Month, rep: Practising, place: int) -> SandboxWish:
    kind, is_hard = rep.calls[place], place >= len(rep.calls) - rep.hard
    return SandboxWish(
        drill_key=plan.drill,
        difficulty=Call.Difficulty.ELITE if is_hard else Call.Difficulty.ADVANCED,
        external_user_id=rep.external_id,
        external_agency_id=rep.agency,
        script=plan.script_of(kind),
        rep_lines=plan.rep_lines(rep, kind),
        webhook=Rehearsal.NEVER,  # nobody waits for calls of last week
        webhook_delay=0,
    )


def _calls(tenant: Tenant) -> QuerySet[Call]:
    """By their reps, who are few or none, however many calls the tenant has."""
    names = [rep.external_id for rep in month().reps]
    reps = Rep.objects.for_tenant(tenant).filter(external_id__in=names).values_list("pk", flat=True)
    return Call.objects.for_tenant(tenant).filter(rep__in=list(reps), mode=ApiKey.Mode.TEST)


def _owner(tenant: Tenant) -> uuid.UUID:
    """Who answers and assigns in the made-up month."""
    with tenant_scope(tenant.pk):
        rows = Membership.objects.for_tenant(tenant).filter(role=Membership.Role.OWNER)
        return rows.order_by("created_at", "id").values_list("user_id", flat=True)[0]
