"""How a tenant's rep page looks, and what reps agree to there."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows

LOGO_TYPES = [("image/png", "Png"), ("image/jpeg", "Jpeg"), ("image/webp", "Webp")]


def id_and_tenant() -> list[tuple[str, models.Field]]:
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
    dependencies = [("tenants", "0003_retention")]

    operations = [
        migrations.CreateModel(
            name="Branding",
            fields=[
                *id_and_tenant(),
                ("color", models.CharField(blank=True, max_length=7)),
                ("logo", models.BinaryField(blank=True, default=b"")),
                ("logo_type", models.CharField(blank=True, choices=LOGO_TYPES, max_length=10)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["tenant"], name="branding_once_per_tenant"),
                    models.CheckConstraint(
                        condition=models.Q(("color", ""))
                        | models.Q(("color__regex", "^#[0-9a-f]{6}$")),
                        name="branding_color",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ConsentText",
            fields=[
                *id_and_tenant(),
                ("version", models.PositiveIntegerField()),
                ("text", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["tenant", "version"], name="consent_version_once"
                    ),
                ],
            },
        ),
        *rows.tenant_table("tenants_branding"),
        *rows.tenant_table("tenants_consenttext"),
        rows.append_only("tenants_consenttext"),
    ]
