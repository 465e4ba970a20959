"""Reads about tenants and their people."""

import uuid
from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True, slots=True)
class MembershipSummary:
    """One tenant that a user belongs to."""

    membership_id: uuid.UUID
    tenant_id: uuid.UUID
    tenant_name: str
    tenant_status: str
    role: str
    agencies: tuple[uuid.UUID, ...]  # empty: all


def memberships_of(user_id: uuid.UUID) -> list[MembershipSummary]:
    """All tenants of a user, by name. One of the few reads that cross tenants."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM memberships_of(%s)", [user_id])
        rows = cursor.fetchall()
    return [
        MembershipSummary(membership, tenant, name, status, role, tuple(agencies))
        for membership, tenant, name, status, role, agencies in rows
    ]
