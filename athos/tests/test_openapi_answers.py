"""Each operation is called for real; each answer that the document tells comes, as it tells it.

The cases are made from the document: an answer that it tells and no case can bring about fails.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import Client

from athos.errors import HeadersTooLarge, UriTooLong
from athos.tests.api_document import assert_described, described
from calls.models import Call, SessionToken
from calls.tests.making import API, make_drill, make_integrator, make_worker
from calls.tests.making_calls import add_recording, add_scorecard, add_transcript, make_call
from tenants.api import ApiView
from tenants.errors import IdempotencyKeyInUse
from tenants.idempotency import WriteAnswer, WriteRequest, answer_once
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, Tenant
from tenants.services import ALL_SCOPES, api_key_create, api_key_revoke
from webhooks.models import Attempt, Delivery, Event
from webhooks.services import CALL_SCORED, ENDPOINTS_MAX, endpoint_create, event_publish

pytestmark = pytest.mark.django_db

OPERATIONS = {operation.id: operation for operation in described()}
UNKNOWN = "x" * 21


@dataclass
class Ask:
    """A request. `key` is the bearer, the integrator's own key or token when it is None."""

    path: str
    body: Any = None
    key: str | None = None
    mode: str = "live"
    content_type: str = "application/json"
    idempotency_key: str = ""


class World:
    """An integrator with everything that there can be, and a stranger with the same."""

    def __init__(self) -> None:
        make_drill()
        self.acme = make_integrator("Acme", scopes=ALL_SCOPES)
        self.call = _scored(self.acme.tenant)
        self.strangers_call = _scored(make_integrator("Charlie").tenant)

    @cached_property
    def test_key(self) -> str:
        return self.new_key(mode="test")[1]

    def new_key(self, **more: Any) -> tuple[ApiKey, str]:
        wish = {"name": "Another", "scopes": ALL_SCOPES} | more
        return api_key_create(tenant=self.acme.tenant, **wish)

    def token(self) -> str:
        make_worker()
        return self.acme.token()

    def tenant_set(self, **columns: Any) -> None:
        with tenant_scope(self.acme.tenant.pk):
            Tenant.objects.filter(pk=self.acme.tenant.pk).update(**columns)

    def erasure(self) -> str:
        answer = self.send("DELETE", Ask(f"/calls/{_scored(self.acme.tenant).public_id}"))
        return str(answer.json()["erasureId"])

    def endpoint(self, name: str | None = None) -> str:
        """The address of an endpoint that is just made, or of all of them."""
        made, _ = endpoint_create(tenant=self.acme.tenant, url=HOOK)
        return "/webhook-endpoints" if name == "" else f"/webhook-endpoints/{made.public_id}"

    def delivered(self) -> tuple[str, str]:
        """The addresses of an endpoint and of an event that it was tried with and refused."""
        endpoint = self.endpoint()
        event = event_publish(
            tenant_id=self.acme.tenant.pk,
            type=CALL_SCORED,
            subject_id=self.call.pk,
            body={"success": True, "callId": self.call.public_id},
        )
        with tenant_scope(self.acme.tenant.pk):
            delivery = Delivery.objects.get(event=event)
            Attempt.objects.create(
                tenant=self.acme.tenant,
                delivery=delivery,
                number=1,
                started_at=Now(),
                total_ms=154,
                status=503,
                error="HTTP_STATUS",
                response_body="try later",
                request_headers={"X-Athos-Webhook-Id": event.public_id},
            )
        return endpoint, f"/webhook-events/{event.public_id}"

    def send(self, method: str, ask: Ask) -> Any:
        own = self.acme.secret if ask.mode == "live" else self.test_key
        body = ask.body if isinstance(ask.body, str) else json.dumps(ask.body)
        return Client(raise_request_exception=False).generic(
            method,
            API + ask.path,
            b"" if ask.body is None else body.encode(),
            content_type=ask.content_type,
            headers={
                "Authorization": f"Bearer {own if ask.key is None else ask.key}",
                **({"Idempotency-Key": ask.idempotency_key} if ask.idempotency_key else {}),
            },
        )


def _scored(tenant: Tenant) -> Call:
    call = make_call(tenant, agency="agency_chicago")
    add_transcript(call)
    add_scorecard(call)
    add_recording(call, content=b"not listened to")
    return call


@pytest.fixture
def world(settings, tmp_path) -> World:
    settings.MEDIA_ROOT = tmp_path
    return World()


HOOK = "https://crm.example.com/hooks"
REP = {"drillKey": "ma-full-sale", "externalUserId": "rep_1"}
GOOD: dict[str, Callable[[World], Ask]] = {
    "mintSessionToken": lambda w: Ask("/session", {"externalUserId": "rep_1"}),
    "startCall": lambda w: Ask("/roleplay/session", {"drillKey": "ma-full-sale"}, w.token()),
    "createSandboxCall": lambda w: Ask("/sandbox/calls", REP, mode="test"),
    "listCalls": lambda w: Ask("/calls?from=2020-01-01"),
    "getCall": lambda w: Ask(f"/calls/{w.call.public_id}"),
    "getCallStatus": lambda w: Ask(f"/calls/{w.call.public_id}/status"),
    "eraseCall": lambda w: Ask(f"/calls/{w.call.public_id}"),
    "eraseRep": lambda w: Ask(f"/reps/{w.call.external_user_id}"),
    "getErasure": lambda w: Ask(f"/erasures/{w.erasure()}"),
    "getRetention": lambda w: Ask("/retention"),
    "updateRetention": lambda w: Ask("/retention", {"audioDays": 30}),
    "getUsage": lambda w: Ask("/usage?by=agency"),
    "listWebhookEndpoints": lambda w: Ask(w.endpoint("")),
    "createWebhookEndpoint": lambda w: Ask("/webhook-endpoints", {"url": HOOK}),
    "getWebhookEndpoint": lambda w: Ask(w.endpoint()),
    "updateWebhookEndpoint": lambda w: Ask(w.endpoint(), {"url": HOOK, "enabled": False}),
    "deleteWebhookEndpoint": lambda w: Ask(w.endpoint()),
    "rotateWebhookSecret": lambda w: Ask(w.endpoint() + "/rotate-secret"),
    "sendTestWebhook": lambda w: Ask(w.endpoint() + "/test"),
    "replayFailedWebhooks": lambda w: Ask(w.endpoint() + "/replay", {"since": "2026-06-05"}),
    "listWebhookDeliveries": lambda w: Ask(w.delivered()[0] + "/deliveries"),
    "searchWebhookDeliveries": lambda w: Ask(
        f"/webhook-deliveries?webhookId={w.delivered()[1].rpartition('/')[2]}"
    ),
    "getWebhookEvent": lambda w: Ask(w.delivered()[1]),
    "replayWebhookEvent": lambda w: Ask(w.delivered()[1] + "/replay"),
    "listApiKeys": lambda w: Ask("/keys"),
    "createApiKey": lambda w: Ask("/keys", {"name": "New", "agencies": ["agency_chicago"]}),
    "revokeApiKey": lambda w: Ask(f"/keys/{w.new_key()[0].public_id}/revoke"),
    "rotateApiKey": lambda w: Ask(f"/keys/{w.new_key()[0].public_id}/rotate"),
}

Provoke = Callable[[World, Ask], Ask]


def _suspended(world: World, ask: Ask) -> Ask:
    world.tenant_set(status=Tenant.Status.SUSPENDED)
    return ask


def _revoked(world: World, ask: Ask) -> Ask:
    row, key = world.new_key(mode=ask.mode)
    api_key_revoke(tenant=world.acme.tenant, key_id=row.pk)
    return replace(ask, key=key)


def _from_elsewhere(world: World, ask: Ask) -> Ask:
    return replace(ask, key=world.new_key(mode=ask.mode, allowed_ips=["203.0.113.9"])[1])


def _without_scope(world: World, ask: Ask) -> Ask:
    other = "calls:read" if ask.path.startswith("/keys") else "keys:write"
    return replace(ask, key=world.new_key(mode=ask.mode, scopes=[other])[1])


def _spent(world: World, ask: Ask) -> Ask:
    assert world.send("POST", ask).status_code == 200
    return ask


def _too_old(world: World, ask: Ask) -> Ask:
    with tenant_scope(world.acme.tenant.pk):
        SessionToken.objects.update(expires_at=Now() - timedelta(seconds=1))
    return ask


def _quota_used_up(world: World, ask: Ask) -> Ask:
    world.tenant_set(monthly_minutes=0)
    return ask


def _five_keys(world: World, ask: Ask) -> Ask:
    with tenant_scope(world.acme.tenant.pk):
        active = ApiKey.objects.filter(revoked_at=None, mode="live").count()
    for _ in range(5 - active):
        world.new_key()
    return ask


def _unknown(pattern: str, name: str) -> Provoke:
    return lambda world, ask: replace(ask, path=re.sub(pattern, name, ask.path))


def _sixteen_endpoints(world: World, ask: Ask) -> Ask:
    for _ in range(ENDPOINTS_MAX):
        world.endpoint()
    return ask


def _rotating(world: World, ask: Ask) -> Ask:
    assert world.send("POST", ask).status_code == 200
    return ask


def _for_another_body(world: World, ask: Ask) -> Ask:
    """As if that had been answered."""
    tenant = world.acme.tenant
    for method in ("POST", "PATCH", "DELETE"):
        key_id = world.acme.key.public_id
        other = WriteRequest(tenant.pk, key_id, method, API + ask.path, "once", b"another body")
        answer_once(other, lambda: WriteAnswer(200, {}))
    return replace(ask, idempotency_key="once")


def _forgotten(world: World, ask: Ask) -> Ask:
    with tenant_scope(world.acme.tenant.pk):
        Event.objects.update(body=b"", body_expired_at=Now())
    return ask


def _ended_key(world: World, ask: Ask) -> Ask:
    return replace(ask, path=f"/keys/{_revoked_id(world)}/rotate")


def _revoked_id(world: World) -> str:
    row, _ = world.new_key()
    api_key_revoke(tenant=world.acme.tenant, key_id=row.pk)
    return row.public_id


PROVOKE: dict[str, Provoke] = {
    "INVALID_REQUEST": lambda w, ask: replace(ask, path=ask.path + "?odd=%00"),
    "INVALID_API_KEY": lambda w, ask: replace(ask, key="ath_live_junk"),
    "API_KEY_REVOKED": _revoked,
    "IP_NOT_ALLOWED": _from_elsewhere,
    "TENANT_INACTIVE": _suspended,
    "INSUFFICIENT_SCOPE": _without_scope,
    "TENANT_QUOTA_EXCEEDED": _quota_used_up,
    "PAYLOAD_TOO_LARGE": lambda w, ask: replace(ask, body="{}".ljust(1024 * 1024 + 1)),
    "UNSUPPORTED_MEDIA_TYPE": lambda w, ask: replace(
        ask, body=ask.body or "{}", content_type="text/plain"
    ),
    "INVALID_TOKEN": lambda w, ask: replace(ask, key="not.a.token"),
    "TOKEN_EXPIRED": _too_old,
    "TOKEN_ALREADY_USED": _spent,
    "DRILL_NOT_FOUND": lambda w, ask: replace(ask, body=ask.body | {"drillKey": "no-such-drill"}),
    "TEST_KEY_REQUIRED": lambda w, ask: replace(ask, key=w.acme.secret),
    "CALL_NOT_FOUND": lambda w, ask: replace(
        ask, path=ask.path.replace(w.call.public_id, w.strangers_call.public_id)
    ),
    "REP_NOT_FOUND": _unknown("reps/.*", "reps/nobody"),
    "ERASURE_NOT_FOUND": _unknown("era_.*", f"era_{UNKNOWN}"),
    "KEY_NOT_FOUND": _unknown("key_[^/]*", f"key_{UNKNOWN}"),
    "KEY_NOT_ACTIVE": _ended_key,
    "ENDPOINT_NOT_FOUND": _unknown("ep_[^/]*", f"ep_{UNKNOWN}"),
    "ENDPOINT_URL_REFUSED": lambda w, ask: replace(ask, body={"url": "https://127.0.0.1/"}),
    "TOO_MANY_ENDPOINTS": _sixteen_endpoints,
    "SECRET_ROTATING": _rotating,
    "EVENT_NOT_FOUND": _unknown("wh_[^/]*", "wh_00000000-0000-4000-8000-000000000000"),
    "EVENT_EXPIRED": _forgotten,
    "TOO_MANY_KEYS": _five_keys,
    "IDEMPOTENCY_KEY_REUSED": _for_another_body,
}
OWN: dict[tuple[str, str], Provoke] = {
    ("replayWebhookEvent", "ENDPOINT_NOT_FOUND"): lambda w, ask: replace(
        ask, body={"endpointId": f"ep_{UNKNOWN}"}
    ),
}
# What only a fault or the server in front (test_edge_corpus.py) brings about is raised where every
# request comes by.
FAULTS: dict[str, Exception] = {
    "IDEMPOTENCY_KEY_IN_USE": IdempotencyKeyInUse(retry_after=1),
    "URI_TOO_LONG": UriTooLong(),
    "HEADERS_TOO_LARGE": HeadersTooLarge(),
    "INTERNAL_ERROR": RuntimeError("a secret text"),
    "SERVICE_UNAVAILABLE": OperationalError("a secret text"),
}


@pytest.mark.parametrize(
    ("name", "status"),
    [(o.id, int(s)) for o in OPERATIONS.values() for s in o.answers() if int(s) < 400],
)
def test_what_is_told_of_success_is_true(world, name, status):
    operation = OPERATIONS[name]
    answer = world.send(operation.method, GOOD[name](world))
    assert answer.status_code == status, answer.content
    assert_described(operation, answer)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [(o.id, status, code) for o in OPERATIONS.values() for status, code in o.codes()],
)
def test_what_is_told_of_refusals_is_true(world, monkeypatch, settings, name, status, code):
    operation = OPERATIONS[name]
    ask = GOOD[name](world)
    if code == "RATE_LIMITED":
        settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, (1, 60))
        world.send(operation.method, ask)
    elif code in FAULTS:
        monkeypatch.setattr(ApiView, "initial", _raising(FAULTS[code]))
    else:
        ask = OWN.get((name, code), PROVOKE[code])(world, ask)
    answer = world.send(operation.method, ask)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert b"a secret text" not in answer.content
    assert_described(operation, answer)


def _raising(error: Exception) -> Callable[..., None]:
    def initial(*_: Any, **__: Any) -> None:
        raise error

    return initial


@pytest.mark.parametrize(("written", "status"), [("30.0", 200), ("3e1", 200), ("30.5", 400)])
def test_a_whole_number_may_be_written_as_json_allows(world, written, status):
    ask = Ask("/retention", f'{{"audioDays": {written}}}')
    answer = world.send("PATCH", ask)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["audioDays"] == 30
