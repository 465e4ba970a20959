"""Erasures with their receipts, and the rounds that delete what a tenant's time is over for."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import calls.models
from tenants import row_security as rows
from work.sql import due_functions

# A trigger, so that no way to make a tenant can forget it: one without a round would keep its
# content for ever.
ROUND_WITH_EACH_TENANT = """
CREATE FUNCTION retention_round_make() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$ BEGIN
        INSERT INTO public.calls_retentionround (id, tenant_id, due_at, tries, failures, last_error)
            VALUES (NEW.id, NEW.id, statement_timestamp(), 0, 0, '');
        RETURN NULL;
    END $$;
CREATE TRIGGER retention_round_make AFTER INSERT ON tenants_tenant
    FOR EACH ROW EXECUTE FUNCTION retention_round_make();
"""
NO_ROUND_WITH_EACH_TENANT = """
DROP TRIGGER retention_round_make ON tenants_tenant;
DROP FUNCTION retention_round_make();
"""
# Before the new table has row-level security; of tenants the owner sees all only without FORCE.
ROUNDS_OF_PRESENT_TENANTS = """
ALTER TABLE tenants_tenant NO FORCE ROW LEVEL SECURITY;
INSERT INTO calls_retentionround (id, tenant_id, due_at, tries, failures, last_error)
    SELECT id, id, statement_timestamp(), 0, 0, '' FROM tenants_tenant;
ALTER TABLE tenants_tenant FORCE ROW LEVEL SECURITY;
"""

TABLES = ("calls_erasure", "calls_erasedcall", "calls_retentionround")
LIVE_OR_TEST = [("live", "Live"), ("test", "Test")]
DUE_COLUMNS = (
    ("due_at", models.DateTimeField(blank=True, null=True)),
    ("lease_token", models.UUIDField(blank=True, null=True)),
    ("lease_until", models.DateTimeField(blank=True, null=True)),
    ("tries", models.PositiveSmallIntegerField(default=0)),
    ("failures", models.PositiveSmallIntegerField(default=0)),
    ("parked_at", models.DateTimeField(blank=True, null=True)),
    ("last_error", models.CharField(blank=True, max_length=60)),
)
UNTIL_EXPIRED = (("audio_expired_at", "call_with_audio"),
                 ("transcript_expired_at", "call_with_transcript"))  # fmt: skip


def row_id() -> tuple[str, models.UUIDField]:
    key = models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)
    return ("id", key)


def tenant() -> tuple[str, models.ForeignKey]:
    return (
        "tenant",
        models.ForeignKey(
            db_constraint=False,
            on_delete=django.db.models.deletion.PROTECT,
            related_name="+",
            to="tenants.tenant",
        ),
    )


class Migration(migrations.Migration):
    dependencies = [("calls", "0007_keyset_lists"), ("tenants", "0003_retention")]

    operations = [
        *(
            migrations.AddField("call", name, models.DateTimeField(blank=True, null=True))
            for name, _ in UNTIL_EXPIRED
        ),
        *(
            migrations.AddIndex(
                "call",
                models.Index(
                    condition=models.Q(**{name: None, "ended_at__isnull": False}),
                    fields=["tenant", "ended_at"],
                    name=index,
                ),
            )
            for name, index in UNTIL_EXPIRED
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                row_id(),
                *DUE_COLUMNS,
                (
                    "public_id",
                    models.CharField(
                        default=calls.models.erasure_public_id,
                        editable=False,
                        max_length=40,
                        unique=True,
                    ),
                ),
                (
                    "subject",
                    models.CharField(choices=[("call", "Call"), ("rep", "Rep")], max_length=4),
                ),
                ("subject_digest", models.CharField(max_length=64)),
                ("sealed_subject", models.TextField(blank=True)),
                ("mode", models.CharField(choices=LIVE_OR_TEST, max_length=4)),
                (
                    "agencies",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), blank=True, default=list, size=None
                    ),
                ),
                ("actor", models.CharField(max_length=120)),
                ("requested_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("counts", models.JSONField(blank=True, default=dict)),
                ("signature", models.CharField(blank=True, max_length=64)),
                tenant(),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=["due_at"],
                        name="erasure_due",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=("tenant", "subject_digest"),
                        name="erasure_once_at_a_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("due_at__isnull", False),
                                ("finished_at__isnull", True),
                                ("signature", ""),
                            ),
                            models.Q(
                                ("due_at__isnull", True),
                                ("finished_at__isnull", False),
                                ("sealed_subject", ""),
                                models.Q(("signature", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="erasure_due_or_signed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ErasedCall",
            fields=[
                row_id(),
                ("call_id", models.UUIDField(unique=True)),
                ("mode", models.CharField(choices=LIVE_OR_TEST, max_length=4)),
                (
                    "agency",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.agency",
                    ),
                ),
                ("scored", models.BooleanField(default=False)),
                ("month", models.DateField(blank=True, null=True)),
                ("seconds", models.FloatField(default=0.0)),
                ("files", models.JSONField(blank=True, default=list)),
                ("settles_at", models.DateTimeField()),
                ("files_gone_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "erasure",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="erased_calls",
                        to="calls.erasure",
                    ),
                ),
                tenant(),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant", "month"], name="erased_call_month"),
                    models.Index(fields=["tenant", "created_at"], name="erased_call_newest"),
                ],
            },
        ),
        migrations.CreateModel(
            name="RetentionRound",
            fields=[row_id(), *DUE_COLUMNS, tenant()],
            options={
                "indexes": [models.Index(fields=["due_at"], name="retention_round_due")],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant",), name="retention_round_once")
                ],
            },
        ),
        migrations.RunSQL(ROUNDS_OF_PRESENT_TENANTS, migrations.RunSQL.noop),
        *(step for table in TABLES for step in rows.tenant_table(table)),
        rows.tenant_key("calls_erasure"),
        rows.composite_foreign_key("calls_erasedcall", "erasure_id", "calls_erasure"),
        rows.composite_foreign_key("calls_erasedcall", "agency_id", "tenants_agency"),
        migrations.RunSQL(ROUND_WITH_EACH_TENANT, NO_ROUND_WITH_EACH_TENANT),
        rows.limit_to_agencies("calls_erasure", "agencies <> '{}' AND agencies <@ app_agencies()"),
        rows.visible_function(
            "app_sees_erasure",
            "row_id uuid",
            "EXISTS (SELECT FROM public.calls_erasure AS seen WHERE seen.id = row_id)",
        ),
        rows.limit_to_agencies("calls_erasedcall", "app_sees_erasure(erasure_id)"),
        rows.limit_to_agencies("calls_retentionround", "false"),
        rows.definer_may_read("calls_erasure"),
        rows.definer_may_read("calls_retentionround"),
        *due_functions(kind="erase", table="calls_erasure", where="due_row.finished_at IS NULL"),
        *due_functions(kind="retain", table="calls_retentionround", where="true"),
    ]
