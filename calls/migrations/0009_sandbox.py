import uuid

import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows
from work.sql import due_functions

REHEARSALS = [
    ("normal", "Normal"),
    ("fail", "Fail"),
    ("hang", "Hang"),
    ("late", "Late"),
    ("twice", "Twice"),
    ("never", "Never"),
]


class Migration(migrations.Migration):
    """What calls with test keys are made of, and the work that makes them."""

    dependencies = [("calls", "0008_erasure_and_retention")]

    operations = [
        migrations.CreateModel(
            name="SandboxCall",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("failures", models.PositiveSmallIntegerField(default=0)),
                ("parked_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.CharField(blank=True, max_length=60)),
                ("script", models.CharField(blank=True, max_length=20)),
                ("rep_lines", models.JSONField(blank=True, default=list)),
                (
                    "webhook",
                    models.CharField(choices=REHEARSALS, default="normal", max_length=6),
                ),
                ("webhook_delay", models.PositiveSmallIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "call",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sandbox",
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
        migrations.AddIndex(
            "sandboxcall",
            models.Index(
                condition=models.Q(("due_at__isnull", False)),
                fields=["due_at"],
                name="sandbox_call_due",
            ),
        ),
        *rows.tenant_table("calls_sandboxcall"),
        rows.composite_foreign_key("calls_sandboxcall", "call_id", "calls_call"),
        rows.definer_may_read("calls_sandboxcall"),
        *due_functions(
            kind="sandbox", table="calls_sandboxcall", where="due_row.due_at IS NOT NULL"
        ),
    ]
