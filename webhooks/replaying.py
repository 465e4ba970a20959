"""Sending on request: a test event, one event again, or all that failed since a moment."""

import uuid
from datetime import datetime

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from tenants.api import timestamp
from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.services import SYSTEM, audit
from webhooks.bodies import event_body
from webhooks.errors import EventExpired
from webhooks.models import Delivery, Endpoint, Event, event_public_id
from webhooks.services import endpoint_enable
from work.bell import ring

ENDPOINT_TEST = "endpoint.test"
REPLAYED_AT_ONCE = 1000  # deliveries; who has more asks again


def test_event_send(*, tenant: Tenant, endpoint: Endpoint, actor: str = SYSTEM) -> Event:
    """A signed `endpoint.test` to this one endpoint, retried like any other event."""
    public_id = event_public_id()
    facts = {"occurredAt": timestamp(timezone.now()), "requestId": f"req_{uuid.uuid4()}"}
    with tenant_scope(tenant.pk):
        event = Event.objects.create(
            tenant=tenant,
            public_id=public_id,
            mode=endpoint.mode,
            type=ENDPOINT_TEST,
            subject_id=uuid.uuid4(),
            body=event_body(ENDPOINT_TEST, facts, event_id=public_id),
        )
        Delivery.objects.create(
            tenant=tenant,
            event=event,
            endpoint=endpoint,
            mode=endpoint.mode,
            event_type=event.type,
            due_at=Now(),
        )
        _audit(tenant, actor, "endpoint.test", f"endpoint:{endpoint.pk}")
        ring("deliver")
    return event


def endpoint_revive(*, tenant: Tenant, endpoint: Endpoint, actor: str = SYSTEM) -> Event:
    """Switch it on again and send a test at once, whose delivery tells whether it works now."""
    with tenant_scope(tenant.pk):
        enabled = endpoint_enable(tenant=tenant, endpoint_id=endpoint.pk, actor=actor)
        return test_event_send(tenant=tenant, endpoint=enabled, actor=actor)


def event_replay(
    *, tenant: Tenant, event: Event, endpoint: Endpoint | None = None, actor: str = SYSTEM
) -> int:
    """Send an event again, with its own id; to one endpoint, or to all it went to. How many."""
    with tenant_scope(tenant.pk):
        if event.body_expired_at is not None:
            raise EventExpired
        ended = _ended(tenant).filter(event=event)
        count = _again(ended.filter(endpoint=endpoint) if endpoint else ended)
        _audit(tenant, actor, "event.replay", f"event:{event.pk}")
    return count


def failed_replay(
    *, tenant: Tenant, endpoint: Endpoint, since: datetime, actor: str = SYSTEM
) -> int:
    """Send again what failed or was abandoned there since then, the oldest first. How many."""
    undelivered = (Delivery.State.FAILED, Delivery.State.ABANDONED)
    with tenant_scope(tenant.pk):
        failed = _ended(tenant).filter(
            endpoint=endpoint,
            state__in=undelivered,
            created_at__gte=since,
            event__body_expired_at=None,
        )
        oldest = failed.order_by("created_at", "id").values("pk")[:REPLAYED_AT_ONCE]
        chosen = [row["pk"] for row in oldest]
        count = _again(Delivery.objects.for_tenant(tenant).filter(pk__in=chosen))
        _audit(tenant, actor, "endpoint.replay", f"endpoint:{endpoint.pk}")
    return count


def _ended(tenant: Tenant) -> QuerySet[Delivery]:
    """What waits for its turn already needs no replay; a disabled endpoint gets none."""
    found = Delivery.objects.for_tenant(tenant).exclude(state=Delivery.State.PENDING)
    return found.filter(endpoint__enabled=True)


def _again(deliveries: QuerySet[Delivery]) -> int:
    """The whole schedule anew. The attempts already made stay in the log."""
    count = deliveries.update(
        state=Delivery.State.PENDING, due_at=Now(), ended_at=None, attempt_count=0
    )
    if count:
        ring("deliver")
    return count


def _audit(tenant: Tenant, actor: str, action: str, target: str) -> None:
    audit(tenant_id=tenant.pk, actor=actor, action=action, target=target)
