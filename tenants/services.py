"""Tenants, their people and keys: what may be done to them."""

import re
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from tenants import keys
from tenants.client_address import network_normal
from tenants.errors import (
    ApiKeyRevoked,
    InsufficientScope,
    InvalidRequest,
    KeyNotActive,
    KeyNotFound,
    TooManyKeys,
)
from tenants.grants import Grant, Holder, excess
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import Agency, ApiKey, AuditEvent, Membership, Tenant, User
from tenants.selectors import KeySummary, database_now, key_summary, keys_visible

ACTIVE_KEYS = 5  # per tenant and mode
GRACE_LONGEST = timedelta(days=7)
CONTRACT_SCOPES = ("sessions:write", "calls:read")
ALL_SCOPES = (
    *CONTRACT_SCOPES,
    "webhooks:write",
    "keys:write",
    "data:erase",
    "data:retention",
)
EVERYTHING = Grant(ApiKey.Mode.LIVE, frozenset(ALL_SCOPES), frozenset(), (), None)
SYSTEM = "system"
KEY_ID = re.compile(r"key_[A-Za-z0-9_-]{21}", re.ASCII)


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


def tenant_update(
    *,
    tenant: Tenant,
    status: str | None = None,
    monthly_minutes: int | None = None,
    unlimited: bool = False,
    allowed_ips: Iterable[str] | None = None,
    actor: str = SYSTEM,
) -> Tenant:
    """Change what is given; an empty list of `allowed_ips` means from anywhere.

    It holds from the next request on. Suspended tenants neither mint nor redeem; calls that run
    go on to their end.
    """
    changes: dict[str, Any] = {}
    if status is not None:
        changes["status"] = Tenant.Status(status)
    if monthly_minutes is not None and monthly_minutes < 0:
        raise InvalidRequest("An allowance of minutes is 0 or more.")
    if monthly_minutes is not None or unlimited:
        changes["monthly_minutes"] = None if unlimited else monthly_minutes
    if allowed_ips is not None:
        changes["allowed_ips"] = list(_networks(allowed_ips))
    with tenant_scope(tenant.pk):
        locked = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        for name, value in changes.items():
            setattr(locked, name, value)
        locked.save(update_fields=list(changes))
        audit(
            tenant_id=tenant.pk,
            actor=actor,
            action="tenant.update",
            details={"changed": sorted(changes)},
        )
    return locked


def tenant_policy_set(
    *, tenant_id: uuid.UUID, mfa_required: bool | None, actor: str = SYSTEM
) -> None:
    """Whether members need a second factor, from their next click on; None: as the deployment."""
    with tenant_scope(tenant_id):
        Tenant.objects.filter(pk=tenant_id).update(mfa_required=mfa_required)
        details: dict[str, object] = {"mfaRequired": mfa_required}
        audit(tenant_id=tenant_id, actor=actor, action="tenant.policy", details=details)


def catalogue_ensure() -> None:
    """The tenant that owns the shipped drills is there. Migrations make it; wiping loses it."""
    with tenant_scope(CATALOGUE):
        Tenant.objects.get_or_create(
            id=CATALOGUE, defaults={"name": "Catalogue", "status": Tenant.Status.SUSPENDED}
        )


# --- keys ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What an integrator asks of a new key. What is left open it gets as the asking key has it."""

    name: str
    mode: str | None = None
    scopes: tuple[str, ...] = CONTRACT_SCOPES
    agencies: tuple[str, ...] = ()  # as the integrator names them
    allowed_ips: tuple[str, ...] = ()
    expires_at: datetime | None = None


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
    scopes, networks = frozenset(scopes), _networks(allowed_ips)
    _check_scopes(scopes)
    grant = Grant(mode, scopes, frozenset(agencies), networks, expires_at)
    with tenant_scope(tenant.pk):
        _keys_lock(tenant)
        return _key_add(tenant, name, grant, actor)


def api_key_issue(
    *, tenant: Tenant, holder: Holder | None, wish: KeyWish, actor: str = SYSTEM
) -> tuple[KeySummary, str]:
    """A new key, which gives no more than the holder's has; None: a person asks, the actor.

    The text is shown once.
    """
    _check_scopes(wish.scopes)
    held = holder.grant if holder else EVERYTHING
    with tenant_scope(tenant.pk):
        _keys_lock(tenant, holder)
        wanted = Grant(
            mode=wish.mode or held.mode,
            scopes=frozenset(wish.scopes),
            agencies=_agencies_named(tenant, wish.agencies, held) or held.agencies,
            networks=_networks(wish.allowed_ips) or held.networks,
            expires_at=wish.expires_at or held.expires_at,
        )
        _check_held(wanted, held)
        if wish.expires_at is not None and wish.expires_at <= database_now():
            raise InvalidRequest("expiresAt must be in the future.", details={"field": "expiresAt"})
        key, text = _key_add(tenant, wish.name, wanted, _actor(holder, actor))
        return key_summary(tenant=tenant, key_id=key.pk), text


def api_key_rotate(
    *,
    tenant: Tenant,
    holder: Holder | None,
    key_id: str,
    grace: timedelta,
    actor: str = SYSTEM,
) -> tuple[KeySummary, str]:
    """A key of the same rights in place of another, which ends after the grace."""
    _check_grace(grace)
    with tenant_scope(tenant.pk):
        _keys_lock(tenant, holder)
        old = _key_held(tenant, holder, key_id)
        if holder is not None:
            _check_held(old.grant, holder.grant)
        if old.revoked_at is not None or not _active(tenant).filter(pk=old.pk).exists():
            raise KeyNotActive
        _key_end(old, grace, _actor(holder, actor))
        key, text = _key_add(tenant, old.name, old.grant, _actor(holder, actor))
        return key_summary(tenant=tenant, key_id=key.pk), text


def api_key_revoke(
    *,
    tenant: Tenant,
    key_id: uuid.UUID | str,
    holder: Holder | None = None,
    grace: timedelta = timedelta(0),
    actor: str = SYSTEM,
) -> KeySummary:
    """End a key, by its inner or its public id: at once, or after a grace of up to 7 days.

    Revoking again never gives it longer. With a `holder` only keys that give no more than its own.
    """
    _check_grace(grace)
    with tenant_scope(tenant.pk):
        _keys_lock(tenant, holder)
        key = _key_held(tenant, holder, key_id)
        if holder is not None:
            _check_held(replace(key.grant, expires_at=holder.grant.expires_at), holder.grant)
        _key_end(key, grace, _actor(holder, actor))
        return key_summary(tenant=tenant, key_id=key.pk)


def _keys_lock(tenant: Tenant, holder: Holder | None = None) -> None:
    """Two changes to the keys of a tenant wait for each other; who mints waits for neither.

    A key that ended while its request waited changes nothing any more.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    if holder is not None and not _active(tenant).filter(pk=holder.key_id).exists():
        raise ApiKeyRevoked


def _actor(holder: Holder | None, actor: str) -> str:
    return holder.actor if holder else actor


def _active(tenant: Tenant) -> QuerySet[ApiKey]:
    unrevoked = Q(revoked_at=None) | Q(revoked_at__gt=Now())
    unexpired = Q(expires_at=None) | Q(expires_at__gt=Now())
    return ApiKey.objects.for_tenant(tenant).filter(unrevoked, unexpired)


def _key_add(tenant: Tenant, name: str, grant: Grant, actor: str) -> tuple[ApiKey, str]:
    if _active(tenant).filter(mode=grant.mode).count() >= ACTIVE_KEYS:
        raise TooManyKeys
    text = keys.make(grant.mode)
    pepper_id, pepper = next(iter(settings.API_KEY_PEPPERS.items()))
    key = ApiKey.objects.create(
        tenant=tenant,
        name=name,
        mode=grant.mode,
        digest=keys.digest(text, pepper),
        pepper_id=pepper_id,
        hint=keys.hint(text),
        scopes=[scope for scope in ALL_SCOPES if scope in grant.scopes],
        agencies=sorted(grant.agencies),
        allowed_ips=list(grant.networks),
        expires_at=grant.expires_at,
    )
    audit(tenant_id=tenant.pk, actor=actor, action="api_key.create", target=_target(key))
    return key, text


def _key_held(tenant: Tenant, holder: Holder | None, key_id: uuid.UUID | str) -> ApiKey:
    if isinstance(key_id, str) and not KEY_ID.fullmatch(key_id):
        raise KeyNotFound
    rows = keys_visible(tenant, holder)
    named = {"pk": key_id} if isinstance(key_id, uuid.UUID) else {"public_id": key_id}
    key = rows.filter(**named).first()
    if key is None:
        raise KeyNotFound
    return key


def _key_end(key: ApiKey, grace: timedelta, actor: str) -> None:
    sooner = Q(revoked_at=None) | Q(revoked_at__gt=Now() + grace)
    if ApiKey.objects.filter(sooner, pk=key.pk).update(revoked_at=Now() + grace):
        audit(
            tenant_id=key.tenant_id,
            actor=actor,
            action="api_key.revoke",
            target=_target(key),
            details={"graceSeconds": int(grace.total_seconds())},
        )


def _target(key: ApiKey) -> str:
    return f"key:{key.public_id}"


def _agencies_named(tenant: Tenant, names: Iterable[str], held: Grant) -> frozenset[uuid.UUID]:
    """The agencies of those names. One never seen is made, by who is limited to none."""
    names = set(names)
    if not held.agencies:
        fresh = [Agency(tenant=tenant, external_id=name) for name in names]
        Agency.objects.bulk_create(fresh, ignore_conflicts=True)
    found = Agency.objects.for_tenant(tenant).filter(external_id__in=names)
    agencies = frozenset(found.values_list("pk", flat=True))
    if len(agencies) < len(names):
        raise _too_much("agencies")
    return agencies


def _check_held(wanted: Grant, held: Grant) -> None:
    part = excess(wanted, held)
    if part is not None:
        raise _too_much(part)


def _too_much(part: str) -> InsufficientScope:
    return InsufficientScope(
        f"A key cannot give more than it has: {part}.", details={"field": part}
    )


def _check_scopes(scopes: Iterable[str]) -> None:
    if not set(scopes) <= set(ALL_SCOPES):
        raise InvalidRequest("That scope does not exist.", details={"field": "scopes"})


def _check_grace(grace: timedelta) -> None:
    if not timedelta(0) <= grace <= GRACE_LONGEST:
        raise InvalidRequest("The grace must be 0 to 7 days.", details={"field": "graceSeconds"})


def _networks(texts: Iterable[str]) -> tuple[str, ...]:
    try:
        return tuple(network_normal(text) for text in texts)
    except ValueError as odd:
        raise InvalidRequest(
            "An allowed address must be an IP address or a network.",
            details={"field": "allowedIps"},
        ) from odd


# --- what happened -------------------------------------------------------------------------------


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
