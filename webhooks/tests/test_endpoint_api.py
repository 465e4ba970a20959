"""Endpoints, their log and replays over REST, as an integrator's backend uses them."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from tenants.isolation import tenant_scope
from tenants.models import AuditEvent, Tenant
from tenants.services import ALL_SCOPES, api_key_create
from webhooks import recording
from webhooks.models import Attempt, Delivery, Endpoint, Event
from webhooks.outcomes import Outcome
from webhooks.tests import making
from work.claims import claims

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]

BASE = "/api/external/v1"
URL = "https://hooks.example.com/athos"
KEYS = {
    *("id", "url", "description", "eventTypes", "enabled", "disabledAt", "disabledReason"),
    *("failingSince", "failedAttempts", "mode", "previousSecretUntil", "createdAt"),
}


class Backend:
    """A tenant's backend with a key of its own."""

    def __init__(self, tenant: Tenant, **options: object) -> None:
        self.tenant = tenant
        key = api_key_create(tenant=tenant, name="k", scopes=ALL_SCOPES, **options)[1]
        self._client = Client(headers={"Authorization": f"Bearer {key}"})

    def __call__(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        data = b"" if body is None else json.dumps(body).encode()
        answer = self._client.generic(method, BASE + path, data, "application/json")
        return answer.status_code, json.loads(answer.content or b"{}")

    def endpoint(self, **body: object) -> dict:
        status, made = self("POST", "/webhook-endpoints", {"url": URL} | body)
        assert status == 201, made
        return made


@pytest.fixture
def acme():
    return Backend(making.make_tenant())


@pytest.fixture
def stranger():
    return Backend(making.make_tenant("Stranger"))


def fail(tenant: Tenant, times: int = 1) -> None:
    """The next attempts of what is due end with a 500."""
    for _ in range(times):
        making.make_due(tenant)
        for claim in claims(Delivery, kind="deliver"):
            outcome = Outcome(started_at=datetime.now(UTC), total_ms=5, status=500)
            recording.attempt_record(claim=claim, outcome=outcome, chance=0.5)


def test_an_endpoint_is_made_shown_changed_and_removed(acme):
    made = acme.endpoint(description="CRM", eventTypes=["call.scored"])
    assert made.keys() == KEYS | {"secret"}
    assert made["secret"].startswith("whsec_")
    path = f"/webhook-endpoints/{made['id']}"
    status, shown = acme("GET", path)
    assert (status, shown.keys()) == (200, KEYS)
    assert acme("GET", "/webhook-endpoints")[1]["data"] == [shown]
    status, changed = acme("PATCH", path, {"url": f"{URL}/2", "enabled": False})
    assert status == 200
    assert (changed["url"], changed["enabled"]) == (f"{URL}/2", False)
    assert (changed["disabledReason"], changed["description"]) == ("manual", "CRM")
    assert acme("PATCH", path, {"enabled": True})[1]["disabledReason"] is None
    assert acme("DELETE", path) == (204, {})
    assert acme("GET", path)[1]["error"]["code"] == "ENDPOINT_NOT_FOUND"
    with tenant_scope(acme.tenant.pk):
        actions = list(AuditEvent.objects.order_by("at").values_list("action", flat=True))
    assert [each for each in actions if each.startswith("endpoint.")] == [
        *("endpoint.create", "endpoint.move", "endpoint.disable", "endpoint.enable"),
        "endpoint.delete",
    ]


def test_a_change_that_is_refused_changes_nothing(acme):
    made = acme.endpoint()
    path = f"/webhook-endpoints/{made['id']}"
    status, refused = acme("PATCH", path, {"url": f"{URL}/2", "eventTypes": ["no.such"]})
    assert (status, refused["error"]["details"]) == (400, {"field": "eventTypes"})
    assert acme("GET", path)[1]["url"] == URL


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"url": 7}, "INVALID_REQUEST"),
        ({"url": "http://hooks.example.com/"}, "ENDPOINT_URL_REFUSED"),
        ({"url": "https://10.0.0.1/"}, "ENDPOINT_URL_REFUSED"),
        ({"url": URL, "eventTypes": "call.scored"}, "INVALID_REQUEST"),
        ({"url": URL, "eventTypes": [1]}, "INVALID_REQUEST"),
        ({"url": URL, "description": "x" * 201}, "INVALID_REQUEST"),
    ],
)
def test_odd_endpoints_are_refused(acme, body, code):
    status, answer = acme("POST", "/webhook-endpoints", body)
    assert (status, answer["error"]["code"]) == (400, code)


def test_a_rotated_secret_is_shown_once(acme):
    made = acme.endpoint()
    path = f"/webhook-endpoints/{made['id']}/rotate-secret"
    status, rotated = acme("POST", path, {"graceHours": 1})
    assert status == 200
    assert rotated["secret"] not in (made["secret"], "")
    assert rotated["previousSecretUntil"]
    assert acme("POST", path)[1]["error"]["code"] == "SECRET_ROTATING"
    assert acme("POST", path, {"graceHours": 0})[1]["previousSecretUntil"] is None
    for odd in (-1, 169, "1", True):
        assert acme("POST", path, {"graceHours": odd})[0] == 400


def test_a_test_event_goes_to_that_endpoint_alone(acme):
    made, _ = acme.endpoint(eventTypes=["call.scored"]), acme.endpoint()
    status, sent = acme("POST", f"/webhook-endpoints/{made['id']}/test")
    assert status == 202
    (delivery,) = making.deliveries(acme.tenant)
    assert delivery.endpoint.public_id == made["id"]
    body = json.loads(bytes(delivery.event.body))
    assert (body["event"], body["webhookId"]) == ("endpoint.test", sent["webhookId"])
    acme("PATCH", f"/webhook-endpoints/{made['id']}", {"enabled": False})
    assert acme("POST", f"/webhook-endpoints/{made['id']}/test")[0] == 400


def test_the_log_tells_every_attempt(acme):
    made = acme.endpoint()
    event = making.publish(acme.tenant)
    fail(acme.tenant, times=2)
    status, log = acme("GET", f"/webhook-events/{event.public_id}")
    assert status == 200
    assert json.loads(log["body"])["webhookId"] == event.public_id
    (delivery,) = log["deliveries"]
    assert (delivery["endpointId"], delivery["state"]) == (made["id"], "pending")
    assert (delivery["attempts"], delivery["lastStatus"]) == (2, 500)
    assert [attempt["number"] for attempt in delivery["log"]] == [1, 2]


def test_a_failed_event_is_sent_again_with_its_own_id_and_keeps_its_log(acme):
    acme.endpoint()
    event = making.publish(acme.tenant)
    fail(acme.tenant, times=12)
    path = f"/webhook-events/{event.public_id}"
    assert acme("GET", path)[1]["deliveries"][0]["state"] == "failed"
    assert acme("POST", path + "/replay") == (202, {"deliveries": 1})
    assert acme("POST", path + "/replay") == (202, {"deliveries": 0}), "it waits already"
    fail(acme.tenant)
    (delivery,) = acme("GET", path)[1]["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("pending", 1), "the schedule begins anew"
    assert [attempt["number"] for attempt in delivery["log"]] == list(range(1, 14))


def test_all_that_failed_since_a_moment_is_sent_again(acme):
    made = acme.endpoint()
    for _ in range(3):
        making.publish(acme.tenant)
    fail(acme.tenant, times=12)
    making.publish(acme.tenant)
    path = f"/webhook-endpoints/{made['id']}/replay"
    now = datetime.now(UTC)
    assert acme("POST", path, {"since": (now + timedelta(hours=1)).isoformat()})[1] == {
        "deliveries": 0
    }
    assert acme("POST", path, {"since": (now - timedelta(hours=1)).isoformat()})[1] == {
        "deliveries": 3
    }
    assert acme("POST", path, {"since": "yesterday"})[0] == 400


def test_nothing_is_replayed_without_a_body_or_to_a_disabled_endpoint(acme):
    made = acme.endpoint()
    event = making.publish(acme.tenant)
    fail(acme.tenant, times=12)
    acme("PATCH", f"/webhook-endpoints/{made['id']}", {"enabled": False})
    path = f"/webhook-events/{event.public_id}"
    assert acme("POST", path + "/replay")[1] == {"deliveries": 0}
    with tenant_scope(acme.tenant.pk):
        Event.objects.update(body=b"", body_expired_at=datetime.now(UTC))
    assert acme("POST", path + "/replay")[1]["error"]["code"] == "EVENT_EXPIRED"
    assert acme("GET", path)[1]["body"] is None


def test_deliveries_page_by_page(acme):
    made = acme.endpoint()
    events = [making.publish(acme.tenant).public_id for _ in range(5)]
    path = f"/webhook-endpoints/{made['id']}/deliveries"
    seen, cursor = [], ""
    for _ in range(3):
        _, page = acme("GET", f"{path}?limit=2{cursor}")
        seen += [row["webhookId"] for row in page["data"]]
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == events[::-1]
    assert page["nextCursor"] is None
    _, first = acme("GET", f"{path}?limit=2")
    foreign = f"{path}?state=failed&cursor={first['nextCursor']}"
    assert acme("GET", foreign)[1]["error"]["details"] == {"field": "cursor"}
    assert acme("GET", f"{path}?state=delivered")[1] == {"data": [], "nextCursor": None}
    for odd in ("limit=0", "limit=101", "limit=0050000", "limit=x", "state=odd", "cursor=odd"):
        assert acme("GET", f"{path}?{odd}")[0] == 400, odd


def test_a_stranger_meets_none_of_it(acme, stranger):
    made = acme.endpoint()
    event = making.publish(acme.tenant)
    endpoint, log = f"/webhook-endpoints/{made['id']}", f"/webhook-events/{event.public_id}"
    for method, path, body in [
        ("GET", endpoint, None),
        ("PATCH", endpoint, {"enabled": False}),
        ("DELETE", endpoint, None),
        ("POST", f"{endpoint}/rotate-secret", None),
        ("POST", f"{endpoint}/test", None),
        ("POST", f"{endpoint}/replay", {"since": "2026-01-01"}),
        ("GET", f"{endpoint}/deliveries", None),
        ("GET", log, None),
        ("POST", f"{log}/replay", None),
    ]:
        status, answer = stranger(method, path, body)
        assert (status, answer["error"]["code"][-10:]) == (404, "_NOT_FOUND"), path
        missing = path.replace(made["id"], "ep_none").replace(event.public_id, "wh_none")
        same = stranger(method, missing, body)[1]["error"]
        assert same["message"] == answer["error"]["message"]
    own = stranger.endpoint()
    status, _ = stranger("POST", f"{log}/replay", {"endpointId": own["id"]})
    assert status == 404
    assert stranger("GET", "/webhook-endpoints")[1]["data"][0]["id"] == own["id"]
    with tenant_scope(acme.tenant.pk):
        assert Endpoint.objects.get().enabled
        assert Attempt.objects.count() == 0


def test_test_keys_and_live_keys_have_endpoints_of_their_own(acme):
    rehearsing = Backend(acme.tenant, mode="test")
    made = acme.endpoint()
    assert rehearsing("GET", f"/webhook-endpoints/{made['id']}")[0] == 404
    assert rehearsing.endpoint()["mode"] == "test"
    assert len(acme("GET", "/webhook-endpoints")[1]["data"]) == 1


def test_a_key_limited_to_agencies_may_not_touch_the_tenants_endpoints(acme):
    limited = Backend(acme.tenant, agencies=[uuid.uuid4()])
    status, refused = limited("GET", "/webhook-endpoints")
    assert (status, refused["error"]["code"]) == (403, "INSUFFICIENT_SCOPE")
