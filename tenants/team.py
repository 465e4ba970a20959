"""A tenant's members: their roles, and the agencies that they are limited to."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Agency, Membership, Tenant
from tenants.services import SYSTEM, audit

_Role = Membership.Role
# Whom each role may put in, change and remove. Nobody gives more than they have.
GIVES: dict[str, frozenset[str]] = {
    _Role.OWNER: frozenset(_Role.values),
    _Role.MANAGER: frozenset({_Role.MANAGER, _Role.ANALYST}),
}
MEMBERS_MOST = 500


@dataclass(frozen=True, slots=True)
class TeamMember:
    """A member as the team's page shows them."""

    email: str
    name: str
    role: str
    agencies: tuple[uuid.UUID, ...]  # empty: all
    since: datetime
    last_sign_in: datetime | None


def team_list(*, tenant_id: uuid.UUID) -> list[TeamMember]:
    """Everybody, owners first, then by address."""
    with tenant_scope(tenant_id):
        rows = Membership.objects.for_tenant(tenant_id).select_related("user")
        found = list(rows.order_by("user__email")[:MEMBERS_MOST])
    order = list(_Role.values)
    members = [
        TeamMember(
            email=row.user.email,
            name=row.user.name,
            role=row.role,
            agencies=tuple(row.agencies),
            since=row.created_at,
            last_sign_in=row.user.last_login,
        )
        for row in found
    ]
    return sorted(members, key=lambda member: order.index(member.role))


def membership_change(
    *,
    tenant_id: uuid.UUID,
    email: str,
    role: str,
    agencies: tuple[uuid.UUID, ...],
    by_role: str,
    actor: str = SYSTEM,
) -> None:
    """Another role, other agencies. It holds from the member's next click on.

    Raises InvalidRequest: the last owner stays one, and nobody gives or takes what they lack.
    """
    role_checked(role, by_role=by_role)
    with tenant_scope(tenant_id):
        member = _locked(tenant_id, email)
        role_checked(member.role, by_role=by_role)
        owner_stays = role == _Role.OWNER and not agencies
        if not owner_stays:
            _last_owner_checked(tenant_id, member)
        limit = agencies_checked(tenant_id, agencies)
        if role == _Role.OWNER and limit:
            raise InvalidRequest("An owner owns all agencies.", details={"field": "agencies"})
        details: dict[str, object] = {"before": member.role, "after": role, "agencies": len(limit)}
        member.role, member.agencies = role, limit
        member.save(update_fields=["role", "agencies"])
        _note(member, "membership.change", actor, details)


def membership_remove(
    *, tenant_id: uuid.UUID, email: str, by_role: str, actor: str = SYSTEM
) -> None:
    """The person is out with their next click. Raises InvalidRequest for the last owner."""
    with tenant_scope(tenant_id):
        member = _locked(tenant_id, email)
        role_checked(member.role, by_role=by_role)
        _last_owner_checked(tenant_id, member)
        _note(member, "membership.remove", actor, {"before": member.role})
        member.delete()


def role_checked(role: str, *, by_role: str) -> str:
    """That role, when who asks may give it."""
    if role not in _Role.values:
        raise InvalidRequest("There is no such role.", details={"field": "role"})
    if role not in GIVES.get(by_role, frozenset()):
        raise InvalidRequest(
            f"As {by_role} you can't give or take the role {role}.", details={"field": "role"}
        )
    return role


def agencies_checked(tenant_id: uuid.UUID, agencies: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """The agencies, all of the tenant's own. Needs its scope."""
    wanted = sorted(set(agencies))
    found = Agency.objects.for_tenant(tenant_id).filter(pk__in=wanted).count()
    if found != len(wanted):
        raise InvalidRequest("There is no such agency.", details={"field": "agencies"})
    return wanted


def agencies_named(*, tenant_id: uuid.UUID, external_ids: Iterable[str]) -> tuple[uuid.UUID, ...]:
    """The agencies of those names. Raises InvalidRequest for one that is not there."""
    names = set(external_ids)
    with tenant_scope(tenant_id):
        rows = Agency.objects.for_tenant(tenant_id).filter(external_id__in=names)
        found = tuple(rows.values_list("pk", flat=True))
    if len(found) != len(names):
        raise InvalidRequest("There is no such agency.", details={"field": "agencies"})
    return found


def _locked(tenant_id: uuid.UUID, email: str) -> Membership:
    """One change to the team at a time, so that two owners can't remove each other."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    rows = Membership.objects.for_tenant(tenant_id).select_related("user")
    member = rows.filter(user__email__iexact=email.strip()).first()
    if member is None:
        raise InvalidRequest("This person is not in the team.", details={"field": "email"})
    return member


def _last_owner_checked(tenant_id: uuid.UUID, member: Membership) -> None:
    if member.role != _Role.OWNER:
        return
    owners = Membership.objects.for_tenant(tenant_id).filter(role=_Role.OWNER)
    if not owners.filter(user__is_active=True).exclude(pk=member.pk).exists():
        raise InvalidRequest("An account needs an owner. Make somebody else one first.")


def _note(member: Membership, action: str, actor: str, details: dict[str, object]) -> None:
    audit(
        tenant_id=member.tenant_id,
        actor=actor,
        action=action,
        target=f"user:{member.user_id}",
        details=details,
    )
