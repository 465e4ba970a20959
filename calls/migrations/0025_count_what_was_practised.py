"""Calls that were scored before there were sums: their days are due, their reps stand."""

from django.db import migrations

# The owner obeys forced policies too, and no tenant is in scope: lifted for this one statement.
FILL = """
DO $$
BEGIN
    ALTER TABLE calls_call NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_practiceday NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_repstanding NO FORCE ROW LEVEL SECURITY;
    INSERT INTO calls_practiceday (
        id, tenant_id, mode, day, agency_id, drill_key, calls, seconds, scored, score_sum,
        due_at, tries, failures, last_error
    )
    SELECT gen_random_uuid(), tenant_id, mode, (ended_at AT TIME ZONE 'UTC')::date, agency_id,
        drill_key, 0, 0, 0, 0, statement_timestamp(), 0, 0, ''
    FROM calls_call
    WHERE started_at IS NOT NULL AND ended_at IS NOT NULL
    GROUP BY tenant_id, mode, (ended_at AT TIME ZONE 'UTC')::date, agency_id, drill_key
    ON CONFLICT DO NOTHING;
    INSERT INTO calls_repstanding (
        id, tenant_id, mode, rep_id, agency_id, last_at, scores, lately, before
    )
    SELECT gen_random_uuid(), tenant_id, mode, rep_id, agency_id, max(ended_at),
        array_agg(overall ORDER BY place),
        CASE WHEN count(*) >= 3 THEN avg(overall) FILTER (WHERE place <= 3) END,
        CASE WHEN count(*) >= 6 THEN avg(overall) FILTER (WHERE place > 3) END
    FROM (
        SELECT tenant_id, mode, rep_id, agency_id, ended_at, overall, row_number() OVER (
            PARTITION BY tenant_id, mode, rep_id, agency_id ORDER BY ended_at DESC, id DESC
        ) AS place
        FROM calls_call
        WHERE stage = 'scored' AND overall IS NOT NULL
    ) AS ranked
    WHERE place <= 8
    GROUP BY tenant_id, mode, rep_id, agency_id
    ON CONFLICT DO NOTHING;
    SET CONSTRAINTS ALL IMMEDIATE;  -- else the checks of these rows stand in the way of the next
    ALTER TABLE calls_call FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_practiceday FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_repstanding FORCE ROW LEVEL SECURITY;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("calls", "0024_sandbox_happened_at")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
