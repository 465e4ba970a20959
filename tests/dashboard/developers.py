"""What the pages of the section Developers show in the full tenant."""

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from calls.models import Call
from tenants.branding import web_site_add
from tenants.isolation import tenant_scope
from tenants.models import ApiKey
from tenants.request_log import Answered, Owner, requests_write
from tenants.services import api_key_create, api_key_revoke
from tests.dashboard.bed import CANARY, Side
from webhooks.models import Delivery, Event
from webhooks.outcomes import Outcome
from webhooks.recording import Ended, attempts_record
from webhooks.services import endpoint_create, event_publish
from work.claims import claim_batch

# Free text of every kind; none of it may become a tag, an attribute or a script.
EVIL = """<img src=x onerror=alert(1)>"'`</textarea><script>alert(2)</script>{{7*7}}"""


def developers_seed(side: Side) -> None:
    _keys(side)
    _requests(side)
    _webhooks(side)
    web_site_add(tenant_id=side.tenant.pk, origin="https://training.example.com")


def _keys(side: Side) -> None:
    key, _ = api_key_create(
        tenant=side.tenant,
        name=CANARY,
        mode="test",
        scopes=["sessions:write", "calls:read", "webhooks:write"],
        agencies=[side.agencies["north"].pk],
        allowed_ips=["192.0.2.0/24", "2001:db8::/32"],
        expires_at=timezone.now() + timedelta(days=90),
    )
    with tenant_scope(side.tenant.pk):
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    old, _ = api_key_create(tenant=side.tenant, name=EVIL)
    api_key_revoke(tenant=side.tenant, key_id=old.pk)
    api_key_create(tenant=side.tenant, name=EVIL)
    side.things["key"] = key


def _webhooks(side: Side) -> None:
    """Of the newest calls: one that arrived, one that did not, one that waits."""
    endpoint, _ = endpoint_create(
        tenant=side.tenant, url="https://hooks.example.com/athos", description=EVIL
    )
    refused = {"status": 500, "error": "HTTP_STATUS", "response_body": EVIL, "answer_ms": 7}
    event = _event(side, side.calls[0])
    _attempt(**refused)
    _event(side, side.calls[1])
    _attempt(status=204, answer_ms=31)
    _event(side, side.calls[2])
    side.things |= {"endpoint": endpoint, "event": event}


def _attempt(**outcome: Any) -> None:
    """What is due just now ends like that."""
    facts = Outcome(started_at=timezone.now(), total_ms=44, **outcome)
    attempts_record([Ended(c, facts) for c in claim_batch(Delivery, kind="deliver", size=9)])


def _event(side: Side, call: Call) -> Event:
    body = {
        "success": True,
        "callId": call.public_id,
        "source": "roleplay",
        "externalUserId": call.external_user_id,
        "externalAgencyId": call.external_agency_id,
    }
    return event_publish(
        tenant_id=side.tenant.pk, type="call.scored", subject_id=call.pk, body=body
    )


def _requests(side: Side) -> None:
    owner = Owner(side.tenant.pk, side.things["key"].pk)
    facts: list[dict[str, Any]] = [
        {"method": "GET", "route": "/calls", "query": "from=2026-06-01&limit=50", "status": 200},
        {"method": "GET", "route": "", "status": 404, "code": "NOT_FOUND"},
        {"method": "GET", "route": "/calls", "status": 429, "code": "RATE_LIMITED"},
        {
            "owner": Owner(side.tenant.pk, None),
            "method": "POST",
            "route": "/roleplay/session",
            "status": 400,
            "code": "INVALID_REQUEST",
            "subject": "https://elsewhere.example",
        },
        {
            "method": "POST",
            "route": "/session",
            "status": 400,
            "code": "INVALID_REQUEST",
            "field": "externalUserId",
        },
        {"method": "POST", "route": "/session", "status": 500, "code": "INTERNAL_ERROR"},
    ]
    empty = {"owner": owner, "query": "", "code": "", "field": "", "subject": "", "duration_ms": 12}
    now = timezone.now()
    batch = [
        Answered(request_id=uuid.uuid4(), at=now - timedelta(minutes=n), **(empty | each))
        for n, each in enumerate(facts)
    ]
    requests_write(batch)
    side.things["request"] = f"req_{batch[3].request_id}"
