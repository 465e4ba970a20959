"""When an endpoint is given up: decided on a virtual clock, carried out on real rows."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail

from tenants.isolation import tenant_scope
from tenants.models import AuditEvent, Membership, User
from webhooks.health import (
    DISABLE_AFTER,
    Attempted,
    Health,
    Standing,
    health_after,
    standing,
)
from webhooks.models import Delivery, Endpoint, EndpointNotice
from webhooks.notices import notice_send
from webhooks.outcomes import Outcome
from webhooks.recording import Ended, attempts_record
from webhooks.retry import PLAN
from webhooks.services import endpoint_enable
from webhooks.tests import making
from work.claims import claim_batch
from work.drain import drain

START = datetime(2026, 6, 1, tzinfo=UTC)


def failing(*hours: float) -> Health:
    return health_after(
        Health(), [Attempted(START + timedelta(hours=each), delivered=False) for each in hours]
    )


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([0], Standing.FAILING),
        (range(10), Standing.FAILING),  # many, within a day
        ([0, 6, 12, 18, 24], Standing.WARN),
        ([0, 12, 24, 36], Standing.FAILING),  # a day and more, too few
        ([0, *range(100, 108), 119.9], Standing.WARN),  # ten, not quite five days
        ([0, *range(100, 108), 120], Standing.DISABLE),
        ([0, *range(100, 107), 200], Standing.WARN),  # long enough, nine attempts
    ],
)
def test_a_run_must_be_long_and_busy(hours, expected):
    health = failing(*hours)
    assert standing(health, now=START + timedelta(hours=list(hours)[-1])) is expected


def test_anything_that_arrives_ends_the_run():
    health = health_after(failing(*range(0, 119, 10)), [Attempted(START, delivered=True)])
    assert health == Health()
    assert standing(health, now=START + timedelta(days=9)) is Standing.FINE
    late = Attempted(START + timedelta(days=9), delivered=False)
    assert health_after(health, [late]) == Health(late.at, 1)


def test_attempts_count_in_the_order_in_which_they_began():
    attempts = [Attempted(START + timedelta(hours=n), delivered=n == 3) for n in range(8)]
    random.Random(7).shuffle(attempts)
    assert health_after(Health(), attempts) == Health(START + timedelta(hours=4), 4)


def test_one_dead_event_alone_disables_nothing_but_two_in_a_row_do():
    """The whole schedule of a receiver that is down, on the clock of the plan."""
    clock, health, seen = START, Health(), []
    for _ in range(2):
        for wait in PLAN:
            clock += timedelta(seconds=wait)
            health = health_after(health, [Attempted(clock, delivered=False)])
            seen.append(standing(health, now=clock))
            if seen[-1] is Standing.WARN:
                health = Health(health.failing_since, health.failed_attempts, warned=True)
    assert Standing.DISABLE not in seen[: len(PLAN)]
    assert seen.count(Standing.WARN) == 1
    assert seen[-1] is Standing.DISABLE
    assert clock - START >= DISABLE_AFTER


# --- on rows -------------------------------------------------------------------------------------


@pytest.fixture
def acme():
    tenant = making.make_tenant()
    with tenant_scope(tenant.pk):
        for name, role, agencies in (
            ("owner", "owner", []),
            ("manager", "manager", []),
            ("chicago", "manager", [tenant.pk]),  # of one agency: endpoints are not theirs
            ("analyst", "analyst", []),
        ):
            user = User.objects.create_user(f"{name}@acme.example", "x" * 20)
            Membership.objects.create(tenant=tenant, user=user, role=role, agencies=agencies)
    return tenant


def attempt_all(tenant, *, status=500, at=None) -> None:
    making.make_due(tenant)
    outcome = Outcome(started_at=at or datetime.now(UTC), total_ms=5, status=status, error="X")
    while due := claim_batch(Delivery, kind="deliver", size=50):  # few at a time, once it fails
        attempts_record([Ended(each, outcome) for each in due])


def endpoint_of(tenant) -> Endpoint:
    with tenant_scope(tenant.pk):
        return Endpoint.objects.get()


@pytest.mark.django_db
@pytest.mark.usefixtures("bells")
def test_after_five_days_an_endpoint_is_switched_off_and_its_managers_hear_of_it(acme, settings):
    settings.EMAIL_URL = "smtp://test"
    stranger = making.make_tenant("Stranger")
    making.make_endpoint(stranger)
    making.make_endpoint(acme)
    for _ in range(5):
        making.publish(acme)
    attempt_all(acme, at=START)
    assert (endpoint_of(acme).failing_since, endpoint_of(acme).failed_attempts) == (START, 5)
    attempt_all(acme, at=START + timedelta(hours=25))
    assert endpoint_of(acme).enabled
    attempt_all(acme, at=START + timedelta(days=5))
    endpoint = endpoint_of(acme)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "failing")
    assert endpoint_of(stranger).enabled
    with tenant_scope(acme.pk):
        assert AuditEvent.objects.filter(action="endpoint.disable").count() == 1
    drain(EndpointNotice, kind="notify", handle=notice_send)
    assert [sorted(each.bcc) for each in mail.outbox] == [
        ["manager@acme.example", "owner@acme.example"]
    ] * 2
    assert sorted(each.subject for each in mail.outbox) == [
        "Webhooks to hooks.example.com are switched off",
        "Webhooks to hooks.example.com have been failing for a day",
    ]
    assert all(endpoint.public_id in each.body for each in mail.outbox)
    drain(EndpointNotice, kind="notify", handle=notice_send)
    assert len(mail.outbox) == 2
    endpoint_enable(tenant=acme, endpoint_id=endpoint.pk)
    assert (endpoint_of(acme).failing_since, endpoint_of(acme).failed_attempts) == (None, 0)


@pytest.mark.django_db
@pytest.mark.usefixtures("bells")
def test_a_mail_server_that_is_away_costs_a_wait(acme, settings, monkeypatch):
    settings.EMAIL_URL = "smtp://test"
    making.make_endpoint(acme)
    making.publish(acme)
    attempt_all(acme, status=410)
    monkeypatch.setattr(
        "django.core.mail.backends.locmem.EmailBackend.send_messages",
        lambda *_: (_ for _ in ()).throw(OSError("away")),
    )
    drain(EndpointNotice, kind="notify", handle=notice_send)
    with tenant_scope(acme.pk):
        notice = EndpointNotice.objects.get()
    assert (notice.sent_at, notice.last_error) == (None, "MAIL_UNAVAILABLE")
    assert notice.lease_until is not None


@pytest.mark.django_db
@pytest.mark.usefixtures("bells")
def test_a_success_among_failures_leaves_the_endpoint_fine(acme):
    making.make_endpoint(acme)
    for _ in range(2):
        making.publish(acme)
    attempt_all(acme, at=START)
    making.make_due(acme)
    first, second = claim_batch(Delivery, kind="deliver", size=5)
    fine = Outcome(started_at=START + timedelta(hours=2), total_ms=5, status=200)
    bad = Outcome(started_at=START + timedelta(hours=1), total_ms=5, error="TIMEOUT")
    written = attempts_record([Ended(first, fine), Ended(second, bad)])
    assert sorted(each.state for each in written) == ["delivered", "pending"]
    assert endpoint_of(acme).failing_since is None
