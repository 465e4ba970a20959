"""From an event to the integrator's server and back into the log."""

import asyncio
import json
import os
import time
import uuid
from collections import Counter

import pytest
import standardwebhooks
import stripe
import svix
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from tenants.isolation import tenant_scope
from webhooks import retry, selectors, services, writing
from webhooks.models import Endpoint
from webhooks.place import Place
from webhooks.sending import Internet, Sender
from webhooks.sql import ENDPOINT_IN_FLIGHT, FAILING_IN_FLIGHT, TENANT_IN_FLIGHT, TOGETHER
from webhooks.tests import making
from webhooks.tests.making import in_database
from webhooks.tests.receivers import Hanging, Receiver, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bells")]

HOST = "hooks.example.com"


@pytest.fixture
def acme():
    return making.make_tenant()


async def until(happened) -> None:
    while not happened():  # noqa: ASYNC110 - servers know no event for it
        await asyncio.sleep(0.02)


async def test_an_event_arrives_signed_over_tls(acme, world, dispatch):
    _, secret = await in_database(making.make_endpoint, acme, f"https://{HOST}/athos?x=1")
    subject = uuid.uuid4()
    event = await in_database(making.publish, acme, subject)
    receiver = Receiver(text="thanks")
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        await dispatch(world.internet())
    (got,) = receiver.got
    assert got.body == bytes(event.body)
    assert got.headers["X-Athos-Webhook-Id"] == json.loads(got.body)["webhookId"]
    (state,) = await in_database(selectors.deliveries_of, tenant=acme, subject_id=subject)
    assert (state.state, state.attempts, state.last_status) == ("delivered", 1, 200)
    assert state.next_try_at is None
    (attempt,) = await in_database(making.attempts, acme)
    assert (attempt.status, attempt.error, attempt.response_body) == (200, "", "thanks")
    assert None not in (attempt.lookup_ms, attempt.connect_ms, attempt.answer_ms)
    assert secret not in json.dumps(attempt.request_headers)


async def test_the_embedded_mode_reaches_a_receiver_on_this_machine(acme, dispatch):
    receiver = Receiver()
    async with serving(receiver.handle) as port:
        for host in ("localhost", "127.0.0.1"):
            url = f"http://{host}:{port}/webhook"
            await in_database(making.make_endpoint, acme, url)
        await in_database(making.publish, acme)
        await dispatch(Internet(development=True))
        assert [d.state for d in await in_database(making.deliveries, acme)] == ["delivered"] * 2
        await in_database(making.publish, acme)
        await dispatch(Internet())  # the mode was left: the stored URL no longer goes
    assert len(receiver.got) == 2
    assert {a.error for a in await in_database(making.attempts, acme)} == {"", "URL_REFUSED"}


async def test_three_libraries_verify_what_arrived(acme, world, dispatch):
    endpoint, old = await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    new = await in_database(services.endpoint_secret_rotate, tenant=acme, endpoint_id=endpoint.pk)
    await in_database(making.publish, acme, externalUserId="Zoë 漢 🙂")
    receiver = Receiver()
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        await dispatch(world.internet())
    (got,) = receiver.got
    for secret in (new, old):
        header = got.headers["X-Athos-Signature"]
        assert stripe.WebhookSignature.verify_header(got.body.decode(), header, secret, 300)
        for library in (standardwebhooks, svix):
            library.Webhook(secret).verify(got.body, got.headers)
    assert got.headers["Content-Type"] == "application/json"
    assert "gzip" not in got.headers["Accept-Encoding"]


async def test_twelve_failures_follow_the_schedule_and_end(acme, world, dispatch):
    """The clock is virtual: after each failure the wait is read, then declared over."""
    _, secret = await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    await in_database(making.publish, acme)
    receiver, waits = Receiver(statuses=[500] * 20), []
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        for _ in range(14):
            await dispatch(world.internet())
            (delivery,) = await in_database(making.deliveries, acme)
            if delivery.due_at is None:
                break
            waits.append((delivery.due_at - timezone.now()).total_seconds())
            await in_database(making.make_due, acme)
    assert (delivery.state, delivery.attempt_count) == ("failed", 12)
    assert len(receiver.got) == 12
    for planned, wait in zip(retry.PLAN[1:], waits, strict=True):
        assert 0.8 * planned - 3 <= wait <= 1.2 * planned
    assert {got.body for got in receiver.got} == {receiver.got[0].body}
    for got in receiver.got:  # each attempt signs with its own time
        stripe.WebhookSignature.verify_header(
            got.body.decode(), got.headers["X-Athos-Signature"], secret, 300
        )
    attempts = await in_database(making.attempts, acme)
    assert [a.number for a in attempts] == list(range(1, 13))
    assert {(a.status, a.error) for a in attempts} == {(500, "HTTP_STATUS")}


async def test_a_receiver_that_recovers_is_told_once_more_only(acme, world, dispatch):
    await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    await in_database(making.publish, acme)
    receiver = Receiver(statuses=[503, 302], answer={"Location": "https://evil.example.com/"})
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        for _ in range(5):
            await dispatch(world.internet())
            await in_database(making.make_due, acme)
    (delivery,) = await in_database(making.deliveries, acme)
    assert (delivery.state, delivery.attempt_count, len(receiver.got)) == ("delivered", 3, 3)
    attempts = await in_database(making.attempts, acme)
    assert [a.error for a in attempts] == ["HTTP_STATUS", "REDIRECT_REFUSED", ""]
    assert world.looked_up == [HOST] * 3  # the redirect's host was never asked for


async def test_retry_after_lengthens_the_wait(acme, world, dispatch):
    await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    await in_database(making.publish, acme)
    receiver = Receiver(statuses=[429], answer={"Retry-After": "3600"})
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        await dispatch(world.internet())
    (delivery,) = await in_database(making.deliveries, acme)
    assert 6 < (delivery.due_at - timezone.now()).total_seconds() <= 10  # twice the plan of 5 s


async def test_410_disables_the_endpoint_and_what_waits_is_abandoned(acme, world, dispatch):
    await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    await in_database(making.publish, acme)
    receiver = Receiver(statuses=[410])
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        await dispatch(world.internet())
        (delivery,) = await in_database(making.deliveries, acme)
        assert (delivery.state, delivery.last_status) == ("failed", 410)
        assert (delivery.endpoint.enabled, delivery.endpoint.disabled_reason) == (False, "gone")
        await in_database(making.publish, acme)  # nobody wants it
        assert len(await in_database(making.deliveries, acme)) == 1
    assert len(receiver.got) == 1


async def test_a_disabled_endpoints_pending_deliveries_are_abandoned_unsent(acme, world, dispatch):
    endpoint, _ = await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    await in_database(making.publish, acme)
    await in_database(services.endpoint_disable, tenant_id=acme.pk, endpoint_id=endpoint.pk)
    await dispatch(world.internet())
    (delivery,) = await in_database(making.deliveries, acme)
    assert (delivery.state, delivery.attempt_count) == ("abandoned", 0)
    assert world.looked_up == []


async def test_a_secret_that_no_key_opens_is_a_failed_attempt_not_a_crash(
    acme, world, dispatch, settings
):
    await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    await in_database(making.publish, acme)
    settings.ENCRYPTION_KEYS = {"other": "o" * 40}
    await dispatch(world.internet())
    (attempt,) = await in_database(making.attempts, acme)
    assert (attempt.error, attempt.request_headers) == ("SECRET_UNREADABLE", {})
    assert world.looked_up == []


async def test_a_fault_of_ours_costs_its_own_delivery_a_pause(acme, world, dispatch, monkeypatch):
    await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    other = await in_database(making.make_tenant, "Other")
    await in_database(making.make_endpoint, other, "https://other.example.com/")
    for tenant in (acme, other):
        await in_database(making.publish, tenant)
    receiver = Receiver()
    send = Sender.send

    async def faulty(self, parcel):
        if parcel.url == f"https://{HOST}/":
            raise KeyError("on purpose")
        return await send(self, parcel)

    monkeypatch.setattr(Sender, "send", faulty)
    async with serving(receiver.handle, world.authority.server("other.example.com")) as port:
        world.place("other.example.com", port)
        await dispatch(world.internet())
    (mine,) = await in_database(making.deliveries, acme)
    (theirs,) = await in_database(making.deliveries, other)
    assert (mine.state, mine.last_error, mine.tries) == ("pending", "KeyError", 1)
    assert theirs.state == "delivered"


async def test_a_database_that_is_away_for_a_moment_costs_no_second_sending(
    acme, world, dispatch, monkeypatch
):
    await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    await in_database(making.publish, acme)
    record, failures = writing.attempts_record, [OperationalError, InterfaceError]

    def away_twice(ended):
        if failures:
            raise failures.pop()
        return record(ended)

    monkeypatch.setattr(writing, "attempts_record", away_twice)
    receiver = Receiver()
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        await dispatch(world.internet())
    (delivery,) = await in_database(making.deliveries, acme)
    assert (delivery.state, len(receiver.got)) == ("delivered", 1)


async def test_one_sender_at_a_time_on_a_machine_unless_it_does_not_move(tmp_path):
    path = tmp_path / "run" / "lock"
    first, second, third = Place(path), Place(path), Place(path)
    assert first.take()
    assert not second.take()
    os.utime(path, (time.time() - 11,) * 2)
    assert second.take()
    assert not third.take()
    first.keep()
    first.leave()
    assert third.take()
    for place in (first, second, third):
        place.leave()


async def test_a_hanging_endpoint_holds_up_nobody(acme, world, dispatch):
    """40 deliveries to an endpoint that never answers; 30 to others, published after them."""
    host = "hang.example.com"
    await in_database(making.make_endpoint, acme, f"https://{host}/")
    for _ in range(40):
        await in_database(making.publish, acme)
    await in_database(making.make_endpoint, acme, f"https://{HOST}/")
    other = await in_database(making.make_tenant, "Other")
    await in_database(making.make_endpoint, other, "https://other.example.com/")
    for tenant in [acme] * 10 + [other] * 20:
        await in_database(making.publish, tenant)
    receiver, hanging = Receiver(), Hanging()
    tls = world.authority.server
    async with (
        serving(hanging.handle, tls(host)) as hanging_port,
        serving(receiver.handle, tls(HOST, "other.example.com")) as port,
    ):
        world.place(host, hanging_port)
        world.place(HOST, port)
        world.place("other.example.com", port)
        sender = asyncio.create_task(dispatch(world.internet(), deadline=60.0, seconds=60.0))
        async with asyncio.timeout(45):
            await until(lambda: (len(receiver.got), len(hanging.got)) == (30, ENDPOINT_IN_FLIGHT))
        # All healthy ones are through and none of the hanging has ended: nobody waited for them.
        hanging.released.set()
        await sender
    assert (len(receiver.got), len(hanging.got)) == (30, 50)


async def test_turns_go_round_tenants_and_endpoints_within_the_caps(acme):
    """`due_deliver` alone: what a sender with room for 100 would be handed."""

    def hand_out() -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM due_deliver(100)")
            return cursor.fetchall()

    def fill() -> tuple:
        for number in range(12):  # 12 endpoints x 10 events
            making.make_endpoint(acme, f"https://h{number}.example.com/")
        for _ in range(10):
            making.publish(acme)
        small = making.make_tenant("Small")
        making.make_endpoint(small)
        making.publish(small)
        return small

    small = await in_database(fill)
    handed = await in_database(hand_out)
    assert [tenant for tenant, _ in handed].count(acme.pk) == TENANT_IN_FLIGHT
    assert small.pk in [tenant for tenant, _ in handed[: TOGETHER + 1]]
    endpoints = {d.pk: d.endpoint_id for d in await in_database(making.deliveries, acme)}
    first = [endpoints[pk] for tenant, pk in handed if tenant == acme.pk]
    assert len(set(first[:12])) == 12
    assert max(Counter(first).values()) <= ENDPOINT_IN_FLIGHT

    def fail_one() -> None:
        with tenant_scope(small.pk):
            Endpoint.objects.update(failing_since=timezone.now(), failed_attempts=1)
        for _ in range(9):
            making.publish(small)

    await in_database(fail_one)
    handed = await in_database(hand_out)
    assert [tenant for tenant, _ in handed].count(small.pk) == FAILING_IN_FLIGHT


async def test_many_deliveries_at_once_arrive_once_each(acme, world, dispatch):
    """A new TLS connection each, rows and logs written. How fast: `python -m bench.webhooks`."""
    count = 96
    hosts = [f"t{number}.example.com" for number in range(16)]
    tenants = [acme] + [await in_database(making.make_tenant) for _ in range(3)]

    def fill() -> None:
        for number, host in enumerate(hosts):
            making.make_endpoint(tenants[number % 4], f"https://{host}/")
        for number in range(count // 4):
            making.publish(tenants[number % 4])

    await in_database(fill)
    receiver = Receiver(pause=0.1)
    async with serving(receiver.handle, world.authority.server(*hosts)) as port:
        for host in hosts:
            world.place(host, port)
        await dispatch(world.internet(), deadline=60.0, seconds=120.0)
    arrived = {(got.headers["X-Athos-Webhook-Id"], got.headers["Host"]) for got in receiver.got}
    assert len(receiver.got) == len(arrived) == count
    for tenant in tenants:
        assert {d.state for d in await in_database(making.deliveries, tenant)} == {"delivered"}
