"""Reads for people, and for the sender."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.sealing import SealBroken
from webhooks.models import Delivery, Endpoint
from webhooks.outcomes import Parcel
from webhooks.rehearsals import pretended
from webhooks.sealed_secrets import open_secrets

SHOWN = 100  # deliveries of one subject


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """How one event stands with one endpoint, for a call's page."""

    id: uuid.UUID
    event_type: str
    event_id: str  # wh_...
    endpoint_id: str  # ep_...
    endpoint_url: str
    state: str
    attempts: int
    last_status: int | None  # HTTP
    last_failure: str  # a code
    next_try_at: datetime | None
    ended_at: datetime | None


def deliveries_of(*, tenant: Tenant | uuid.UUID, subject_id: uuid.UUID) -> list[DeliveryState]:
    """What was sent about a call, newest event first. A stranger's call has none."""
    tenant_id = tenant if isinstance(tenant, uuid.UUID) else tenant.pk
    with tenant_scope(tenant_id):
        found = (
            Delivery.objects.for_tenant(tenant_id)
            .filter(event__subject_id=subject_id)
            .select_related("event", "endpoint")
            .order_by("-event__created_at", "endpoint__created_at", "id")
        )
        return [_state(delivery) for delivery in found[:SHOWN]]


def _state(delivery: Delivery) -> DeliveryState:
    return DeliveryState(
        id=delivery.pk,
        event_type=delivery.event.type,
        event_id=delivery.event.public_id,
        endpoint_id=delivery.endpoint.public_id,
        endpoint_url=delivery.endpoint.url,
        state=delivery.state,
        attempts=delivery.attempt_count,
        last_status=delivery.last_status,
        last_failure=delivery.last_failure,
        next_try_at=delivery.due_at,
        ended_at=delivery.ended_at,
    )


def parcels(*, tenant_id: uuid.UUID, delivery_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Parcel]:
    """What to send for these deliveries. Those whose endpoint is disabled are missing."""
    with tenant_scope(tenant_id):
        found = Delivery.objects.for_tenant(tenant_id).filter(pk__in=list(delivery_ids))
        wanted = found.filter(endpoint__enabled=True).select_related("event", "endpoint")
        return {delivery.pk: _parcel(delivery) for delivery in wanted}


def _parcel(delivery: Delivery) -> Parcel:
    return Parcel(
        event_id=delivery.event.public_id,
        url=delivery.endpoint.url,
        body=bytes(delivery.event.body),
        secrets=_secrets(delivery.endpoint),
        pretended=pretended(
            delivery.rehearsal, attempt=delivery.attempt_count + 1, now=timezone.now()
        ),
    )


def _secrets(endpoint: Endpoint) -> tuple[str, ...]:
    """None at all when they cannot be read any more: the attempt fails, with a code of its own."""
    try:
        return open_secrets(endpoint, now=timezone.now())
    except SealBroken:
        return ()
