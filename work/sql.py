"""The SQL functions of one kind of work, as migration operations.

    operations = [
        definer_may_read("calls_call"),
        *due_functions(kind="transcribe", table="calls_call", where="stage = 'ended'"),
    ]

What "due" means for a kind is written once, here, and used by all of its functions. Changing it is
a new migration: `due_functions(...)` of the old meaning reversed, then of the new.
"""

from django.db.migrations import RunSQL

from tenants.row_security import APP_ROLE, definer_function

FAIR_WITHIN = 10_000  # of the longest due rows; bounds the cost of mixing them (about 10 ms)


def due_functions(
    *,
    kind: str,
    table: str,
    where: str,
    timed: bool = True,
    order_by: str = "due_at",
    fair_by: str = "tenant_id",
) -> list[RunSQL]:
    """Make due_, claim_, is_due_, parked_ and counts_<kind>. The table must be `definer_may_read`.

    `where` is SQL over the columns of the row, which is called `due_row`; other tables are named
    with their schema and must be readable by the definer role. With `timed=False` the row's
    `due_at` plays no part: `where` alone decides. Rows are handed out by `order_by`, in turns among
    the values of `fair_by`, so that one tenant's thousand rows do not hold up another's first.
    """
    when = f"({where}) AND due_row.due_at <= statement_timestamp()" if timed else f"({where})"
    return [
        _due(kind, table, when, order_by, fair_by),
        _claim(kind, table, when),
        _is_due(kind, table, when),
        _parked(kind, table, when),
        _counts(kind, table, when, order_by),
    ]


_FREE = """due_row.parked_at IS NULL
    AND (due_row.lease_until IS NULL OR due_row.lease_until <= statement_timestamp())"""


def _due(kind: str, table: str, when: str, order_by: str, fair_by: str) -> RunSQL:
    body = f"""
    SELECT mixed.tenant_id, mixed.id
    FROM (
        SELECT head.tenant_id, head.id, head.since,
            row_number() OVER (PARTITION BY head.share ORDER BY head.since) AS turn
        FROM (
            SELECT due_row.tenant_id, due_row.id,
                due_row.{order_by} AS since, due_row.{fair_by} AS share
            FROM public.{table} AS due_row WHERE {when} AND {_FREE}
            ORDER BY due_row.{order_by} LIMIT {FAIR_WITHIN}
        ) AS head
    ) AS mixed
    ORDER BY mixed.turn, mixed.since LIMIT n
    """
    return definer_function(f"due_{kind}", "n integer", "TABLE (tenant_id uuid, id uuid)", body)


def _claim(kind: str, table: str, when: str) -> RunSQL:
    """Runs with the caller's rights, inside tenant_scope. A locked row is ending just now: skip."""
    body = f"""
    UPDATE public.{table} AS claimed
    SET lease_token = token, lease_until = statement_timestamp() + lease,
        tries = least(claimed.tries + 1, 1000)
    WHERE claimed.id = (
        SELECT due_row.id FROM public.{table} AS due_row
        WHERE due_row.id = row_id AND {when} AND {_FREE} FOR UPDATE SKIP LOCKED
    )
    RETURNING claimed.tries::integer, claimed.failures::integer
    """
    arguments = "row_id uuid, token uuid, lease interval"
    returns = "TABLE (tries integer, failures integer)"
    return _caller_function(f"claim_{kind}", arguments, returns, "VOLATILE", body)


def _is_due(kind: str, table: str, when: str) -> RunSQL:
    """Runs with the caller's rights. Whether the row asks for this work, leased or not."""
    body = f"""
    SELECT EXISTS (
        SELECT FROM public.{table} AS due_row
        WHERE due_row.id = row_id AND {when} AND due_row.parked_at IS NULL
    )
    """
    return _caller_function(f"is_due_{kind}", "row_id uuid", "boolean", "STABLE", body)


def _parked(kind: str, table: str, when: str) -> RunSQL:
    body = f"""
    SELECT due_row.tenant_id, due_row.id, due_row.parked_at, due_row.last_error::text
    FROM public.{table} AS due_row WHERE {when} AND due_row.parked_at IS NOT NULL
    ORDER BY due_row.parked_at LIMIT n
    """
    returns = "TABLE (tenant_id uuid, id uuid, parked_at timestamptz, last_error text)"
    return definer_function(f"parked_{kind}", "n integer", returns, body)


def _counts(kind: str, table: str, when: str, order_by: str) -> RunSQL:
    body = f"""
    SELECT count(*) FILTER (WHERE {_FREE}),
        count(*) FILTER (WHERE NOT ({_FREE}) AND due_row.parked_at IS NULL
            AND due_row.lease_token IS NOT NULL),
        count(*) FILTER (WHERE NOT ({_FREE}) AND due_row.parked_at IS NULL
            AND due_row.lease_token IS NULL),
        count(*) FILTER (WHERE due_row.parked_at IS NOT NULL),
        extract(epoch FROM statement_timestamp()
            - min(due_row.{order_by}) FILTER (WHERE {_FREE}))::double precision
    FROM public.{table} AS due_row WHERE {when}
    """
    returns = (
        "TABLE (due bigint, leased bigint, pausing bigint, parked bigint, longest double precision)"
    )
    return definer_function(f"counts_{kind}", "", returns, body)


def _caller_function(name: str, arguments: str, returns: str, volatility: str, body: str) -> RunSQL:
    return RunSQL(
        f"""
        CREATE FUNCTION {name}({arguments}) RETURNS {returns}
            LANGUAGE sql {volatility} SECURITY INVOKER SET search_path = pg_catalog, pg_temp
            AS $body$ {body} $body$;
        REVOKE ALL ON FUNCTION {name}({arguments}) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION {name}({arguments}) TO {APP_ROLE};
        """,
        f"DROP FUNCTION {name}({arguments});",
    )
