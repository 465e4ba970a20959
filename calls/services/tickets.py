"""The connection ticket: which call a browser may join. Opaque, sealed, of no use elsewhere."""

import json
import uuid
from dataclasses import dataclass

from django.core.signing import BadSignature

from tenants.sealing import SealBroken, seal, unseal

PURPOSE = "athos.call.ticket"
MAX_AGE = 24 * 3600  # seconds; a call is at most two hours, but its page may reconnect late


class TicketRefused(BadSignature):
    """Not a ticket of ours, or too old."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The call that the ticket's holder may join."""

    call_id: uuid.UUID
    tenant_id: uuid.UUID
    public_id: str


def ticket_sign(*, call_id: uuid.UUID, tenant_id: uuid.UUID, public_id: str) -> str:
    """A ticket for this call. Sealed, not only signed: internal ids never leave."""
    return seal(json.dumps([str(call_id), str(tenant_id), public_id]).encode(), purpose=PURPOSE)


def ticket_read(ticket: str) -> Ticket:
    """What the ticket says. Raises TicketRefused for anything that we did not make."""
    try:
        value = unseal(ticket, purpose=PURPOSE, max_age=MAX_AGE)
    except SealBroken as broken:
        raise TicketRefused from broken
    call_id, tenant_id, public_id = json.loads(value)
    return Ticket(uuid.UUID(call_id), uuid.UUID(tenant_id), public_id)
