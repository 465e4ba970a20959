"""Reads about tenants and their people."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Case, CharField, QuerySet, Value, When
from django.db.models.functions import Now

from tenants.grants import Holder
from tenants.isolation import tenant_scope
from tenants.models import Agency, ApiKey, Membership, Tenant, User


@dataclass(frozen=True, slots=True)
class MembershipSummary:
    """One tenant that a user belongs to."""

    membership_id: uuid.UUID
    tenant_id: uuid.UUID
    tenant_name: str
    tenant_status: str
    role: str
    agencies: tuple[uuid.UUID, ...]  # empty: all
    mfa_required: bool | None = None  # None: as the deployment has it
    single_sign_on: str | None = None  # the tenant's own provider, by its public id
    single_sign_on_required: bool = False
    has_second_factor: bool = False  # the user, whatever the tenant


def memberships_of(user_id: uuid.UUID) -> list[MembershipSummary]:
    """All tenants of a user, by name. One of the few reads that cross tenants."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM memberships_of(%s)", [user_id])
        rows = cursor.fetchall()
    return [
        MembershipSummary(membership, tenant, name, status, role, tuple(agencies), *more)
        for membership, tenant, name, status, role, agencies, *more in rows
    ]


def membership_user(
    *, tenant_id: uuid.UUID, user_id: uuid.UUID | None = None, email: str = ""
) -> User | None:
    """The tenant's member with that id, or with that address."""
    named = {"user_id": user_id} if user_id else {"user__email__iexact": email}
    with tenant_scope(tenant_id):
        rows = Membership.objects.for_tenant(tenant_id).select_related("user")
        found = rows.filter(**named).first()
    return found.user if found else None


def tenant_named(name: str) -> Tenant | None:
    """The tenant of that id, or the only one of the person with that e-mail address."""
    try:
        tenant_id = uuid.UUID(name)
    except ValueError:
        person = User.objects.filter(email__iexact=name).first()
        tenants = [member.tenant_id for member in memberships_of(person.pk)] if person else []
        if len(tenants) != 1:
            return None
        tenant_id = tenants[0]
    with tenant_scope(tenant_id):
        return Tenant.objects.filter(pk=tenant_id).first()


def managers_of(*, tenant_id: uuid.UUID) -> list[str]:
    """The e-mail addresses of those who run the whole tenant, the longest there first."""
    roles = (Membership.Role.OWNER, Membership.Role.MANAGER)
    with tenant_scope(tenant_id):
        everybody = Membership.objects.for_tenant(tenant_id).filter(user__is_active=True)
        runs_it = everybody.filter(role__in=roles, agencies=[])
        return list(runs_it.order_by("created_at", "pk").values_list("user__email", flat=True))


def database_now() -> datetime:
    """One clock for all processes: what is compared with rows' times goes by it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchall()[0][0]
    return now


# --- keys ----------------------------------------------------------------------------------------

KEYS_SHOWN = 100
_STATUS = Case(  # by the database's clock, as the check of a key goes
    When(revoked_at__lte=Now(), then=Value("revoked")),
    When(expires_at__lte=Now(), then=Value("expired")),
    default=Value("active"),
    output_field=CharField(),
)


@dataclass(frozen=True, slots=True)
class KeySummary:
    """A key as people and integrators see it."""

    public_id: str
    name: str
    mode: str
    status: str  # active, expired, revoked; while a grace runs still active
    hint: str
    scopes: tuple[str, ...]
    agencies: tuple[str, ...]  # as the integrator names them; empty: all
    allowed_ips: tuple[str, ...]  # empty: any
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def keys_visible(tenant: Tenant, holder: Holder | None) -> QuerySet[ApiKey]:
    """The keys that the holder of one may know of: of its mode and its agencies. None: all."""
    rows = ApiKey.objects.for_tenant(tenant)
    if holder is not None and holder.grant.mode != ApiKey.Mode.LIVE:
        rows = rows.filter(mode=holder.grant.mode)
    if holder is not None and holder.grant.agencies:
        mine = list(holder.grant.agencies)
        rows = rows.filter(agencies__contained_by=mine).exclude(agencies=[])
    return rows


def keys_list(*, tenant: Tenant, holder: Holder | None = None) -> list[KeySummary]:
    """The tenant's keys: active ones first, then the newest of those that ended."""
    with tenant_scope(tenant.pk):
        rows = keys_visible(tenant, holder).annotate(status=_STATUS)
        active_first = Case(When(status="active", then=0), default=1)
        found = list(rows.order_by(active_first, "-created_at", "-id")[:KEYS_SHOWN])
        names = _agency_names(tenant, {agency for key in found for agency in key.agencies})
    return [_summed_up(key, names) for key in found]


def key_named(*, tenant: Tenant, public_id: str) -> KeySummary | None:
    """The tenant's key of that id. A stranger's and none look the same."""
    with tenant_scope(tenant.pk):
        key = ApiKey.objects.for_tenant(tenant).filter(public_id=public_id).first()
        return key_summary(tenant=tenant, key_id=key.pk) if key else None


def key_summary(*, tenant: Tenant, key_id: uuid.UUID) -> KeySummary:
    """One key of the tenant."""
    with tenant_scope(tenant.pk):
        key = ApiKey.objects.for_tenant(tenant).annotate(status=_STATUS).get(pk=key_id)
        names = _agency_names(tenant, key.agencies)
    return _summed_up(key, names)


def _summed_up(key: ApiKey, names: Mapping[uuid.UUID, str]) -> KeySummary:
    return KeySummary(
        public_id=key.public_id,
        name=key.name,
        mode=key.mode,
        status=getattr(key, "status"),  # noqa: B009 - the annotation, which types do not know
        hint=key.hint,
        scopes=tuple(key.scopes),
        agencies=tuple(names[agency] for agency in key.agencies),
        allowed_ips=tuple(key.allowed_ips),
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
    )


def _agency_names(tenant: Tenant, agencies: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    found = Agency.objects.for_tenant(tenant).filter(pk__in=agencies)
    return dict(found.values_list("pk", "external_id"))


def keys_by_pepper() -> list[tuple[str, int, int]]:
    """Of each pepper its id, the keys ever digested under it and those of them that are active.

    One of the few reads that cross tenants.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pepper_id, made, active FROM keys_by_pepper()")
        rows: list[tuple[str, int, int]] = cursor.fetchall()
    return rows
