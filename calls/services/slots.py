"""Room for a call on a live worker, and the way to another one when its own is gone."""

import uuid
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from calls.models import Call, LiveSlot
from tenants.isolation import tenant_scope

WORKER_SILENT = timedelta(seconds=6)  # a worker beats every two; past this it is taken for dead
JOIN_WITHIN = timedelta(seconds=60)  # how long a slot waits for its browser
TAKE_WITHIN = timedelta(seconds=15)  # how long a slot waits where the browser is there already

# Low numbers first, so that calls spread over the workers. A worker may have lowered what it takes
# below its rows; two that reserve at the same moment may pass that by one, but never the rows.
_RESERVE = """
UPDATE calls_liveslot SET call_id = %(call)s, tenant_id = %(tenant)s,
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
WHERE id = (
    SELECT slot.id FROM calls_liveslot AS slot
    JOIN calls_liveworker AS worker ON worker.id = slot.worker_id
    WHERE NOT worker.draining
        AND worker.heartbeat_at > statement_timestamp() - make_interval(secs => %(silent)s)
        AND (slot.call_id IS NULL OR slot.lease_until < statement_timestamp())
        AND worker.slots > (
            SELECT count(*) FROM calls_liveslot AS taken
            WHERE taken.worker_id = worker.id AND taken.lease_until >= statement_timestamp()
        )
    ORDER BY slot.number, slot.id
    LIMIT 1 FOR UPDATE OF slot SKIP LOCKED
)
"""


class _NoRoom(Exception):
    """Undoes what was tried."""


def slot_reserve(
    *, call_id: uuid.UUID, tenant_id: uuid.UUID, lease: timedelta = JOIN_WITHIN
) -> bool:
    """Take a free slot for the call, inside the caller's transaction; False when there is none.

    A slot whose lease ran out counts as free: its worker died or its browser never came.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _RESERVE,
            {
                "call": call_id,
                "tenant": tenant_id,
                "lease": lease.total_seconds(),
                "silent": WORKER_SILENT.total_seconds(),
            },
        )
        return bool(cursor.rowcount)


def slot_free(*, call_id: uuid.UUID) -> None:
    """Give the call's slot back."""
    LiveSlot.objects.filter(call_id=call_id).update(call_id=None, tenant_id=None, lease_until=None)


def slot_holder(call_id: uuid.UUID) -> uuid.UUID | None:
    """The worker that holds the call and has shown itself lately."""
    held = LiveSlot.objects.filter(
        call_id=call_id,
        lease_until__gt=Now(),
        worker__heartbeat_at__gt=Now() - WORKER_SILENT,
    )
    return held.values_list("worker_id", flat=True).first()


def slot_ensure(*, tenant_id: uuid.UUID, call_id: uuid.UUID) -> uuid.UUID | None:
    """The worker that is to carry this open call: its own, or another one if that is gone.

    None when no worker has room, or the call is over. The call's row is locked meanwhile, so that
    two browsers that come at once find the same worker. The former worker writes nothing any more
    once the new one took the call: see `calls.services.live`.
    """
    with tenant_scope(tenant_id):
        open_stages = [Call.Stage.CREATED, Call.Stage.LIVE]
        rows = Call.objects.filter(pk=call_id, tenant_id=tenant_id, stage__in=open_stages)
        if not rows.select_for_update().values_list("pk").first():
            return None
        held = slot_holder(call_id)
        return held if held is not None else _move(tenant_id, call_id)


def _move(tenant_id: uuid.UUID, call_id: uuid.UUID) -> uuid.UUID | None:
    try:
        with transaction.atomic():
            slot_free(call_id=call_id)
            if not slot_reserve(call_id=call_id, tenant_id=tenant_id, lease=TAKE_WITHIN):
                raise _NoRoom
    except _NoRoom:
        return None
    return slot_holder(call_id)
