"""A few rows for tests, made the way the product makes them."""

import asyncio
import uuid
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from tenants.isolation import tenant_scope
from tenants.models import Tenant
from webhooks import services
from webhooks.models import Attempt, Delivery, Endpoint, Event

CALL_ID = "athos_call_GZ1DjOkZv_VEPoE-CJ8mp"


def make_tenant(name: str = "Acme") -> Tenant:
    tenant_id = uuid.uuid4()
    with tenant_scope(tenant_id):
        return Tenant.objects.create(id=tenant_id, name=name)


def make_endpoint(
    tenant: Tenant, url: str = "https://hooks.example.com/athos", **options
) -> tuple[Endpoint, str]:
    return services.endpoint_create(tenant=tenant, url=url, **options)


def facts(**changes: object) -> dict[str, object]:
    return {
        "success": True,
        "callId": CALL_ID,
        "source": "roleplay",
        "externalUserId": "rep_8842",
        "externalAgencyId": None,
    } | changes


def publish(tenant: Tenant, subject_id: uuid.UUID | None = None, **changes: object) -> Event:
    return services.event_publish(
        tenant_id=tenant.pk,
        type="call.scored",
        subject_id=subject_id or uuid.uuid4(),
        body=facts(**changes),
    )


def deliveries(tenant: Tenant) -> list[Delivery]:
    with tenant_scope(tenant.pk):
        return list(Delivery.objects.select_related("event", "endpoint").order_by("created_at"))


def attempts(tenant: Tenant) -> list[Attempt]:
    with tenant_scope(tenant.pk):
        return list(Attempt.objects.order_by("started_at"))


def make_due(tenant: Tenant) -> None:
    """As if the wait was over."""
    with tenant_scope(tenant.pk):
        Delivery.objects.filter(state="pending").update(
            due_at=timezone.now() - timedelta(seconds=1)
        )


async def in_database(work, *arguments, **options):
    """Run a synchronous function off the loop, and give its connection back."""

    def run():
        try:
            return work(*arguments, **options)
        finally:
            connection.close()

    return await asyncio.to_thread(run)
