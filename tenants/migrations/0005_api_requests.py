"""The log of requests, and the function that writes it for several tenants in one statement."""

import uuid

import django.db.models.deletion
from django.db import migrations, models
from django.db.migrations import RunSQL

from tenants import row_security as rows

# It runs with the caller's rights: each row has to pass the policy of the tenant that it enters.
WRITE = """
CREATE FUNCTION request_log_write(answered jsonb) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    owner uuid;
BEGIN
    FOR owner IN SELECT DISTINCT (each ->> 'tenant_id')::uuid
        FROM jsonb_array_elements(answered) AS each
    LOOP
        PERFORM set_config('app.tenant_id', owner::text, true);
        INSERT INTO public.tenants_apirequest (
            id, tenant_id, key_id, at, method, route, query, status, code, field, subject,
            duration_ms
        )
        SELECT id, tenant_id, key_id, at, method, route, query, status, code, field, subject,
            duration_ms
        FROM jsonb_to_recordset(answered) AS each (
            id uuid, tenant_id uuid, key_id uuid, at timestamptz, method text, route text,
            query text, status smallint, code text, field text, subject text, duration_ms integer
        )
        WHERE tenant_id = owner;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_rep_page")]

    operations = [
        migrations.CreateModel(
            name="ApiRequest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                ("method", models.CharField(max_length=7)),
                ("route", models.CharField(blank=True, max_length=100)),
                ("query", models.CharField(blank=True, max_length=200)),
                ("status", models.PositiveSmallIntegerField()),
                ("code", models.CharField(blank=True, max_length=40)),
                ("field", models.CharField(blank=True, max_length=60)),
                ("subject", models.CharField(blank=True, max_length=300)),
                ("key_id", models.UUIDField(blank=True, null=True)),
                ("duration_ms", models.PositiveIntegerField()),
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
            options={
                "indexes": [
                    models.Index(fields=["tenant", "-at", "-id"], name="request_of_tenant"),
                    models.Index(
                        condition=models.Q(("status__gte", 400)),
                        fields=["tenant", "-at", "-id"],
                        name="request_refused",
                    ),
                ],
            },
        ),
        *rows.tenant_table("tenants_apirequest"),
        RunSQL(WRITE, "DROP FUNCTION request_log_write(jsonb);"),
    ]
