"""Searching calls: by the words of their transcripts, by drill, stage and score."""

import uuid

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows

# Newest first, at most `most`. The index knows the tenant's id as one more word.
SAYING = """
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
# The owner obeys forced policies too, and no tenant is in scope: lifted for this one statement.
COPY = """
DO $$
BEGIN
    ALTER TABLE calls_transcriptline NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_transcriptwords NO FORCE ROW LEVEL SECURITY;
    INSERT INTO calls_transcriptwords (id, tenant_id, call_id, words)
    SELECT gen_random_uuid(), tenant_id, call_id,
        to_tsvector('pg_catalog.english', left(string_agg(text, ' ' ORDER BY number), 500000))
            || array_to_tsvector(ARRAY[tenant_id::text])
    FROM calls_transcriptline GROUP BY tenant_id, call_id;
    SET CONSTRAINTS ALL IMMEDIATE;  -- else the checks of these rows stand in the way of the next
    ALTER TABLE calls_transcriptline FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_transcriptwords FORCE ROW LEVEL SECURITY;
END
$$;
"""
NEWEST = ["-created_at", "-id"]
INDEXES = (
    models.Index(fields=["tenant", "mode", "drill_key", *NEWEST], name="call_newest_made_of_drill"),
    models.Index(
        fields=["tenant", "mode", "stage", *NEWEST],
        name="call_newest_made_unscored",
        condition=models.Q(("stage", "scored"), _negated=True),
    ),
    models.Index(
        fields=["tenant", "mode", "overall"],
        name="call_of_score",
        condition=models.Q(("overall__isnull", False)),
    ),
)


class Migration(migrations.Migration):
    dependencies = [("calls", "0019_practice_days")]

    operations = [
        migrations.CreateModel(
            name="TranscriptWords",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("words", django.contrib.postgres.search.SearchVectorField()),
                (
                    "call",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="words",
                        to="calls.call",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        *rows.tenant_table("calls_transcriptwords"),
        rows.composite_foreign_key("calls_transcriptwords", "call_id", "calls_call"),
        rows.limit_to_agencies("calls_transcriptwords", "app_sees_call(call_id)"),
        rows.definer_may_read("calls_transcriptwords"),
        migrations.RunSQL(COPY, migrations.RunSQL.noop),
        migrations.AddIndex(
            "transcriptwords",
            django.contrib.postgres.indexes.GinIndex(
                fields=["words"], name="transcript_words", fastupdate=False
            ),
        ),
        rows.definer_function(
            "calls_saying",
            "asked text, of_mode text, before timestamptz, most integer",
            "SETOF uuid",
            SAYING,
        ),
        *(migrations.AddIndex("call", index) for index in INDEXES),
    ]
