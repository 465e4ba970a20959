"""Room for a call on a live worker."""

import uuid
from datetime import timedelta

from django.db import connection

WORKER_SILENT = timedelta(seconds=6)  # a worker beats every two; past this it takes no new call
JOIN_WITHIN = timedelta(seconds=60)  # how long a slot waits for its browser

_RESERVE = """
UPDATE calls_liveslot SET call_id = %(call)s, tenant_id = %(tenant)s,
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
WHERE id = (
    SELECT slot.id FROM calls_liveslot AS slot
    JOIN calls_liveworker AS worker ON worker.id = slot.worker_id
    WHERE NOT worker.draining
        AND worker.heartbeat_at > statement_timestamp() - make_interval(secs => %(silent)s)
        AND (slot.call_id IS NULL OR slot.lease_until < statement_timestamp())
    ORDER BY slot.number, slot.id
    LIMIT 1 FOR UPDATE OF slot SKIP LOCKED
)
"""


def slot_reserve(*, call_id: uuid.UUID, tenant_id: uuid.UUID) -> bool:
    """Take a free slot for the call, inside the caller's transaction; False when there is none.

    Low numbers first, so that calls spread over the workers. A slot whose lease ran out counts as
    free: its worker died or its browser never came.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _RESERVE,
            {
                "call": call_id,
                "tenant": tenant_id,
                "lease": JOIN_WITHIN.total_seconds(),
                "silent": WORKER_SILENT.total_seconds(),
            },
        )
        return bool(cursor.rowcount)
