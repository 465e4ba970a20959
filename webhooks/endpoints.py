"""Endpoints as their tenant's backend sees and changes them: of one mode, named `ep_…`."""

import uuid
from dataclasses import dataclass

from django.db.models import QuerySet

from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.services import SYSTEM, audit
from webhooks.errors import EndpointNotFound
from webhooks.models import Endpoint
from webhooks.services import (
    checked_types,
    endpoint_disable,
    endpoint_enable,
    endpoint_move,
)

LONGEST_DESCRIPTION = 200  # characters


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What to change; None leaves it as it is."""

    url: str | None = None
    description: str | None = None
    event_types: tuple[str, ...] | None = None
    enabled: bool | None = None


def endpoints_list(*, tenant: Tenant, mode: str | None = None) -> list[Endpoint]:
    """All of the mode, or of both, the oldest first: there are 16 at most."""
    with tenant_scope(tenant.pk):
        found = _of_mode(tenant, mode)
        return list(found.order_by("created_at", "id"))


def endpoint_get(*, tenant: Tenant, public_id: str, mode: str | None = None) -> Endpoint:
    """The tenant's endpoint. A stranger's, one of the other mode and none look the same."""
    with tenant_scope(tenant.pk):
        found = _of_mode(tenant, mode).filter(public_id=public_id).first()
    if found is None:
        raise EndpointNotFound
    return found


def _of_mode(tenant: Tenant, mode: str | None) -> QuerySet[Endpoint]:
    found = Endpoint.objects.for_tenant(tenant)
    return found.filter(mode=mode) if mode else found


def endpoint_update(
    *, tenant: Tenant, endpoint_id: uuid.UUID, change: EndpointChange, actor: str = SYSTEM
) -> Endpoint:
    """All of the change, or nothing of it. The same change twice is harmless."""
    with tenant_scope(tenant.pk):
        if change.url is not None:
            endpoint_move(tenant=tenant, endpoint_id=endpoint_id, url=change.url, actor=actor)
        _describe(tenant, endpoint_id, change, actor)
        if change.enabled:
            endpoint_enable(tenant=tenant, endpoint_id=endpoint_id, actor=actor)
        elif change.enabled is False:
            endpoint_disable(tenant_id=tenant.pk, endpoint_id=endpoint_id, actor=actor)
        return _mine(tenant, endpoint_id)


def _describe(tenant: Tenant, endpoint_id: uuid.UUID, change: EndpointChange, actor: str) -> None:
    wanted: dict[str, str | list[str]] = {}
    if change.description is not None:
        wanted["description"] = change.description[:LONGEST_DESCRIPTION]
    if change.event_types is not None:
        wanted["event_types"] = checked_types(change.event_types)
    if wanted and Endpoint.objects.for_tenant(tenant).filter(pk=endpoint_id).update(**wanted):
        _audit(tenant, endpoint_id, actor, "endpoint.update")


def endpoint_delete(*, tenant: Tenant, endpoint_id: uuid.UUID, actor: str = SYSTEM) -> None:
    """Gone with the log of what was sent there. What is on its way just now may still arrive."""
    with tenant_scope(tenant.pk):
        _mine(tenant, endpoint_id).delete()
        _audit(tenant, endpoint_id, actor, "endpoint.delete")


def _mine(tenant: Tenant, endpoint_id: uuid.UUID) -> Endpoint:
    found = Endpoint.objects.for_tenant(tenant).filter(pk=endpoint_id).first()
    if found is None:
        raise EndpointNotFound
    return found


def _audit(tenant: Tenant, endpoint_id: uuid.UUID, actor: str, action: str) -> None:
    audit(tenant_id=tenant.pk, actor=actor, action=action, target=f"endpoint:{endpoint_id}")
