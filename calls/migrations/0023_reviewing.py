import uuid

import django.db.models.deletion
from django.db import migrations, models

import calls.models
from tenants import row_security as rows
from work.sql import due_functions

TABLES = ("calls_comment", "calls_dispute", "calls_rescoring")


class Migration(migrations.Migration):
    """What managers and reps say about a call, scoring again, and a picture of the sound."""

    dependencies = [
        ("calls", "0022_private_calls"),
        ("tenants", "0005_api_requests"),
    ]

    operations = [
        migrations.AddField(
            model_name="recording",
            name="peaks",
            field=models.BinaryField(blank=True, default=b""),
        ),
        migrations.CreateModel(
            name="Comment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "public_id",
                    models.CharField(
                        default=calls.models.comment_public_id,
                        editable=False,
                        max_length=40,
                        unique=True,
                    ),
                ),
                ("line_number", models.PositiveIntegerField()),
                ("text", models.TextField()),
                ("author_id", models.UUIDField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "call",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="comments",
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
            options={
                "ordering": ["created_at"],
            },
        ),
        migrations.CreateModel(
            name="Dispute",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("scorecard_version", models.PositiveSmallIntegerField()),
                ("check_key", models.CharField(max_length=60)),
                ("text", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("reply", models.TextField(blank=True)),
                ("replied_at", models.DateTimeField(blank=True, null=True)),
                ("replied_by", models.UUIDField(blank=True, null=True)),
                (
                    "call",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="disputes",
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
            options={
                "ordering": ["created_at"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "call", "scorecard_version", "check_key"),
                        name="dispute_once_per_verdict",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("replied_at", None), ("reply", "")),
                            ("replied_at__isnull", False),
                            _connector="OR",
                        ),
                        name="dispute_reply_has_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Rescoring",
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
                ("actor", models.CharField(max_length=120)),
                ("requested_at", models.DateTimeField()),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("scored", "Scored"),
                            ("incomplete", "Incomplete"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "call",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rescoring",
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
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)),
                        fields=["due_at"],
                        name="rescoring_due",
                    )
                ],
            },
        ),
        *(operation for table in TABLES for operation in rows.tenant_table(table)),
        *(rows.composite_foreign_key(table, "call_id", "calls_call") for table in TABLES),
        *(rows.limit_to_agencies(table, "app_sees_call(call_id)") for table in TABLES),
        rows.definer_may_read("calls_rescoring"),
        *due_functions(kind="rescore", table="calls_rescoring", where="due_row.due_at IS NOT NULL"),
    ]
