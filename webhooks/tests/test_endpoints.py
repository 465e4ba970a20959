"""Endpoints and their secrets."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import AuditEvent
from webhooks import services, signing
from webhooks.errors import EndpointUrlRefused, SecretRotating, TooManyEndpoints
from webhooks.models import Endpoint
from webhooks.selectors import parcels
from webhooks.tests import making

pytestmark = pytest.mark.usefixtures("bells")


@pytest.fixture
def acme(db):
    return making.make_tenant()


def signing_secrets(tenant) -> tuple[str, ...]:
    """What the next attempt would be signed with."""
    (delivery,) = making.deliveries(tenant)
    return parcels(tenant_id=tenant.pk, delivery_ids=[delivery.pk])[delivery.pk].secrets


def test_the_secret_is_shown_once_and_sealed_at_rest(acme):
    endpoint, secret = making.make_endpoint(acme)
    making.publish(acme)
    assert signing_secrets(acme) == (secret,)
    with tenant_scope(acme.pk), connection.cursor() as cursor:
        cursor.execute("SELECT webhooks_endpoint::text FROM webhooks_endpoint")
        (row,) = cursor.fetchone()
    assert secret not in row
    assert secret.removeprefix("whsec_") not in row
    assert endpoint.public_id.startswith("ep_")


def test_a_new_encryption_key_opens_what_the_old_one_sealed(acme, settings):
    _, secret = making.make_endpoint(acme)
    making.publish(acme)
    old = dict(settings.ENCRYPTION_KEYS)
    settings.ENCRYPTION_KEYS = {"new": "n" * 40} | old
    assert signing_secrets(acme) == (secret,)
    settings.ENCRYPTION_KEYS = {"new": "n" * 40}
    assert signing_secrets(acme) == ()  # the attempt fails with SECRET_UNREADABLE


def test_a_given_secret_is_kept_and_a_malformed_one_refused(acme):
    given = signing.secret_make()
    assert making.make_endpoint(acme, secret=given)[1] == given
    with pytest.raises(InvalidRequest):
        making.make_endpoint(acme, secret="whsec_short")


def test_during_a_rotation_both_secrets_sign_then_only_the_new_one(acme):
    endpoint, old = making.make_endpoint(acme)
    making.publish(acme)
    new = services.endpoint_secret_rotate(tenant=acme, endpoint_id=endpoint.pk)
    assert signing_secrets(acme) == (new, old)
    with pytest.raises(SecretRotating):
        services.endpoint_secret_rotate(tenant=acme, endpoint_id=endpoint.pk)
    with tenant_scope(acme.pk):
        Endpoint.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
    assert signing_secrets(acme) == (new,)
    newest = services.endpoint_secret_rotate(tenant=acme, endpoint_id=endpoint.pk)
    assert signing_secrets(acme) == (newest, new)


def test_a_secret_can_be_ended_at_once(acme):
    endpoint, _ = making.make_endpoint(acme)
    making.publish(acme)
    services.endpoint_secret_rotate(tenant=acme, endpoint_id=endpoint.pk)
    now = services.endpoint_secret_rotate(tenant=acme, endpoint_id=endpoint.pk, grace=timedelta(0))
    assert signing_secrets(acme) == (now,)
    with tenant_scope(acme.pk):
        assert Endpoint.objects.get().sealed_previous_secret == ""


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), timedelta(days=7, seconds=1)])
def test_a_grace_is_0_to_7_days(acme, grace):
    endpoint, _ = making.make_endpoint(acme)
    with pytest.raises(InvalidRequest):
        services.endpoint_secret_rotate(tenant=acme, endpoint_id=endpoint.pk, grace=grace)


def test_there_are_16_endpoints_at_most(acme):
    for number in range(services.ENDPOINTS_MAX):
        making.make_endpoint(acme, f"https://h{number}.example.com/")
    with pytest.raises(TooManyEndpoints):
        making.make_endpoint(acme)
    making.make_endpoint(making.make_tenant("Other"))


@pytest.mark.parametrize("embedded", [True, False])
def test_only_the_embedded_mode_takes_a_receiver_on_this_machine(acme, settings, embedded):
    settings.EMBEDDED = embedded
    if embedded:
        assert making.make_endpoint(acme, "http://localhost:1234/x")[0].url
    else:
        with pytest.raises(EndpointUrlRefused) as refused:
            making.make_endpoint(acme, "http://localhost:1234/x")
        assert (refused.value.status, refused.value.code) == (400, "ENDPOINT_URL_REFUSED")
    for url in ("https://127.0.0.1/", "https://db.internal/", "http://192.168.0.1:80/"):
        with pytest.raises(EndpointUrlRefused):
            making.make_endpoint(acme, url)


def test_an_unknown_event_is_refused(acme):
    with pytest.raises(InvalidRequest):
        making.make_endpoint(acme, event_types=["call.imagined"])


def test_each_change_is_audited_without_urls_or_secrets(acme):
    endpoint, secret = making.make_endpoint(acme)
    for _ in range(2):  # the second changes nothing
        services.endpoint_move(
            tenant=acme, endpoint_id=endpoint.pk, url="https://new.example.com/x"
        )
        services.endpoint_disable(tenant_id=acme.pk, endpoint_id=endpoint.pk)
    for _ in range(2):
        services.endpoint_enable(tenant=acme, endpoint_id=endpoint.pk)
    services.endpoint_secret_rotate(tenant=acme, endpoint_id=endpoint.pk)
    with tenant_scope(acme.pk):
        found = list(AuditEvent.objects.order_by("at").values_list("action", "details"))
    assert [action for action, _ in found] == [
        *("endpoint.create", "endpoint.move", "endpoint.disable"),
        *("endpoint.enable", "endpoint.rotate"),
    ]
    assert not any(word in str(found) for word in ("example.com", secret))
