"""Tenants, their people and keys, and the locks that every later table uses."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

from tenants import row_security as rows

TENANT_TABLES = (
    "tenants_agency",
    "tenants_rep",
    "tenants_membership",
    "tenants_apikey",
    "tenants_auditevent",
)

KEY_LOOKUP = """
    SELECT key.id, key.digest, key.mode, key.scopes, key.agencies, key.allowed_ips,
        key.expires_at, key.revoked_at, key.last_used_at,
        tenant.id, tenant.name, tenant.status, tenant.monthly_minutes, tenant.allowed_ips,
        tenant.browser_origins, tenant.created_at
    FROM public.tenants_apikey AS key
    JOIN public.tenants_tenant AS tenant ON tenant.id = key.tenant_id
    WHERE key.digest = ANY (digests)
"""
KEY_LOOKUP_ROW = """TABLE (
    key_id uuid, digest bytea, mode varchar, scopes varchar[], agencies uuid[],
    allowed_ips varchar[], expires_at timestamptz, revoked_at timestamptz,
    last_used_at timestamptz, tenant_id uuid, tenant_name varchar, tenant_status varchar,
    tenant_monthly_minutes integer, tenant_allowed_ips varchar[],
    tenant_browser_origins varchar[], tenant_created_at timestamptz
)"""

MEMBERSHIPS_OF = """
    SELECT member.id, member.tenant_id, tenant.name, tenant.status, member.role, member.agencies
    FROM public.tenants_membership AS member
    JOIN public.tenants_tenant AS tenant ON tenant.id = member.tenant_id
    WHERE member.user_id = person
    ORDER BY tenant.name, member.tenant_id
"""
MEMBERSHIPS_OF_ROW = """TABLE (
    membership_id uuid, tenant_id uuid, tenant_name varchar, tenant_status varchar,
    role varchar, agencies uuid[]
)"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        rows.prepare_roles(),
        rows.create_app_tenant(),
        migrations.CreateModel(
            name="Agency",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("external_id", models.CharField(max_length=200)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="Tenant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("suspended", "Suspended")],
                        default="active",
                        max_length=12,
                    ),
                ),
                ("monthly_minutes", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "allowed_ips",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "browser_origins",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=300),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("is_staff", models.BooleanField(default=False)),
                ("is_active", models.BooleanField(default=True)),
                ("date_joined", models.DateTimeField(auto_now_add=True)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Rep",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("external_id", models.CharField(max_length=200)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("team", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "agency",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="reps",
                        to="tenants.agency",
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
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("manager", "Manager"),
                            ("analyst", "Analyst"),
                            ("developer", "Developer"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "agencies",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), blank=True, default=list, size=None
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
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
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("actor", models.CharField(max_length=120)),
                ("action", models.CharField(max_length=60)),
                ("target", models.CharField(blank=True, max_length=120)),
                ("details", models.JSONField(blank=True, default=dict)),
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
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "mode",
                    models.CharField(
                        choices=[("live", "Live"), ("test", "Test")], default="live", max_length=4
                    ),
                ),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("pepper_id", models.CharField(max_length=40)),
                ("hint", models.CharField(max_length=24)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                (
                    "agencies",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), blank=True, default=list, size=None
                    ),
                ),
                (
                    "allowed_ips",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
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
                "abstract": False,
            },
        ),
        migrations.AddField(
            model_name="agency",
            name="tenant",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("email"), name="user_email_any_case"
            ),
        ),
        migrations.AddConstraint(
            model_name="rep",
            constraint=models.UniqueConstraint(
                fields=("tenant", "external_id"), name="rep_once_per_tenant"
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                fields=("tenant", "user"), name="membership_once_per_tenant"
            ),
        ),
        migrations.AddConstraint(
            model_name="agency",
            constraint=models.UniqueConstraint(
                fields=("tenant", "external_id"), name="agency_once_per_tenant"
            ),
        ),
        rows.enable_row_security("tenants_tenant", column="id"),
        *(step for table in TENANT_TABLES for step in rows.tenant_table(table)),
        rows.tenant_key("tenants_agency"),
        rows.tenant_key("tenants_rep"),
        rows.tenant_key("tenants_apikey"),
        rows.composite_foreign_key("tenants_rep", "agency_id", "tenants_agency"),
        rows.plain_foreign_key("tenants_membership", "user_id", "tenants_user"),
        rows.append_only("tenants_auditevent"),
        rows.definer_may_read("tenants_tenant"),
        rows.definer_may_read("tenants_apikey"),
        rows.definer_may_read("tenants_membership"),
        rows.definer_function("key_lookup", "digests bytea[]", KEY_LOOKUP_ROW, KEY_LOOKUP),
        rows.definer_function("memberships_of", "person uuid", MEMBERSHIPS_OF_ROW, MEMBERSHIPS_OF),
        migrations.RunSQL(rows.CREATE_CATALOGUE, rows.REMOVE_CATALOGUE),
    ]
