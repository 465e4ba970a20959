"""Ends that nobody asked for: never connected, and a worker that died in the middle."""

import json
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from calls.models import Call, LiveSlot, RecordingPart
from calls.services import live
from calls.tasks import connect_due, lost_due
from calls.tests.making import make_drill, make_integrator, make_worker, redeem
from tenants.isolation import tenant_scope
from webhooks.models import Event
from work import bell, kinds
from work.claims import claims, due
from work.overview import standing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bells(monkeypatch):
    rung: list[str] = []
    monkeypatch.setattr(bell, "ring", rung.append)
    monkeypatch.setattr("calls.services.ending.ring", rung.append)
    return rung


@pytest.fixture
def created() -> Call:
    """A call as redeeming makes it, its slot reserved."""
    make_drill()
    make_worker(slots=2)
    integrator = make_integrator()
    answer = redeem(integrator.token())
    assert answer.status_code == 200, answer.content
    with tenant_scope(integrator.tenant.pk):
        return Call.objects.get()


@pytest.fixture
def carried(created) -> live.OwnedCall:
    """The call is live since a minute, and its worker holds it."""
    slot = LiveSlot.objects.get(call_id=created.pk)
    owned = live.call_take(
        tenant_id=created.tenant_id, call_id=created.pk, worker_id=slot.worker_id
    )
    live.call_live(call=owned)
    change(created, started_at=Now() - timedelta(minutes=1))
    return owned


def change(call: Call | live.OwnedCall, **values: object) -> None:
    with tenant_scope(call.tenant_id):
        Call.objects.filter(pk=call.id).update(**values)


def now_of(call: Call | live.OwnedCall) -> Call:
    with tenant_scope(call.tenant_id):
        return Call.objects.get()


def lose(call: Call | live.OwnedCall, seconds: float = 31) -> None:
    """What a worker leaves behind whose last lease ran out so long ago."""
    ago = Now() - timedelta(seconds=seconds)
    LiveSlot.objects.filter(call_id=call.id).update(lease_until=ago)
    change(call, updated_at=ago)


def test_every_kind_of_work_on_calls_has_its_functions():
    for kind in kinds.registered():
        if kind.model is Call:
            assert due(kind, 10) == []
            assert standing(kind).due == 0


def test_a_call_that_nobody_connects_fails_after_a_minute(created):
    assert timedelta(seconds=55) < created.due_at - created.created_at < timedelta(seconds=65)
    connect_due()
    assert now_of(created).stage == Call.Stage.CREATED
    change(created, due_at=Now() - timedelta(seconds=1))
    connect_due()
    after = now_of(created)
    assert (after.stage, after.end_reason) == (Call.Stage.FAILED, Call.EndReason.NEVER_CONNECTED)
    assert (after.due_at, after.lease_token) == (None, None)
    assert not LiveSlot.objects.filter(call_id__isnull=False).exists()


def test_the_customer_hears_that_nobody_connected(created):
    change(created, due_at=Now() - timedelta(seconds=1))
    connect_due()
    with tenant_scope(created.tenant_id):
        body = json.loads(bytes(Event.objects.get().body))
    assert (body["success"], body["reason"]) == (False, "NEVER_CONNECTED")
    assert body["callId"] == created.public_id
    assert now_of(created).failure == Call.Failure.NEVER_CONNECTED


def test_a_call_that_connects_at_the_last_moment_goes_on(created):
    """It became live between the claim and its end."""
    change(created, due_at=Now() - timedelta(seconds=1))
    from calls.services.ending import call_fail_unconnected

    for claim in claims(Call, kind="connect"):
        change(created, stage=Call.Stage.LIVE, started_at=Now(), due_at=None)
        call_fail_unconnected(claim)
    assert now_of(created).stage == Call.Stage.LIVE
    assert LiveSlot.objects.filter(call_id=created.pk).exists()


def test_a_call_that_its_worker_holds_is_left_alone(carried):
    lost_due()
    assert now_of(carried).stage == Call.Stage.LIVE


def test_a_call_whose_worker_died_ends_where_its_last_trace_ends(carried, bells):
    said = {"role": "user", "text": "Hello", "start_time": 1.0, "end_time": 12.5}
    live.turn_add(call=carried, number=1, values=said)
    with tenant_scope(carried.tenant_id):
        RecordingPart.objects.create(
            tenant_id=carried.tenant_id,
            call_id=carried.id,
            channel="rep",
            epoch=carried.epoch,
            number=3,
            offset=15.0,
            duration=4.5,
            file="rep-3.ogg",
            size=1,
        )
    lose(carried)
    lost_due()
    after = now_of(carried)
    assert (after.stage, after.end_reason) == (Call.Stage.ENDED, Call.EndReason.WORKER_LOST)
    assert after.ended_at - after.started_at == timedelta(seconds=19.5)
    assert after.due_at is not None
    assert (after.lease_token, after.parked_at) == (None, None)
    assert bells == ["transcribe"]
    assert not LiveSlot.objects.filter(call_id__isnull=False).exists()


def test_a_worker_that_wakes_up_after_the_end_may_write_nothing(carried):
    lose(carried)
    lost_due()
    said = {"role": "user", "text": "Still there?", "start_time": 1.0, "end_time": 2.0}
    with pytest.raises(live.CallNotOurs):
        live.turn_add(call=carried, number=1, values=said)
    live.call_end(call=carried, reason="rep_ended", seconds=99.0)
    after = now_of(carried)
    assert after.end_reason == Call.EndReason.WORKER_LOST
    assert after.ended_at == after.started_at  # nothing was said


def test_a_call_whose_slot_is_gone_altogether_is_lost_too(carried):
    live.worker_leave(worker_id=LiveSlot.objects.get(call_id=carried.id).worker_id)
    lost_due()
    assert now_of(carried).stage == Call.Stage.LIVE
    lose(carried)
    lost_due()
    assert now_of(carried).stage == Call.Stage.ENDED


def test_another_worker_has_half_a_minute_to_take_the_call_over(carried):
    lose(carried, seconds=25)
    lost_due()
    assert now_of(carried).stage == Call.Stage.LIVE


def test_a_call_that_began_just_now_is_not_called_lost(carried):
    change(carried, started_at=Now())
    lose(carried)
    lost_due()
    assert now_of(carried).stage == Call.Stage.LIVE


def test_the_sweep_hears_of_lost_calls_of_all_tenants(carried, bells):
    from work.sweep import sweep

    lose(carried)
    assert "lost" in sweep()
    assert "lost" in bells
