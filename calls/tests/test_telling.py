"""Events that endpoints ask for by name, published with what they tell of."""

import json

import pytest

from calls.models import Call
from calls.services.live import CallNotOurs, OwnedCall, call_end, call_live
from calls.services.outcomes import call_fail, call_succeed
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import make_call
from tenants.isolation import tenant_scope
from webhooks.models import Delivery, Event
from webhooks.services import EVENT_TYPES, endpoint_create

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]
URL = "https://hooks.example.com/athos"


@pytest.fixture
def acme():
    make_drill()
    return make_integrator("Acme").tenant


def owned(call: Call) -> OwnedCall:
    return OwnedCall(
        id=call.pk,
        tenant_id=call.tenant_id,
        public_id=call.public_id,
        epoch=call.epoch,
        difficulty=call.difficulty,
        seed=call.seed,
        pack={},
    )


def told(tenant) -> list[dict]:
    with tenant_scope(tenant.pk):
        return [json.loads(bytes(each.body)) for each in Event.objects.order_by("created_at")]


def test_an_endpoint_hears_of_what_it_names(acme):
    endpoint_create(tenant=acme, url=URL, event_types=EVENT_TYPES)
    call = make_call(acme, stage=Call.Stage.CREATED)
    call_live(call=owned(call))
    call_end(call=owned(call), reason=Call.EndReason.REP_ENDED, seconds=61.4)
    call_end(call=owned(call), reason=Call.EndReason.REP_ENDED, seconds=61.4)
    with tenant_scope(acme.pk):
        call = Call.objects.get(pk=call.pk)
        call_fail(call=call, failure=Call.Failure.REP_NEVER_SPOKE)
    events = told(acme)
    assert [event["event"] for event in events] == [
        *("call.started", "call.ended", "call.scored", "call.score_failed"),
    ]
    assert {event["callId"] for event in events} == {call.public_id}
    assert (events[1]["endReason"], events[1]["durationSec"]) == ("REP_ENDED", 61)
    assert (events[2]["success"], events[3]["reason"]) == (False, "REP_NEVER_SPOKE")
    assert "success" not in events[3]


def test_whoever_names_nothing_gets_the_contracts_event_alone(acme):
    endpoint_create(tenant=acme, url=URL)
    call = make_call(acme, stage=Call.Stage.CREATED)
    call_live(call=owned(call))
    call_end(call=owned(call), reason=Call.EndReason.REP_ENDED, seconds=10)
    with tenant_scope(acme.pk):
        call_succeed(call=Call.objects.get(pk=call.pk), overall=80)
    assert [event["event"] for event in told(acme)] == ["call.scored"]


def test_a_test_call_is_told_to_endpoints_for_tests_only(acme):
    endpoint_create(tenant=acme, url=URL, event_types=EVENT_TYPES)
    endpoint_create(tenant=acme, url=URL, event_types=EVENT_TYPES, mode="test")
    call = make_call(acme, stage=Call.Stage.CREATED, mode="test")
    call_live(call=owned(call))
    with tenant_scope(acme.pk):
        (delivery,) = Delivery.objects.select_related("endpoint")
        assert delivery.endpoint.mode == "test"
    assert told(acme)[0]["mode"] == "test"


def test_a_worker_that_lost_the_call_tells_nothing(acme):
    endpoint_create(tenant=acme, url=URL, event_types=EVENT_TYPES)
    call = make_call(acme, stage=Call.Stage.LIVE)
    stale = owned(call)
    with tenant_scope(acme.pk):
        Call.objects.filter(pk=call.pk).update(epoch=call.epoch + 1)
    call_end(call=stale, reason=Call.EndReason.REP_ENDED, seconds=10)
    with pytest.raises(CallNotOurs):
        call_live(call=stale)
    assert told(acme) == []
