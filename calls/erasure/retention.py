"""How long a tenant's content is kept: the policy, read and changed."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now

from calls.models import RetentionRound
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.services import SYSTEM, audit
from work.bell import ring

LONGEST = 3650  # days

# The API's names and the tenant's columns.
FIELDS: Mapping[str, str] = {
    "audioDays": "audio_days",
    "transcriptDays": "transcript_days",
    "webhookPayloadDays": "webhook_payload_days",
}


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that each kind of content is kept after its call ended; None: until it is erased."""

    audio_days: int | None
    transcript_days: int | None
    webhook_payload_days: int | None

    def json(self) -> dict[str, int | None]:
        return {name: getattr(self, column) for name, column in FIELDS.items()}


def retention_of(*, tenant_id: uuid.UUID) -> Retention:
    with tenant_scope(tenant_id):
        return _read(Tenant.objects.get(pk=tenant_id))


def retention_set(
    *, tenant_id: uuid.UUID, changes: Mapping[str, int | None], actor: str = SYSTEM
) -> Retention:
    """Change the policy, for what is there already as well, and look for old content at once.

    `changes` goes by column. Raises InvalidRequest for days out of range. That the actor is an
    owner is up to the door.
    """
    unknown = changes.keys() - set(FIELDS.values())
    if unknown:
        raise ValueError(f"No kind of content is called {', '.join(sorted(unknown))}.")
    with tenant_scope(tenant_id):
        tenant = Tenant.objects.select_for_update().get(pk=tenant_id)
        before = {column: getattr(tenant, column) for column in changes}
        if before == dict(changes):
            return _read(tenant)
        for column, days in changes.items():
            setattr(tenant, column, _checked(column, days))
        tenant.save(update_fields=list(changes))
        RetentionRound.objects.for_tenant(tenant_id).update(due_at=Now())
        audit(
            tenant_id=tenant_id,
            actor=actor,
            action="retention.set",
            target=f"tenant:{tenant_id}",
            details={"before": before, "after": dict(changes)},
        )
        ring("retain")
        return _read(tenant)


def changes_parse(body: Mapping[str, Any]) -> dict[str, int | None]:
    """The columns that a request changes. Raises InvalidRequest, which names the field."""
    return {column: _checked(column, body[name]) for name, column in FIELDS.items() if name in body}


def _checked(column: str, days: object) -> int | None:
    if days is None or (type(days) is int and 1 <= days <= LONGEST):
        return days
    name = next(name for name, known in FIELDS.items() if known == column)
    problem = f"{name} must be a whole number from 1 to {LONGEST}, or null to keep it."
    raise InvalidRequest(problem, details={"field": name})


def _read(tenant: Tenant) -> Retention:
    return Retention(tenant.audio_days, tenant.transcript_days, tenant.webhook_payload_days)
