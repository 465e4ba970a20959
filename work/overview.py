"""What stands where, over all tenants; and how a parked row goes back to work."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from tenants.isolation import tenant_scope
from work import bell, kinds
from work.functions import call_function

PARKED_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Standing:
    """Rows of one kind by state; `longest` is how many seconds the first due row has waited."""

    kind: str
    due: int
    leased: int
    pausing: int
    parked: int
    longest: float


@dataclass(frozen=True, slots=True)
class ParkedRow:
    tenant_id: uuid.UUID
    id: uuid.UUID
    parked_at: datetime
    error: str


def standing(kind: kinds.Kind) -> Standing:
    """How many rows of a kind are due, leased, pausing before a retry, and parked."""
    due, leased, pausing, parked, longest = call_function("counts", kind)[0]
    return Standing(kind.name, due, leased, pausing, parked, longest or 0.0)


def parked_rows(kind: kinds.Kind) -> list[ParkedRow]:
    """The rows parked longest, a thousand at most."""
    return [ParkedRow(*row) for row in call_function("parked", kind, PARKED_SHOWN)]


def unpark(kind: kinds.Kind, row: ParkedRow) -> bool:
    """Give a parked row its tries back and ring. False when somebody was quicker."""
    with tenant_scope(row.tenant_id):
        changed = kind.model._default_manager.filter(pk=row.id, parked_at__isnull=False).update(
            parked_at=None, tries=0, failures=0, lease_until=None
        )
        bell.ring(kind.name)
    return bool(changed)
