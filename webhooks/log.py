"""What was sent: page by page for an endpoint, whole for one event."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.sealing import SealBroken, seal, unseal
from webhooks.errors import EventNotFound
from webhooks.models import Attempt, Delivery, Endpoint, Event

DELIVERIES_PAGE = 50
ATTEMPTS_SHOWN = 100  # of one delivery, the first ones
CURSOR_LONGEST = 1000  # characters
_PURPOSE = "athos.webhooks.cursor"


@dataclass(frozen=True, slots=True)
class DeliveriesPage:
    deliveries: list[Delivery]  # with their events
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class EventLog:
    """An event and, for each endpoint of its way, every attempt."""

    event: Event
    deliveries: list[tuple[Delivery, list[Attempt]]]


def deliveries_page(
    *, tenant: Tenant, endpoint: Endpoint, state: str | None, limit: int, cursor: str | None
) -> DeliveriesPage:
    """Newest first. A cursor is good for the same endpoint and state only."""
    list_name = f"{endpoint.pk}:{state or ''}"
    place = _place(cursor, list_name) if cursor is not None else None
    with tenant_scope(tenant.pk):
        rows = Delivery.objects.for_tenant(tenant).filter(endpoint=endpoint)
        rows = rows.filter(state=state) if state else rows
        if place:
            at, row_id = place
            same = Q(created_at=at, id__lt=row_id)
            rows = rows.filter(Q(created_at__lt=at) | same)
        found = list(rows.select_related("event").order_by("-created_at", "-id")[: limit + 1])
    page = found[:limit]
    if len(found) <= limit:
        return DeliveriesPage(page, None)
    last = page[-1]
    value = json.dumps([list_name, last.created_at.isoformat(), last.pk.hex])
    return DeliveriesPage(page, seal(value.encode(), purpose=_PURPOSE))


def delivery_get(
    *, tenant: Tenant, endpoint: Endpoint, event_id: str
) -> tuple[Delivery, list[Attempt]]:
    """One event's way to one endpoint, with its attempts. Raises EventNotFound."""
    with tenant_scope(tenant.pk):
        rows = Delivery.objects.for_tenant(tenant).filter(endpoint=endpoint)
        found = rows.select_related("event").filter(event__public_id=event_id).first()
        if found is None:
            raise EventNotFound
        return found, list(found.attempts.order_by("-number")[:ATTEMPTS_SHOWN])


def event_get(*, tenant: Tenant, mode: str, public_id: str) -> EventLog:
    """The tenant's event. A stranger's, one of the other mode and none look the same."""
    with tenant_scope(tenant.pk):
        event = Event.objects.for_tenant(tenant).filter(public_id=public_id).first()
        if event is None:
            raise EventNotFound
        rows = Delivery.objects.for_tenant(tenant).filter(event=event, endpoint__mode=mode)
        deliveries = list(
            rows.select_related("endpoint")
            .prefetch_related("attempts")
            .order_by("created_at", "id")
        )
        logs = [(each, list(each.attempts.all())[:ATTEMPTS_SHOWN]) for each in deliveries]
    if not deliveries:
        raise EventNotFound
    return EventLog(event, logs)


def _place(cursor: str, list_name: str) -> tuple[datetime, uuid.UUID]:
    try:
        opened = unseal(cursor, purpose=_PURPOSE) if len(cursor) <= CURSOR_LONGEST else b""
        made_for, at, row_id = json.loads(opened)
    except (SealBroken, ValueError) as broken:
        raise _refused("is not one of ours.") from broken
    if made_for != list_name:
        raise _refused("belongs to another list.")
    return datetime.fromisoformat(at), uuid.UUID(row_id)


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest(f"cursor {problem}", details={"field": "cursor"})
