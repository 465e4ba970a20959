"""Keys get an id that may leave us; the look-up tells it, the pepper and the database's time."""

import importlib

from django.db import migrations, models

from tenants import row_security as rows
from tenants.models import key_public_id

_before = importlib.import_module("tenants.migrations.0001_initial")

# A default that is volatile fills every present row, whatever row-level security says: an UPDATE
# by the owner would see no tenant's rows. 21 of these characters are at least
# 120 random bits.
ADD_PUBLIC_ID = """
ALTER TABLE tenants_apikey ADD COLUMN public_id varchar(40) NOT NULL
    DEFAULT 'key_' || left(translate(encode(uuid_send(gen_random_uuid()), 'base64'), '+/', '-_'), 21);
ALTER TABLE tenants_apikey ALTER COLUMN public_id DROP DEFAULT;
ALTER TABLE tenants_apikey ADD CONSTRAINT tenants_apikey_public_id_key UNIQUE (public_id);
"""

KEY_LOOKUP = """
    SELECT key.id, key.public_id, key.digest, key.pepper_id, key.mode, key.scopes, key.agencies,
        key.allowed_ips, key.expires_at, key.revoked_at, key.last_used_at, statement_timestamp(),
        tenant.id, tenant.name, tenant.status, tenant.monthly_minutes, tenant.allowed_ips,
        tenant.browser_origins, tenant.created_at
    FROM public.tenants_apikey AS key
    JOIN public.tenants_tenant AS tenant ON tenant.id = key.tenant_id
    WHERE key.digest = ANY (digests)
"""
KEY_LOOKUP_ROW = """TABLE (
    key_id uuid, key_public_id varchar, digest bytea, pepper_id varchar, mode varchar,
    scopes varchar[], agencies uuid[], allowed_ips varchar[], expires_at timestamptz,
    revoked_at timestamptz, last_used_at timestamptz, checked_at timestamptz, tenant_id uuid,
    tenant_name varchar, tenant_status varchar, tenant_monthly_minutes integer,
    tenant_allowed_ips varchar[], tenant_browser_origins varchar[],
    tenant_created_at timestamptz
)"""

KEYS_BY_PEPPER = """
    SELECT pepper_id, count(*), count(*) FILTER (
        WHERE (revoked_at IS NULL OR revoked_at > statement_timestamp())
        AND (expires_at IS NULL OR expires_at > statement_timestamp())
    )
    FROM public.tenants_apikey
    GROUP BY pepper_id
    ORDER BY pepper_id
"""

_lookup_before = rows.definer_function(
    "key_lookup", "digests bytea[]", _before.KEY_LOOKUP_ROW, _before.KEY_LOOKUP
)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    ADD_PUBLIC_ID, "ALTER TABLE tenants_apikey DROP COLUMN public_id;"
                )
            ],
            state_operations=[
                migrations.AddField(
                    model_name="apikey",
                    name="public_id",
                    field=models.CharField(
                        default=key_public_id, editable=False, max_length=40, unique=True
                    ),
                )
            ],
        ),
        migrations.RunSQL(_lookup_before.reverse_sql, _lookup_before.sql),
        rows.definer_function("key_lookup", "digests bytea[]", KEY_LOOKUP_ROW, KEY_LOOKUP),
        rows.definer_function(
            "keys_by_pepper",
            "",
            "TABLE (pepper_id varchar, made bigint, active bigint)",
            KEYS_BY_PEPPER,
        ),
    ]
