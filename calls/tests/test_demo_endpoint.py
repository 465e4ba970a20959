"""The demo's calls are told to the example integrator."""

import json
import uuid

import pytest

from calls.services.demo import demo_ensure
from tenants.auth import caller_find
from tenants.isolation import tenant_scope
from webhooks.models import Endpoint
from webhooks.selectors import parcels
from webhooks.services import RehearsalPlan, endpoint_disable, event_publish
from webhooks.signing import secret_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]
BASE = "http://localhost:8000"


@pytest.fixture(autouse=True)
def cheap_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def endpoints(demo: dict[str, str]) -> list[Endpoint]:
    tenant = caller_find(demo["apiKey"], None).tenant
    with tenant_scope(tenant.pk):
        return list(Endpoint.objects.order_by("mode"))


def what_is_sent(demo: dict[str, str], **event: object) -> tuple[str, tuple[str, ...]]:
    tenant = caller_find(demo["apiKey"], None).tenant
    event = event_publish(
        tenant_id=tenant.pk,
        type="call.scored",
        subject_id=uuid.uuid4(),
        body={"success": True},
        **event,
    )
    with tenant_scope(tenant.pk):
        ids = [d.pk for d in event.deliveries.all()]
    (parcel,) = parcels(tenant_id=tenant.pk, delivery_ids=ids).values()
    return parcel.url, parcel.secrets


def test_the_demo_tells_the_example_signed_with_the_secret_of_its_file(tmp_path):
    demo = demo_ensure(out=tmp_path / "demo.json", base_url=BASE)
    expected = ("http://localhost:8001/webhook", (demo["webhookSecret"],))
    assert what_is_sent(demo) == what_is_sent(demo, test=RehearsalPlan()) == expected


def test_a_second_start_elsewhere_moves_the_endpoints(tmp_path):
    out = tmp_path / "demo.json"
    first, for_tests = endpoints(demo_ensure(out=out, base_url=BASE))
    endpoint_disable(tenant_id=first.tenant_id, endpoint_id=first.pk)
    demo_ensure(out=out, base_url=BASE)
    second, second_for_tests = endpoints(demo_ensure(out=out, base_url="http://localhost:9100"))
    assert (second_for_tests.pk, second_for_tests.url) == (for_tests.pk, second.url)
    assert (second.pk, second.url) == (first.pk, "http://localhost:9101/webhook")
    assert second.enabled
    assert second.sealed_secret == first.sealed_secret


def test_a_secret_changed_in_the_file_is_the_one_that_signs(tmp_path):
    out = tmp_path / "demo.json"
    demo = demo_ensure(out=out, base_url=BASE)
    secret = secret_make()
    out.write_text(json.dumps(demo | {"webhookSecret": secret}))
    assert what_is_sent(demo_ensure(out=out, base_url=BASE))[1] == (secret,)


def test_a_demo_for_another_machine_has_no_example_to_tell(tmp_path):
    demo = demo_ensure(out=tmp_path / "demo.json", base_url="http://192.168.1.20:8000")
    assert endpoints(demo) == []
