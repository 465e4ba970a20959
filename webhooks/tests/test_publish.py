"""Events: once, in the caller's transaction, with the contract's body."""

import json
import re
import threading
import uuid

import pytest
from django.db import IntegrityError, connection, transaction

from tenants.isolation import tenant_scope
from webhooks import selectors, services
from webhooks.bodies import BodyRefused, event_body
from webhooks.models import Attempt, Delivery, Endpoint, Event
from webhooks.tests import making

RACERS = 8


@pytest.fixture
def acme(db):
    return making.make_tenant()


@pytest.fixture
def stranger(db):
    return making.make_tenant("Stranger")


def test_the_body_is_the_contracts_byte_for_byte(acme):
    event = making.publish(
        acme,
        externalUserId="Zoë 漢",
        externalAgencyId="agency_chicago",
        occurredAt="2026-06-05T18:09:14.000Z",
        requestId="req_1",
    )
    expected = (
        '{"event":"call.scored","success":true,"callId":"athos_call_GZ1DjOkZv_VEPoE-CJ8mp",'
        '"source":"roleplay","externalUserId":"Zoë 漢","externalAgencyId":"agency_chicago",'
        f'"occurredAt":"2026-06-05T18:09:14.000Z","requestId":"req_1","webhookId":"{event.public_id}"}}'
    )
    assert bytes(event.body).decode() == expected


def test_what_the_caller_leaves_out_is_made(acme):
    event = making.publish(acme, success=False, reason="SCORING_INCOMPLETE", reasonMessage="No.")
    body = json.loads(bytes(event.body))
    assert list(body) == [
        *("event", "success", "callId", "source", "externalUserId", "externalAgencyId"),
        *("occurredAt", "requestId", "reason", "reasonMessage", "webhookId"),
    ]
    assert body["externalAgencyId"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["occurredAt"])
    assert re.fullmatch(r"req_[0-9a-f-]{36}", body["requestId"])
    assert re.fullmatch(r"wh_[0-9a-f-]{36}", body["webhookId"])


def test_the_longest_names_fit():
    facts = making.facts(externalUserId="🙂" * 200, externalAgencyId='"' * 200)
    assert len(event_body("call.scored", facts, event_id="wh_1")) < 2000


@pytest.mark.parametrize("secret_fact", ["score", "transcript", "overallScore", "event"])
def test_what_the_contract_does_not_name_is_never_told(acme, secret_fact):
    with pytest.raises(BodyRefused):
        making.publish(acme, **{secret_fact: 82})
    with pytest.raises(BodyRefused):
        making.publish(acme, reasonMessage="x" * 20_001)
    with pytest.raises(ValueError, match="no event"):
        services.event_publish(tenant_id=acme.pk, type="call.x", subject_id=acme.pk, body={})
    with tenant_scope(acme.pk):
        assert not Event.objects.exists()


def test_each_enabled_endpoint_that_wants_it_gets_a_delivery(
    acme, stranger, bells, django_capture_on_commit_callbacks
):
    making.make_endpoint(acme, "https://all.example.com/")
    making.make_endpoint(acme, "https://scored.example.com/", event_types=["call.scored"])
    other, _ = making.make_endpoint(acme, "https://other.example.com/")
    off, _ = making.make_endpoint(acme, "https://off.example.com/")
    making.make_endpoint(stranger, "https://stranger.example.com/")
    with tenant_scope(acme.pk):
        Endpoint.objects.filter(pk=other.pk).update(event_types=["call.imagined"])
    services.endpoint_disable(tenant_id=acme.pk, endpoint_id=off.pk)
    with django_capture_on_commit_callbacks(execute=True):
        making.publish(acme)
    assert bells == ["deliver"]
    urls = {delivery.endpoint.url for delivery in making.deliveries(acme)}
    assert urls == {"https://all.example.com/", "https://scored.example.com/"}
    assert making.deliveries(stranger) == []


def test_nobody_listens_and_nothing_rings(acme, bells, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        event = making.publish(acme)
    assert bells == []
    with tenant_scope(acme.pk):
        assert Event.objects.get() == event


def test_a_second_publish_is_the_first_event(acme, bells, django_capture_on_commit_callbacks):
    making.make_endpoint(acme)
    subject = uuid.uuid4()
    with django_capture_on_commit_callbacks(execute=True):
        first = making.publish(acme, subject)
        again = making.publish(acme, subject, success=False)
    assert (again.pk, bytes(again.body)) == (first.pk, bytes(first.body))
    assert len(making.deliveries(acme)) == 1
    assert bells == ["deliver"]


def test_another_tenants_event_of_the_same_subject_is_another(acme, stranger):
    subject = uuid.uuid4()
    assert making.publish(acme, subject).pk != making.publish(stranger, subject).pk


@pytest.mark.django_db(transaction=True)
def test_what_the_caller_takes_back_was_never_published(bells):
    tenant = making.make_tenant()
    making.make_endpoint(tenant)
    with pytest.raises(KeyError), transaction.atomic(), tenant_scope(tenant.pk):
        making.publish(tenant)
        raise KeyError
    assert making.deliveries(tenant) == []
    assert bells == []


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_publish_one_event(bells):
    tenant, subject = making.make_tenant(), uuid.uuid4()
    making.make_endpoint(tenant)
    making.make_endpoint(tenant, "https://second.example.com/")
    start, ids, errors = threading.Barrier(RACERS), [], []

    def race() -> None:
        try:
            start.wait(10)
            with transaction.atomic():
                ids.append(making.publish(tenant, subject).public_id)
        except Exception as cause:
            errors.append(cause)
        finally:
            connection.close()

    for _ in range(5):
        threads = [threading.Thread(target=race) for _ in range(RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert errors == []
    assert (len(ids), len(set(ids))) == (5 * RACERS, 1)
    assert len(making.deliveries(tenant)) == 2
    assert bells == ["deliver"]


def test_a_stranger_sees_and_touches_nothing(acme, stranger):
    endpoint, _ = making.make_endpoint(acme)
    subject = uuid.uuid4()
    event = making.publish(acme, subject)
    assert len(selectors.deliveries_of(tenant=acme, subject_id=subject)) == 1
    assert selectors.deliveries_of(tenant=stranger, subject_id=subject) == []
    (delivery,) = making.deliveries(acme)
    assert selectors.parcels(tenant_id=stranger.pk, delivery_ids=[delivery.pk]) == {}
    with tenant_scope(stranger.pk), connection.cursor() as cursor:
        for model in (Endpoint, Event, Delivery, Attempt):
            cursor.execute(f"SELECT count(*) FROM {model._meta.db_table}")
            assert cursor.fetchone() == (0,), model
        cursor.execute("UPDATE webhooks_endpoint SET url = 'https://evil.example.com/'")
        assert cursor.rowcount == 0
    for act in (services.endpoint_enable, services.endpoint_secret_rotate):
        with pytest.raises(services.EndpointNotFound):
            act(tenant=stranger, endpoint_id=endpoint.pk)
    with pytest.raises(services.EndpointNotFound):
        services.endpoint_move(
            tenant=stranger, endpoint_id=endpoint.pk, url="https://evil.example.com/"
        )
    services.endpoint_disable(tenant_id=stranger.pk, endpoint_id=endpoint.pk)
    with tenant_scope(acme.pk):
        assert Endpoint.objects.get().enabled
    with pytest.raises(IntegrityError), tenant_scope(stranger.pk), connection.cursor() as cursor:
        Delivery.objects.create(
            tenant=stranger, endpoint=endpoint, event=event, due_at=delivery.due_at
        )
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
