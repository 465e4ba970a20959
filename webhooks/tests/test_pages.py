"""The dashboard's pages of webhooks, as a manager, an analyst and a stranger see them."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from tenants.isolation import tenant_scope
from tenants.models import Membership, User
from tenants.tests.signing import signed_in
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.outcomes import Outcome
from webhooks.recording import Ended, attempts_record
from webhooks.services import endpoint_disable
from webhooks.tests import making
from work.claims import claim_batch

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]


@pytest.fixture
def acme():
    return making.make_tenant()


def someone(tenant, *, role="developer", agencies=()) -> Client:
    user = User.objects.create(email=f"{role}-{tenant.pk}-{len(agencies)}@x.example")
    with tenant_scope(tenant.pk):
        Membership.objects.create(tenant=tenant, user=user, role=role, agencies=list(agencies))
    return signed_in(user)


def attempt(**outcome) -> None:
    given = Outcome(started_at=datetime.now(UTC), total_ms=12, **outcome)
    attempts_record([Ended(c, given) for c in claim_batch(Delivery, kind="deliver", size=9)])


def test_the_pages_say_why_something_did_not_arrive(acme):
    endpoint, _ = making.make_endpoint(acme, description="CRM <b>")
    event = making.publish(acme)
    attempt(status=500, error="HTTP_STATUS", response_body="<script>no disk</script>", answer_ms=7)
    manager = someone(acme)
    page = manager.get("/webhooks").content.decode()
    assert "Failing" in page
    assert "CRM &lt;b&gt;" in page
    page = manager.get(f"/webhooks/{endpoint.public_id}").content.decode()
    assert event.public_id in page
    assert "It answered 500." in page
    page = manager.get(f"/webhooks/{endpoint.public_id}/{event.public_id}").content.decode()
    assert "It has not arrived yet; 1 attempt of 12 failed." in page
    assert "Your server answered, but not with 2xx. It answered 500." in page
    assert "&lt;script&gt;no disk" in page
    assert "Answer 7 ms" in page


def test_a_dead_endpoint_is_revived_by_one_click_with_a_test(acme):
    endpoint, _ = making.make_endpoint(acme)
    reason = Endpoint.DisabledReason.FAILING
    endpoint_disable(tenant_id=acme.pk, endpoint_id=endpoint.pk, reason=reason)
    manager, address = someone(acme), f"/webhooks/{endpoint.public_id}"
    assert "nothing arrived there for five days" in manager.get(address).content.decode()
    answer = manager.post(address + "/act", {"action": "revive"}, follow=True)
    assert "Switched on again" in answer.content.decode()
    with tenant_scope(acme.pk):
        assert Endpoint.objects.get().enabled
        assert Delivery.objects.get().event.type == "endpoint.test"


def test_what_failed_is_sent_again(acme):
    endpoint, _ = making.make_endpoint(acme)
    event = making.publish(acme)
    attempt(status=200)
    address = f"/webhooks/{endpoint.public_id}/{event.public_id}"
    manager = someone(acme)
    assert "It arrived: your server answered 200" in manager.get(address).content.decode()
    assert "on its way again" in manager.post(address + "/replay", follow=True).content.decode()
    with tenant_scope(acme.pk):
        assert Delivery.objects.get().state == "pending"
        assert Attempt.objects.count() == 1


def test_secrets_are_shown_once(acme):
    manager = someone(acme)
    answer = manager.post("/webhooks/add", {"url": "https://a.example.com/", "event": "call.ended"})
    assert "whsec_" in answer.content.decode()
    with tenant_scope(acme.pk):
        endpoint = Endpoint.objects.get()
    assert endpoint.event_types == ["call.ended"]
    address = f"/webhooks/{endpoint.public_id}"
    assert "whsec_" not in manager.get(address).content.decode()
    rotated = manager.post(address + "/rotate").content.decode()
    assert "whsec_" in rotated
    assert "signs too until" in rotated
    refused = manager.post("/webhooks/add", {"url": "https://10.0.0.1/"})
    assert refused.status_code == 400
    assert 'role="alert"' in refused.content.decode()


def test_strangers_other_roles_and_members_of_agencies(acme):
    endpoint, _ = making.make_endpoint(acme)
    event = making.publish(acme)
    address = f"/webhooks/{endpoint.public_id}"
    stranger = someone(making.make_tenant("Stranger"))
    for path in (address, f"{address}/{event.public_id}"):
        assert stranger.get(path).status_code == 404
    assert stranger.post(f"{address}/act", {"action": "disable"}).status_code == 404
    assert endpoint.public_id not in stranger.get("/webhooks").content.decode()
    for role in ("analyst", "manager"):
        other = someone(acme, role=role)
        assert other.get(address).status_code == 403
        assert other.post(f"{address}/act", {"action": "disable"}).status_code == 403
    limited = someone(acme, agencies=[acme.pk])
    assert limited.get("/webhooks").status_code == 403
    with tenant_scope(acme.pk):
        assert Endpoint.objects.get().enabled


def test_a_test_shows_its_result_as_it_comes(acme):
    endpoint, _ = making.make_endpoint(acme)
    developer, address = someone(acme), f"/webhooks/{endpoint.public_id}"
    page = developer.post(address + "/act", {"action": "test"}, follow=True)
    (shown,) = [to for to, _ in page.redirect_chain]
    assert f'hx-get="{shown}" hx-trigger="every 2s"' in page.text
    attempt(status=204, answer_ms=7)
    fragment = developer.get(shown, headers={"HX-Request": "true"}).text
    assert "It arrived: your server answered 204" in fragment
    assert "hx-get" not in fragment
    assert "<html" not in fragment


def test_one_look_says_why_a_call_was_not_told(acme):
    developer = someone(acme)
    unheard = making.publish(acme, callId="athos_call_" + "u" * 21)
    endpoint, _ = making.make_endpoint(acme, description="CRM")
    refused = making.publish(acme, callId="athos_call_" + "r" * 21)
    attempt(status=500, error="HTTP_STATUS")

    def log(**query):
        return developer.get("/webhooks/deliveries", query).text

    assert "1 attempt of 12 failed" in log(q="athos_call_" + "r" * 21)
    assert "no endpoint was switched on" in log(q=unheard.public_id)
    assert "not scored yet" in log(q="athos_call_" + "n" * 21)
    assert refused.public_id in log(endpoint=endpoint.public_id, state="pending")
    assert "Nothing like that" in log(state="delivered")
    assert "Nothing like that" in log(until="2020-01-01")
    assert "Nothing like that" in log(event="call.ended")
    assert refused.public_id in log(since="2020-01-01", until="soon")
    assert "An id begins with" in log(q="<b>ada</b>")
    assert "&lt;b&gt;ada" in log(q="<b>ada</b>")
    assert developer.get("/webhooks/deliveries?before=x").status_code == 302


def test_the_log_is_the_tenants_own(acme):
    making.make_endpoint(acme)
    event = making.publish(acme)
    other = someone(making.make_tenant("Other"))
    assert event.public_id not in other.get("/webhooks/deliveries").text
    assert "not scored yet" in other.get("/webhooks/deliveries", {"q": event.public_id}).text
    for role in ("analyst", "manager"):
        assert someone(acme, role=role).get("/webhooks/deliveries").status_code == 403
