"""Invitations, single sign-on, the second factor, and how the audit log is read."""

# ruff: noqa: S608 - names come from this package, never from outside

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import tenants.models
from tenants import row_security as rows

ROLES = [
    ("owner", "Owner"),
    ("manager", "Manager"),
    ("analyst", "Analyst"),
    ("developer", "Developer"),
]

# A second factor is one that is asked for: recovery codes alone are none.
MEMBERSHIPS_OF = """
    SELECT member.id, member.tenant_id, tenant.name, tenant.status, member.role, member.agencies,
        tenant.mfa_required, provider.public_id, coalesce(provider.required, false),
        EXISTS (
            SELECT FROM public.mfa_authenticator AS factor
            WHERE factor.user_id = person AND factor.type IN ('totp', 'webauthn')
        )
    FROM public.tenants_membership AS member
    JOIN public.tenants_tenant AS tenant ON tenant.id = member.tenant_id
    LEFT JOIN public.tenants_singlesignon AS provider ON provider.tenant_id = member.tenant_id
    WHERE member.user_id = person
    ORDER BY tenant.name, member.tenant_id
"""
MEMBERSHIPS_OF_ROW = """TABLE (
    membership_id uuid, tenant_id uuid, tenant_name varchar, tenant_status varchar,
    role varchar, agencies uuid[], mfa_required boolean, single_sign_on varchar,
    single_sign_on_required boolean, has_second_factor boolean
)"""
BEFORE = """
    SELECT member.id, member.tenant_id, tenant.name, tenant.status, member.role, member.agencies
    FROM public.tenants_membership AS member
    JOIN public.tenants_tenant AS tenant ON tenant.id = member.tenant_id
    WHERE member.user_id = person
    ORDER BY tenant.name, member.tenant_id
"""
BEFORE_ROW = """TABLE (
    membership_id uuid, tenant_id uuid, tenant_name varchar, tenant_status varchar,
    role varchar, agencies uuid[]
)"""
INVITATION_FIND = """
    SELECT tenant_id, public_id FROM public.tenants_invitation WHERE digest = ANY (digests)
"""
SINGLE_SIGN_ON_FIND = """
    SELECT provider.tenant_id, tenant.name
    FROM public.tenants_singlesignon AS provider
    JOIN public.tenants_tenant AS tenant ON tenant.id = provider.tenant_id
    WHERE provider.public_id = named AND tenant.status = 'active'
"""
TENANTS_LISTED = f"""
    SELECT id, name, status, monthly_minutes, created_at FROM public.tenants_tenant
    WHERE id <> '{rows.CATALOGUE}' AND position(lower(part) IN lower(name)) > 0
    ORDER BY lower(name), id LIMIT least(most, 200)
"""
TENANTS_LISTED_ROW = """TABLE (
    id uuid, name varchar, status varchar, monthly_minutes integer, created_at timestamptz
)"""


def tenant_row() -> list[tuple[str, models.Field]]:
    return [
        (
            "id",
            models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
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
    ]


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0007_idempotent_answers"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="mfa_required",
            field=models.BooleanField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["tenant", "-at", "-id"], name="audit_by_time"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["tenant", "action", "-at", "-id"], name="audit_by_action"),
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["tenant", "actor", "-at", "-id"], name="audit_by_actor"),
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                *tenant_row(),
                (
                    "public_id",
                    models.CharField(
                        default=tenants.models.invitation_public_id,
                        editable=False,
                        max_length=40,
                        unique=True,
                    ),
                ),
                ("email", models.EmailField(max_length=254)),
                ("role", models.CharField(choices=ROLES, max_length=12)),
                (
                    "agencies",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), blank=True, default=list, size=None
                    ),
                ),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("invited_by", models.CharField(max_length=120)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("accepted_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("accepted_at", None), ("revoked_at", None)),
                        fields=["tenant", "email"],
                        name="invitation_open_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SingleSignOn",
            fields=[
                *tenant_row(),
                (
                    "public_id",
                    models.CharField(
                        default=tenants.models.single_sign_on_public_id,
                        editable=False,
                        max_length=40,
                        unique=True,
                    ),
                ),
                (
                    "kind",
                    models.CharField(choices=[("oidc", "Oidc"), ("saml", "Saml")], max_length=4),
                ),
                ("issuer", models.CharField(max_length=2048)),
                ("client_id", models.CharField(blank=True, max_length=255)),
                ("sealed_secret", models.TextField(blank=True)),
                ("address", models.CharField(blank=True, max_length=2048)),
                ("certificate", models.TextField(blank=True)),
                ("required", models.BooleanField(default=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["tenant"], name="single_sign_on_once")
                ],
            },
        ),
        *rows.tenant_table("tenants_invitation"),
        *rows.tenant_table("tenants_singlesignon"),
        rows.definer_may_read("tenants_invitation"),
        rows.definer_may_read("tenants_singlesignon"),
        migrations.RunSQL(
            f"GRANT SELECT ON mfa_authenticator TO {rows.DEFINER_ROLE};",
            f"REVOKE SELECT ON mfa_authenticator FROM {rows.DEFINER_ROLE};",
        ),
        # the same function with more columns: dropped, and made again
        migrations.RunSQL("DROP FUNCTION memberships_of(uuid);", migrations.RunSQL.noop),
        migrations.RunSQL(
            migrations.RunSQL.noop,
            rows.definer_function("memberships_of", "person uuid", BEFORE_ROW, BEFORE).sql,
        ),
        rows.definer_function("memberships_of", "person uuid", MEMBERSHIPS_OF_ROW, MEMBERSHIPS_OF),
        rows.definer_function(
            "invitation_find",
            "digests varchar[]",
            "TABLE (tenant_id uuid, public_id varchar)",
            INVITATION_FIND,
        ),
        rows.definer_function(
            "single_sign_on_find",
            "named varchar",
            "TABLE (tenant_id uuid, tenant_name varchar)",
            SINGLE_SIGN_ON_FIND,
        ),
        rows.definer_function(
            "tenants_listed", "part varchar, most integer", TENANTS_LISTED_ROW, TENANTS_LISTED
        ),
    ]
