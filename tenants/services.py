"""Tenants, their people and keys: what may be done to them."""

import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from tenants import keys
from tenants.client_address import network_normal
from tenants.errors import InvalidRequest, TooManyKeys
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import ApiKey, AuditEvent, Membership, Tenant, User

ACTIVE_KEYS = 5  # per tenant and mode
CONTRACT_SCOPES = ("sessions:write", "calls:read")
ALL_SCOPES = (*CONTRACT_SCOPES, "webhooks:write", "keys:write")
SYSTEM = "system"


def user_create(*, email: str, password: str | None = None) -> tuple[User, str]:
    """A new person for the dashboard, and the password, random when none is given."""
    password = password or secrets.token_urlsafe(15)
    return User.objects.create_user(email, password), password


def tenant_create(*, name: str, owner: User, actor: str = SYSTEM) -> Tenant:
    """A new tenant with its first member."""
    tenant_id = uuid.uuid4()
    with tenant_scope(tenant_id):
        tenant = Tenant.objects.create(id=tenant_id, name=name)
        Membership.objects.create(tenant=tenant, user=owner, role=Membership.Role.OWNER)
        audit(tenant_id=tenant_id, actor=actor, action="tenant.create")
    return tenant


def catalogue_ensure() -> None:
    """The tenant that owns the shipped drills is there. Migrations make it; wiping loses it."""
    with tenant_scope(CATALOGUE):
        Tenant.objects.get_or_create(
            id=CATALOGUE, defaults={"name": "Catalogue", "status": Tenant.Status.SUSPENDED}
        )


def api_key_create(
    *,
    tenant: Tenant,
    name: str,
    mode: str = ApiKey.Mode.LIVE,
    scopes: Iterable[str] = CONTRACT_SCOPES,
    agencies: Iterable[uuid.UUID] = (),
    allowed_ips: Iterable[str] = (),
    expires_at: datetime | None = None,
    actor: str = SYSTEM,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is never seen again. At most five of a mode are active."""
    scopes = list(scopes)
    if not set(scopes) <= set(ALL_SCOPES):
        raise InvalidRequest("That scope does not exist.")
    networks = _networks(allowed_ips)
    text = keys.make(mode)
    pepper_id, pepper = next(iter(settings.API_KEY_PEPPERS.items()))
    with tenant_scope(tenant.pk):
        Tenant.objects.select_for_update().get(pk=tenant.pk)  # two creations wait for each other
        unexpired = Q(expires_at=None) | Q(expires_at__gt=Now())
        active = ApiKey.objects.for_tenant(tenant).filter(unexpired, revoked_at=None, mode=mode)
        if active.count() >= ACTIVE_KEYS:
            raise TooManyKeys
        key = ApiKey.objects.create(
            tenant=tenant,
            name=name,
            mode=mode,
            digest=keys.digest(text, pepper),
            pepper_id=pepper_id,
            hint=keys.hint(text),
            scopes=scopes,
            agencies=list(agencies),
            allowed_ips=networks,
            expires_at=expires_at,
        )
        audit(tenant_id=tenant.pk, actor=actor, action="api_key.create", target=f"key:{key.pk}")
    return key, text


def api_key_revoke(
    *, tenant: Tenant, key_id: uuid.UUID, grace: timedelta = timedelta(0), actor: str = SYSTEM
) -> None:
    """End a key: at once, or after a grace of up to 7 days. Revoking twice is harmless."""
    if not timedelta(0) <= grace <= timedelta(days=7):
        raise InvalidRequest("The grace must be 0 to 7 days.")
    change = {"expires_at": Now() + grace} if grace else {"revoked_at": Now()}
    with tenant_scope(tenant.pk):
        mine = ApiKey.objects.for_tenant(tenant).filter(pk=key_id, revoked_at=None)
        if mine.update(**change):
            audit(tenant_id=tenant.pk, actor=actor, action="api_key.revoke", target=f"key:{key_id}")


def audit(
    *,
    tenant_id: uuid.UUID,
    actor: str,
    action: str,
    target: str = "",
    details: dict[str, object] | None = None,
) -> None:
    """Write down who did what, in the transaction that does it. Ids only, never names or text."""
    AuditEvent.objects.create(
        tenant_id=tenant_id, actor=actor, action=action, target=target, details=details or {}
    )


def _networks(texts: Iterable[str]) -> list[str]:
    try:
        return [network_normal(text) for text in texts]
    except ValueError as odd:
        raise InvalidRequest("An allowed address must be an IP address or a network.") from odd
