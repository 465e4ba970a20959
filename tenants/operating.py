"""What our operations staff does to tenants: open, suspend, set allowances. Each act is audited."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from tenants.errors import InvalidRequest
from tenants.invitations import address_checked, invitation_create, mail_checked
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import Membership, Tenant
from tenants.services import audit, tenant_update

LISTED_MOST = 100
NAME_LONGEST = 200  # characters
MINUTES_MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A tenant in the list of all. Nothing of what it owns."""

    id: uuid.UUID
    name: str
    status: str
    monthly_minutes: int | None
    created_at: datetime


def tenants_listed(*, part: str = "") -> list[Listed]:
    """Tenants whose names hold that part, by name. One of the few reads that cross tenants."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, name, status, monthly_minutes, created_at FROM tenants_listed(%s, %s)",
            [part, LISTED_MOST],
        )
        return [Listed(*row) for row in cursor.fetchall()]


def tenant_open(
    *, name: str, owner_email: str, monthly_minutes: int | None, actor: str
) -> uuid.UUID:
    """A new tenant, and an invitation to its first owner.

    Raises InvalidRequest; MailUnavailable when the tenant is there and the mail did not go out.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_LONGEST or "\x00" in name:
        raise InvalidRequest(f"A name has 1 to {NAME_LONGEST} characters.")
    minutes_checked(monthly_minutes)
    email = address_checked(owner_email)
    mail_checked()
    tenant_id = uuid.uuid4()
    with tenant_scope(tenant_id):
        Tenant.objects.create(id=tenant_id, name=name, monthly_minutes=monthly_minutes)
        audit(tenant_id=tenant_id, actor=actor, action="tenant.create")
    invitation_create(tenant_id=tenant_id, email=email, role=Membership.Role.OWNER, actor=actor)
    return tenant_id


def tenant_look(tenant_id: uuid.UUID) -> Tenant | None:
    """The one tenant that was chosen. The shared catalogue is nobody's to run."""
    if tenant_id == CATALOGUE:
        return None
    with tenant_scope(tenant_id):
        return Tenant.objects.filter(pk=tenant_id).first()


def allowance_set(*, tenant: Tenant, monthly_minutes: int | None, actor: str) -> None:
    """Minutes of live calls a month, from the next call on; None: no limit."""
    minutes_checked(monthly_minutes)
    tenant_update(
        tenant=tenant,
        monthly_minutes=monthly_minutes,
        unlimited=monthly_minutes is None,
        actor=actor,
    )


def minutes_checked(minutes: int | None) -> None:
    if minutes is not None and not 0 <= minutes <= MINUTES_MOST:
        raise InvalidRequest(f"An allowance is 0 to {MINUTES_MOST} minutes, or empty: no limit.")
