"""Words of a call stand beside labels of what it is, so that an index alone narrows a search.

Before, the index gave all calls of the tenant that say a word, whichever month, drill, rep or agency
was asked for; and calls looked at one by one were, each by itself, asked for through row security.
"""

# ruff: noqa: S608 - statements are parted here, nothing comes from outside

from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models

from tenants import row_security as rows

# No word looks like one: PostgreSQL's parser parts a text at colons.
LABELS = """
CREATE FUNCTION calls_labels(of_mode text, made_at timestamptz, drill text, rep uuid, agency uuid)
    RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_remove(ARRAY[
        'mode:' || of_mode, 'month:' || to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM'),
        'drill:' || drill, 'rep:' || rep, 'agency:' || agency
    ], NULL)
$$;
"""
# The owner obeys forced policies too, and no tenant is in scope: lifted for this one statement.
LABEL = """
DO $$
BEGIN
    ALTER TABLE calls_call NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_transcriptwords NO FORCE ROW LEVEL SECURITY;
    UPDATE calls_transcriptwords AS said SET
        created_at = call.created_at,
        words = said.words || array_to_tsvector(calls_labels(
            call.mode, call.created_at, call.drill_key, call.rep_id, call.agency_id
        ))
    FROM calls_call AS call WHERE call.id = said.call_id;
    SET CONSTRAINTS ALL IMMEDIATE;  -- else the checks of these rows stand in the way of the next
    ALTER TABLE calls_call FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_transcriptwords FORCE ROW LEVEL SECURITY;
END
$$;
"""
# The tenant, and the agencies that the scope is limited to, are labels that every search has. A
# text of stop words alone asks for nothing, and finds nothing.
_ASKED = """
    SELECT CASE WHEN numnode(one) > 0 THEN one && quote_literal(public.app_tenant()::text)::tsquery
        && coalesce((
            SELECT string_agg(quote_literal('agency:' || agency), ' | ')
            FROM unnest(public.app_agencies()) AS agency
        ), '')::tsquery END
    FROM websearch_to_tsquery('pg_catalog.english', asked) AS one
"""
# Newest first, at most `most`; `narrowed` is a query of labels, empty for none.
SAYING = f"""
    SELECT said.call_id
    FROM public.calls_transcriptwords AS said
    WHERE said.tenant_id = (SELECT public.app_tenant())
        AND said.words @@ (SELECT ({_ASKED}) && narrowed::tsquery)
        AND said.created_at >= since AND said.created_at <= before
    ORDER BY said.created_at DESC, said.call_id DESC
    LIMIT most
"""
# Of calls that are known already, each looked at by itself.
SAID = f"""
    SELECT said.call_id
    FROM public.calls_transcriptwords AS said
    WHERE said.call_id = ANY (ids) AND said.tenant_id = (SELECT public.app_tenant())
        AND said.words @@ ({_ASKED})
"""
BEFORE = """
    SELECT call.id
    FROM public.calls_transcriptwords AS said
    JOIN public.calls_call AS call ON call.id = said.call_id
    WHERE said.tenant_id = public.app_tenant() AND call.tenant_id = public.app_tenant()
        AND (public.app_agencies() IS NULL OR call.agency_id = ANY (public.app_agencies()))
        AND said.words @@ (websearch_to_tsquery('pg_catalog.english', asked)
            && quote_literal(public.app_tenant()::text)::tsquery)
        AND call.mode = of_mode
        AND call.created_at <= before
    ORDER BY call.created_at DESC, call.id DESC
    LIMIT most
"""


def _saying_before() -> migrations.RunSQL:
    """The function as 0020 made it goes; reversed, it comes back."""
    made = rows.definer_function(
        "calls_saying",
        "asked text, of_mode text, before timestamptz, most integer",
        "SETOF uuid",
        BEFORE,
    )
    return migrations.RunSQL(made.reverse_sql, made.sql)


class Migration(migrations.Migration):
    dependencies = [("calls", "0025_count_what_was_practised")]

    operations = [
        _saying_before(),
        migrations.RunSQL(
            LABELS, "DROP FUNCTION calls_labels(text, timestamptz, text, uuid, uuid);"
        ),
        migrations.RemoveIndex("transcriptwords", "transcript_words"),  # made faster anew
        migrations.AddField("transcriptwords", "created_at", models.DateTimeField(null=True)),
        migrations.RunSQL(LABEL, migrations.RunSQL.noop),
        migrations.AlterField("transcriptwords", "created_at", models.DateTimeField()),
        migrations.AddIndex(
            "transcriptwords",
            GinIndex(fields=["words"], name="transcript_words", fastupdate=False),
        ),
        rows.definer_function(
            "calls_saying",
            "asked text, narrowed text, since timestamptz, before timestamptz, most integer",
            "SETOF uuid",
            SAYING,
        ),
        rows.definer_function("calls_said", "asked text, ids uuid[]", "SETOF uuid", SAID),
    ]
