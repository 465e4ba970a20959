"""A tenant with a month of calls and an empty one, and a member of each kind in both."""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.test import Client
from django.utils import timezone

from calls.models import Call, PracticeDay
from calls.services.practice_days import practice_day_count, practice_recount
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_recording, add_scorecard, add_transcript, make_call
from tenants.isolation import tenant_scope
from tenants.members import MODE
from tenants.models import Agency, Membership, Rep, Tenant, User
from tenants.tests.signing import signed_in
from work.drain import drain

LIMITED, STRANGER = "limited", "stranger"
OWNER, MANAGER, ANALYST, DEVELOPER = Membership.Role.values
ROLES = (OWNER, MANAGER, ANALYST, DEVELOPER, LIMITED)  # limited: a manager of the agency north
CANARY_SOUTH, CANARY = "Southern Canary", "Canary of the tenant"  # names that few may read


@dataclass
class Side:
    """One tenant. `things` is for what seeds of pages make, by a name of their own."""

    tenant: Tenant
    users: dict[str, User] = field(default_factory=dict)
    agencies: dict[str, Agency] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)  # of the agency north, scored, newest first
    things: dict[str, Any] = field(default_factory=dict)

    def client(self, role: str, *, mode: str = "live") -> Client:
        """Signed in, looking at live calls or at the sandbox."""
        client = signed_in(self.users[role])
        session = client.session
        session[MODE] = mode
        session.save()
        return client

    def cookie(self, role: str, *, mode: str = "live") -> str:
        """The session of a signed-in member, for a browser."""
        return self.client(role, mode=mode).cookies[settings.SESSION_COOKIE_NAME].value


@dataclass
class Bed:
    """`full`, `empty` and the owner of a third tenant."""

    full: Side
    empty: Side
    stranger: Side

    def side(self, state: str) -> Side:
        return self.empty if state == "empty" else self.full


def bed_make() -> Bed:
    make_drill(title="Medicare Advantage, full sale")
    full, empty, stranger = _side("Acme"), _side("Newcomer"), _side("Stranger")
    with tenant_scope(full.tenant.pk):
        for name in ("north", "south"):
            full.agencies[name] = Agency.objects.create(
                tenant=full.tenant, external_id=name, name=f"Harbor {name.title()}"
            )
    member_add(full, LIMITED, MANAGER, [full.agencies["north"].pk])
    _calls(full)
    return Bed(full, empty, stranger)


def _side(name: str) -> Side:
    side = Side(make_integrator(name).tenant)
    for role in (OWNER, MANAGER, ANALYST, DEVELOPER):
        member_add(side, role, role, [])
    return side


def member_add(side: Side, kind: str, role: str, agencies: list[uuid.UUID]) -> None:
    user = User.objects.create(email=f"{kind}-{uuid.uuid4().hex[:8]}@example.com")
    with tenant_scope(side.tenant.pk):
        Membership.objects.create(tenant=side.tenant, user=user, role=role, agencies=agencies)
    side.users[kind] = user


def _calls(side: Side) -> None:
    """Of three reps in a month, one rep each of north, south and no agency; two in the sandbox."""
    now = timezone.now()
    people = [("rep_1", "north"), ("rep_2", "south"), ("rep_3", None)]
    for number in range(12):
        ended_at = now - timedelta(days=2 * number, hours=1)
        user, agency = people[number % 3]
        overall = 90 - 4 * number
        call = make_call(side.tenant, user=user, agency=agency, ended_at=ended_at, overall=overall)
        add_scorecard(call, overall=overall, doctors="yes" if number < 4 else "no")
        add_transcript(call)
        if agency == "north":
            side.calls.append(call)
    add_recording(side.calls[0])
    for stage in ("live", "ended", "failed"):
        make_call(side.tenant, user="rep_1", agency="north", stage=stage)
    for _ in range(2):
        add_scorecard(make_call(side.tenant, user="rep_1", agency="north", mode="test"))
    names = {"rep_1": "Nora North", "rep_2": CANARY_SOUTH, "rep_3": CANARY}
    with tenant_scope(side.tenant.pk):
        for user, name in names.items():
            Rep.objects.filter(external_id=user).update(name=name)
        Call.objects.update(created_at=F("started_at"))
    practice_recount(tenant_id=side.tenant.pk)
    drain(PracticeDay, kind="practice", handle=practice_day_count)
