"""What is really put into webhooks stands in the document, fields and headers."""

import json
import uuid

import pytest

from athos.tests.api_document import assert_fits, the_document
from calls.models import Call
from calls.services.telling import (
    Deletion,
    tell_ended,
    tell_outcome,
    tell_overridden,
    tell_recording_deleted,
    tell_started,
)
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import make_call
from tenants.isolation import tenant_scope
from tenants.models import ApiKey
from webhooks.models import Event
from webhooks.replaying import test_event_send as event_test_send
from webhooks.services import EVENT_TYPES, endpoint_create
from webhooks.signing import secret_make, signed_headers

pytestmark = pytest.mark.django_db
MESSAGES = {name: item["post"] for name, item in the_document()["webhooks"].items()}


@pytest.mark.parametrize("mode", ApiKey.Mode.values)
@pytest.mark.parametrize("failure", ["", Call.Failure.REP_NEVER_SPOKE])
def test_every_message_is_as_told(mode, failure):
    make_drill()
    acme, charlie = make_integrator("Acme"), make_integrator("Charlie")
    make = {"url": "https://crm.example.com/hooks", "mode": mode, "event_types": EVENT_TYPES}
    endpoint, _ = endpoint_create(tenant=acme.tenant, **make)
    endpoint_create(tenant=charlie.tenant, **make)
    stage = Call.Stage.FAILED if failure else Call.Stage.SCORED
    call = make_call(acme.tenant, mode=mode, failure=failure, stage=stage)
    with tenant_scope(acme.tenant.pk):
        tell_started(call.pk)
        tell_ended(call.pk)
        tell_outcome(call)
        tell_overridden(call, override_id=uuid.uuid4())
        tell_recording_deleted(call, Deletion.RETENTION)
    event_test_send(tenant=acme.tenant, endpoint=endpoint)
    with tenant_scope(acme.tenant.pk):
        bodies = [bytes(event.body) for event in Event.objects.order_by("created_at")]
    with tenant_scope(charlie.tenant.pk):
        assert not Event.objects.exists()

    told = [json.loads(body) for body in bodies]
    assert {fact["event"] for fact in told} == set(MESSAGES) - (
        set() if failure else {"call.score_failed"}
    )
    for fact in told:
        media = MESSAGES[fact["event"]]["requestBody"]["content"]["application/json"]
        assert_fits(fact, media["schema"])


def test_the_headers_of_every_message_are_as_told():
    secrets = [secret_make(), secret_make()]  # as while a secret rotates
    sent = signed_headers(secrets=secrets, event_id="wh_1", body=b"{}", sent_at=1_749_139_254)
    for message in MESSAGES.values():
        told = {header["name"]: header for header in message["parameters"]}
        assert set(told) == set(sent)
        for name, value in sent.items():
            assert_fits(value, told[name]["schema"])
