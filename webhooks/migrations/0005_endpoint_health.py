"""How an endpoint does, mails about it, and indexes for the pages of what was sent."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows
from work.sql import due_functions

NOTICE = "webhooks_endpointnotice"
REASONS = [("gone", "Gone"), ("failing", "Failing"), ("manual", "Manual")]


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0004_event_of_subject")]

    operations = [
        migrations.AddField(
            "endpoint", "failing_since", models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField("endpoint", "failed_attempts", models.PositiveIntegerField(default=0)),
        migrations.AddField("endpoint", "warned_at", models.DateTimeField(blank=True, null=True)),
        migrations.AlterField(
            "endpoint",
            "disabled_reason",
            models.CharField(blank=True, choices=REASONS, max_length=12),
        ),
        migrations.CreateModel(
            name="EndpointNotice",
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
                (
                    "subject",
                    models.CharField(
                        choices=[("failing", "Failing"), ("disabled", "Disabled")], max_length=12
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("recipients", models.PositiveSmallIntegerField(default=0)),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to="webhooks.endpoint",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            "endpointnotice",
            models.Index(
                condition=models.Q(("sent_at__isnull", True)), fields=["due_at"], name="notice_due"
            ),
        ),
        *rows.tenant_table(NOTICE),
        rows.composite_foreign_key(NOTICE, "endpoint_id", "webhooks_endpoint"),
        rows.definer_may_read(NOTICE),
        *due_functions(kind="notify", table=NOTICE, where="due_row.sent_at IS NULL"),
        migrations.AddIndex(
            "delivery",
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_of_endpoint"),
        ),
        migrations.AddIndex(
            "delivery",
            models.Index(fields=["tenant", "-created_at", "-id"], name="delivery_of_tenant"),
        ),
    ]
