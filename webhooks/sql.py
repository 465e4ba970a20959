"""Which deliveries are handed out next, as SQL for a migration."""

# ruff: noqa: S608 - the numbers are ours

from django.db.migrations import RunSQL

from tenants.row_security import definer_function

ENDPOINT_IN_FLIGHT = 8  # at once, over all senders: one slow receiver holds up no other
FAILING_IN_FLIGHT = 2  # of one that fails just now: it may hang, and would hold places for nothing
TENANT_IN_FLIGHT = 64
TOGETHER = 8  # of one tenant in a row: claimed and written down together, which is far cheaper
FAIR_WITHIN = 10_000  # of the longest due; bounds the cost of mixing them

_BODY = f"""
    WITH flying AS (
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
    ), head AS (
        SELECT due_row.tenant_id, due_row.endpoint_id, due_row.id, due_row.due_at
        FROM public.webhooks_delivery AS due_row
        WHERE due_row.state = 'pending' AND due_row.due_at <= statement_timestamp()
            AND due_row.parked_at IS NULL
            AND (due_row.lease_until IS NULL OR due_row.lease_until <= statement_timestamp())
            AND due_row.endpoint_id NOT IN (
                SELECT full_one.endpoint_id FROM flying AS full_one
                JOIN place ON place.endpoint_id = full_one.endpoint_id
                WHERE full_one.number >= place.number
            )
            AND due_row.tenant_id NOT IN (
                SELECT full_one.tenant_id FROM flying_tenant AS full_one
                WHERE full_one.number >= {TENANT_IN_FLIGHT}
            )
        ORDER BY due_row.due_at LIMIT {FAIR_WITHIN}
    ), by_endpoint AS (
        SELECT head.tenant_id, head.endpoint_id, head.id, head.due_at,
            coalesce(flying.number, 0) + row_number() OVER (
                PARTITION BY head.endpoint_id ORDER BY head.due_at, head.id
            ) AS turn
        FROM head LEFT JOIN flying ON flying.endpoint_id = head.endpoint_id
    ), by_tenant AS (
        SELECT by_endpoint.tenant_id, by_endpoint.id, by_endpoint.due_at,
            coalesce(flying_tenant.number, 0) + row_number() OVER (
                PARTITION BY by_endpoint.tenant_id
                ORDER BY by_endpoint.turn, by_endpoint.due_at, by_endpoint.id
            ) AS turn
        FROM by_endpoint
        JOIN place ON place.endpoint_id = by_endpoint.endpoint_id
        LEFT JOIN flying_tenant ON flying_tenant.tenant_id = by_endpoint.tenant_id
        WHERE by_endpoint.turn <= place.number
    ), share AS (
        SELECT by_tenant.tenant_id, by_tenant.id, by_tenant.due_at,
            (by_tenant.turn - 1)::bigint / {TOGETHER} AS number
        FROM by_tenant WHERE by_tenant.turn <= {TENANT_IN_FLIGHT}
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
