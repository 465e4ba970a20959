"""What came of a test: told to the endpoints for tests only, and as badly as was asked for."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from webhooks import services
from webhooks.models import Rehearsal
from webhooks.rehearsals import pretended, wait_pretended
from webhooks.services import RehearsalPlan
from webhooks.tests import making
from webhooks.tests.making import in_database
from webhooks.tests.receivers import Receiver, serving

HOST = "hooks.example.com"
NOW = datetime(2026, 6, 5, 18, 9, tzinfo=UTC)


@pytest.fixture
def acme():
    return making.make_tenant()


def publish_test(tenant, rehearsal=Rehearsal.NORMAL, **plan):
    return services.event_publish(
        tenant_id=tenant.pk,
        type="call.scored",
        subject_id=uuid.uuid4(),
        body=making.facts(),
        test=RehearsalPlan(rehearsal, **plan),
    )


@pytest.mark.django_db
def test_live_and_test_endpoints_hear_of_their_own_only(acme, bells):
    live, _ = making.make_endpoint(acme)
    test, _ = making.make_endpoint(acme, mode="test")
    stranger = making.make_tenant("Stranger")
    making.make_endpoint(stranger, mode="test")
    publish_test(acme)
    making.publish(acme)
    practised, real = making.deliveries(acme)
    assert [practised.endpoint_id, real.endpoint_id] == [test.pk, live.pk]
    assert json.loads(bytes(practised.event.body))["mode"] == "test"
    assert "mode" not in json.loads(bytes(real.event.body))
    assert making.deliveries(stranger) == []


@pytest.mark.django_db
def test_never_leaves_the_event_and_sends_nothing(acme, bells):
    making.make_endpoint(acme, mode="test")
    event = publish_test(acme, Rehearsal.NEVER)
    assert event.pk
    assert making.deliveries(acme) == []
    assert bells == []


@pytest.mark.django_db
def test_late_waits_before_the_first_attempt(acme, bells):
    making.make_endpoint(acme, mode="test")
    publish_test(acme, Rehearsal.LATE, delay=timedelta(seconds=90))
    (delivery,) = making.deliveries(acme)
    assert 80 < (delivery.due_at - timezone.now()).total_seconds() <= 90


@pytest.mark.parametrize(
    ("rehearsal", "errors", "waits"),
    [
        ("normal", [], []),
        ("late", [], []),
        ("twice", [], []),
        ("fail", ["SIMULATED_FAILURE"] * 2, [1.0, 3.0]),
        ("hang", ["SIMULATED_TIMEOUT"], [20.0]),
    ],
)
def test_what_is_pretended_comes_before_anything_is_sent(rehearsal, errors, waits):
    outcomes = [pretended(rehearsal, attempt=number, now=NOW) for number in (1, 2, 3, 4)]
    told = [outcome for outcome in outcomes if outcome is not None]
    assert outcomes[: len(told)] == told
    assert [outcome.error for outcome in told] == errors
    assert {(outcome.status, outcome.total_ms) for outcome in told} <= {(None, 0)}
    found = [wait_pretended(outcome, attempt=n) for n, outcome in enumerate(told, start=1)]
    assert found == waits


@pytest.mark.django_db(transaction=True)
async def test_failing_and_hanging_ones_arrive_once_after_the_attempts_in_the_log(
    acme, bells, world, dispatch
):
    await in_database(making.make_endpoint, acme, f"https://{HOST}/", mode="test")
    for rehearsal in (Rehearsal.FAIL, Rehearsal.HANG):
        await in_database(publish_test, acme, rehearsal)
    receiver = Receiver()
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        for arrived in (0, 1, 2):
            await dispatch(world.internet(), seconds=0.1)
            assert len(receiver.got) == arrived
            await in_database(making.make_due, acme)
        await dispatch(world.internet())
    assert len({got.headers["X-Athos-Webhook-Id"] for got in receiver.got}) == 2
    failing, hanging = await in_database(making.deliveries, acme)
    assert (failing.state, failing.attempt_count) == ("delivered", 3)
    assert (hanging.state, hanging.attempt_count) == ("delivered", 2)


@pytest.mark.django_db(transaction=True)
async def test_twice_brings_the_same_id_again_and_ends(acme, bells, world, dispatch):
    await in_database(making.make_endpoint, acme, f"https://{HOST}/", mode="test")
    await in_database(publish_test, acme, Rehearsal.TWICE)
    receiver = Receiver(statuses=[500])
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        for _ in range(5):
            await dispatch(world.internet(), seconds=0.1)
            await in_database(making.make_due, acme)
    # the first is refused, as a real failure is; then it is accepted, and comes once more
    assert len(receiver.got) == 3
    assert len({(got.headers["X-Athos-Webhook-Id"], got.body) for got in receiver.got}) == 1
    (delivery,) = await in_database(making.deliveries, acme)
    assert (delivery.state, delivery.attempt_count) == ("delivered", 3)
