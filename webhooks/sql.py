"""Which deliveries are handed out next, as SQL for a migration."""

# ruff: noqa: S608 - the numbers are ours

from django.db.migrations import RunSQL

from tenants.row_security import definer_function

ENDPOINT_IN_FLIGHT = 8  # at once, over all senders: one slow receiver holds up no other
FAILING_IN_FLIGHT = 2  # of one that fails just now: it may hang, and would hold places for nothing
TENANT_IN_FLIGHT = 64
TOGETHER = 8  # of one tenant in a row: claimed and written down together, which is far cheaper

_BODY = f"""
    WITH RECURSIVE flying AS (
        SELECT flight.tenant_id, flight.endpoint_id, count(*) AS number
        FROM public.webhooks_delivery AS flight
        WHERE flight.state = 'pending' AND flight.lease_token IS NOT NULL
            AND flight.lease_until > statement_timestamp()
        GROUP BY flight.tenant_id, flight.endpoint_id
    ), place AS (
        SELECT endpoint.id AS endpoint_id, CASE WHEN endpoint.failing_since IS NULL
            THEN {ENDPOINT_IN_FLIGHT} ELSE {FAILING_IN_FLIGHT} END AS number
        FROM public.webhooks_endpoint AS endpoint
    ), flying_tenant AS (
        SELECT flying.tenant_id, sum(flying.number) AS number FROM flying GROUP BY flying.tenant_id
    ), waiting AS (  -- each endpoint with a row that waits: from one to the next in the index
        (
            SELECT due_row.endpoint_id FROM public.webhooks_delivery AS due_row
            WHERE due_row.state = 'pending' ORDER BY due_row.endpoint_id LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT due_row.endpoint_id FROM public.webhooks_delivery AS due_row
            WHERE due_row.state = 'pending' AND due_row.endpoint_id > waiting.endpoint_id
            ORDER BY due_row.endpoint_id LIMIT 1
        )
        FROM waiting WHERE waiting.endpoint_id IS NOT NULL
    ), head AS (
        SELECT due.tenant_id, place.endpoint_id, due.id, due.due_at
        FROM waiting
        JOIN place ON place.endpoint_id = waiting.endpoint_id
        LEFT JOIN flying ON flying.endpoint_id = place.endpoint_id
        CROSS JOIN LATERAL (
            SELECT due_row.tenant_id, due_row.id, due_row.due_at
            FROM public.webhooks_delivery AS due_row
            WHERE due_row.endpoint_id = place.endpoint_id
                AND due_row.state = 'pending' AND due_row.due_at <= statement_timestamp()
                AND due_row.parked_at IS NULL
                AND (due_row.lease_until IS NULL OR due_row.lease_until <= statement_timestamp())
            ORDER BY due_row.due_at, due_row.id
            LIMIT greatest(0, place.number - coalesce(flying.number, 0))
        ) AS due
    ), by_endpoint AS (
        SELECT head.tenant_id, head.endpoint_id, head.id, head.due_at,
            coalesce(flying.number, 0) + row_number() OVER (
                PARTITION BY head.endpoint_id ORDER BY head.due_at, head.id
            ) AS turn
        FROM head LEFT JOIN flying ON flying.endpoint_id = head.endpoint_id
    ), by_tenant AS (
        SELECT by_endpoint.tenant_id, by_endpoint.id, by_endpoint.due_at,
            coalesce(flying_tenant.number, 0) AS flying,
            row_number() OVER (
                PARTITION BY by_endpoint.tenant_id
                ORDER BY by_endpoint.turn, by_endpoint.due_at, by_endpoint.id
            ) AS turn
        FROM by_endpoint
        LEFT JOIN flying_tenant ON flying_tenant.tenant_id = by_endpoint.tenant_id
    ), share AS (
        SELECT by_tenant.tenant_id, by_tenant.id, by_tenant.due_at,
            by_tenant.flying::bigint / {TOGETHER} + (by_tenant.turn - 1) / {TOGETHER} AS number
        FROM by_tenant WHERE by_tenant.flying + by_tenant.turn <= {TENANT_IN_FLIGHT}
    )
    SELECT share.tenant_id, share.id FROM share
    ORDER BY share.number,
        min(share.due_at) OVER (PARTITION BY share.tenant_id, share.number),
        share.tenant_id, share.due_at
    LIMIT n
"""


def due_deliver() -> RunSQL:
    """`due_deliver(n)`: in turns among tenants and among each one's endpoints, within the caps."""
    return definer_function("due_deliver", "n integer", "TABLE (tenant_id uuid, id uuid)", _BODY)
