"""A receiver is down for a day and misses nothing: the real sender and rows, a virtual clock."""

import json
from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.db.models import F, Min
from django.utils import timezone

from tenants.isolation import tenant_scope
from tenants.models import ApiKey
from webhooks import dispatch as dispatching
from webhooks import writing
from webhooks.log import LogQuery, deliveries_page
from webhooks.models import Attempt, Delivery, Endpoint, Event
from webhooks.presenting import verdict_of
from webhooks.tests import making
from webhooks.tests.making import in_database
from webhooks.tests.receivers import Receiver, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bells")]

HOST = "hooks.example.com"
DAY = timedelta(days=1)
TIMES = {
    Event: ["created_at"],
    Delivery: ["created_at", "due_at", "ended_at"],
    Attempt: ["started_at"],
    Endpoint: ["created_at", "failing_since", "warned_at"],
}


class VirtualClock:
    """Time passes by moving everything that is written down into the past."""

    def __init__(self, tenant) -> None:
        self._tenant = tenant
        self.passed = timedelta(0)

    def forward(self, by: timedelta) -> None:
        with tenant_scope(self._tenant.pk):
            for model, columns in TIMES.items():
                model.objects.update(**{column: F(column) - by for column in columns})
        self.passed += by

    def next_due(self) -> datetime | None:
        with tenant_scope(self._tenant.pk):
            return Delivery.objects.aggregate(at=Min("due_at"))["at"]


@pytest.fixture
def hasty(monkeypatch):
    """The sender gathers for no time: a hundred runs of it take seconds."""
    monkeypatch.setattr(dispatching, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(dispatching, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(writing, "GATHER_SECONDS", 0.01)


@pytest.mark.usefixtures("hasty")
async def test_a_receiver_that_was_down_for_a_day_missed_nothing(world, dispatch):
    acme = await in_database(making.make_tenant)
    clock = VirtualClock(acme)
    await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    async with serving(Receiver().handle) as nobody:
        pass
    world.place(HOST, nobody)  # the port is closed again: connections are refused

    async def work_until(end: timedelta) -> None:
        """Everything that falls due up to then, at its own moment."""
        while (due := await in_database(clock.next_due)) is not None:
            wait = max(due - timezone.now(), timedelta(0)) + timedelta(milliseconds=1)
            if clock.passed + wait > end:
                break
            await in_database(clock.forward, wait)
            await dispatch(world.internet())
        await in_database(clock.forward, max(end - clock.passed, timedelta(0)))

    events = []
    for hours in (0, 7, 14, 23.5):
        await work_until(timedelta(hours=hours))
        events.append((await in_database(making.publish, acme)).public_id)
    await work_until(DAY)
    before = await in_database(making.deliveries, acme)
    assert {delivery.state for delivery in before} == {"pending"}
    assert {delivery.last_failure for delivery in before} == {"CONNECT_FAILED"}

    receiver = Receiver()
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port, address="93.184.215.200")
        events.append((await in_database(making.publish, acme)).public_id)
        await work_until(4 * DAY)
    times = Counter(json.loads(got.body)["webhookId"] for got in receiver.got)
    assert times == dict.fromkeys(events, 1)

    page = await in_database(deliveries_page, tenant=acme, query=LogQuery(mode=ApiKey.Mode.LIVE))
    assert [delivery.state for delivery in page.deliveries] == ["delivered"] * len(events)
    oldest = page.deliveries[-1]
    assert (oldest.event.public_id, oldest.attempt_count) == (events[0], 11)
    assert verdict_of(oldest) == "It arrived: your server answered 200, after 11 attempts."
    assert timedelta(hours=34) < oldest.ended_at - oldest.created_at < timedelta(hours=52)
    attempts = await in_database(making.attempts, acme)
    assert Counter(attempt.error for attempt in attempts)[""] == len(events)
    assert page.deliveries[0].endpoint.enabled
    assert page.deliveries[0].endpoint.failing_since is None
