"""Ids that come from outside without an address of their own: services, claims, tasks.

Whoever works for one tenant and names another's row finds nothing, whichever line between tenants
is the last that stands.
"""

import inspect
import uuid
from collections.abc import Callable

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction

from athos.celery import app
from calls.history.detail import call_of_ticket, recording_of
from calls.history.practice import practice_find
from calls.models import LiveSlot
from calls.selectors import call_joinable
from calls.services.live import CallNotOurs, call_take
from calls.services.session_jwt import SessionClaims
from calls.services.slots import slot_ensure
from calls.services.tokens import RedeemRequest, session_redeem, session_token_read
from scoring.selectors import score_for_api, scorecard_of
from tenants.errors import AthosError
from tenants.isolation import tenant_scope
from tenants.services import api_key_revoke
from tests.isolation.lines import EVERY_LINE, FILTERS, ROW_SECURITY, standing
from tests.isolation.world import Side, token_of
from webhooks.models import Delivery, Endpoint
from webhooks.selectors import deliveries_of, parcels
from webhooks.services import endpoint_disable, endpoint_secret_rotate
from work import kinds
from work.claims import _claim

Found = Callable[[uuid.UUID, Side], object]  # for a tenant, what is named by a side


def scoped(read: Callable[..., object]) -> Callable[..., object]:
    def inside(tenant_id: uuid.UUID, **names: object) -> object:
        with tenant_scope(tenant_id):
            return read(tenant_id=tenant_id, **names)

    return inside


def the_delivery(side: Side) -> uuid.UUID:
    return uuid.UUID(side.ids["delivery"]["one"])


def redeemed(tenant_id: uuid.UUID, side: Side) -> object:
    _, claims = session_token_read(token_of(side))
    forged = SessionClaims(claims.jti, claims.tenant, claims.subject, claims.issued_at)
    wish = RedeemRequest("ma-full-sale", "Advanced", {}, "")
    return session_redeem(tenant_id=tenant_id, claims=forged, wish=wish)


def taken(tenant_id: uuid.UUID, side: Side) -> object:
    worker = LiveSlot.objects.get(call_id=side.open_call.pk).worker_id
    return call_take(tenant_id=tenant_id, call_id=side.open_call.pk, worker_id=worker)


def disabled(tenant_id: uuid.UUID, side: Side) -> object:
    with tenant_scope(side.tenant.pk):
        endpoint = Endpoint.objects.get(public_id=side.ids["endpoint"]["all"])
    endpoint_disable(tenant_id=tenant_id, endpoint_id=endpoint.pk)
    with tenant_scope(side.tenant.pk):
        return not Endpoint.objects.get(pk=endpoint.pk).enabled


def rotated(tenant_id: uuid.UUID, side: Side) -> object:
    with tenant_scope(side.tenant.pk):
        endpoint = Endpoint.objects.get(public_id=side.ids["endpoint"]["all"])
    tenant = type(side.tenant)(id=tenant_id)
    return endpoint_secret_rotate(tenant=tenant, endpoint_id=endpoint.pk)


def revoked(tenant_id: uuid.UUID, side: Side) -> object:
    return api_key_revoke(tenant=type(side.tenant)(id=tenant_id), key_id=side.key_rows["live"].pk)


DOORS: dict[str, Found] = {
    "join": lambda t, s: call_joinable(tenant_id=t, call_id=s.open_call.pk) is not None,
    "place": lambda t, s: slot_ensure(tenant_id=t, call_id=s.open_call.pk),
    "take": taken,
    "follow": lambda t, s: call_of_ticket(tenant_id=t, call_id=s.calls["one"].pk),
    "recording": lambda t, s: recording_of(tenant_id=t, call_id=s.calls["one"].pk),
    "scorecard": lambda t, s: scoped(scorecard_of)(t, call_id=s.calls["one"].pk),
    "score": lambda t, s: scoped(score_for_api)(t, call_id=s.calls["one"].pk),
    "drill": lambda t, s: practice_find(drill_key=s.ids["drill"]["all"], tenant_id=t),
    "redeem": redeemed,
    "deliveries": lambda t, s: deliveries_of(tenant=t, subject_id=s.calls["one"].pk),
    "parcels": lambda t, s: parcels(tenant_id=t, delivery_ids=[the_delivery(s)]),
    "claim": lambda t, s: _claim(kinds.get("deliver"), Delivery, t, the_delivery(s)),
    "disable": disabled,
    "rotate": rotated,
    "revoke": revoked,
}


# Which lines hold a door, where not all do: the SQL functions of claims are the database's alone,
# and a scope shows more of drills than the tenant's own.
HELD_BY = {"claim": (ROW_SECURITY,), "drill": (ROW_SECURITY, FILTERS)}


def outcome(door: Found, tenant_id: uuid.UUID, side: Side) -> object:
    """What the door gives, nothing when it refuses. What it wrote is taken back."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                found = door(tenant_id, side)
        except (AthosError, CallNotOurs, ObjectDoesNotExist):
            found = None
        transaction.set_rollback(True)
    return found


def strangers_reached(world, names=DOORS) -> list[str]:
    """The doors through which A reaches what is B's."""
    return [name for name in names if outcome(DOORS[name], world.a.tenant.pk, world.b)]


@pytest.mark.parametrize("name", DOORS)
def test_every_door_opens_for_the_owner(world, name):
    assert outcome(DOORS[name], world.b.tenant.pk, world.b)


def test_no_door_opens_for_a_stranger(world):
    assert strangers_reached(world) == []


@pytest.mark.parametrize("line", EVERY_LINE)
def test_each_line_holds_the_doors_alone(world, line):
    names = [name for name in DOORS if line in HELD_BY.get(name, EVERY_LINE)]
    with standing(line):
        assert strangers_reached(world, names) == []


def test_a_forged_message_names_nobody():
    """Tasks take no arguments: rows that are due say whose they are, not the message."""
    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
    assert ours
    assert {n for n, task in ours.items() if inspect.signature(task.run).parameters} == set()
