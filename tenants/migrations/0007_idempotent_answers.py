"""Answers of writes with an Idempotency-Key, kept for a day."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows


class Migration(migrations.Migration):
    dependencies = [("tenants", "0006_people")]

    operations = [
        migrations.CreateModel(
            name="IdempotentAnswer",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                ("body_digest", models.CharField(max_length=64)),
                ("status", models.PositiveSmallIntegerField(default=0)),
                ("sealed_answer", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
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
                    models.Index(fields=["tenant", "created_at"], name="answer_by_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=["tenant", "digest"], name="answer_once"),
                ],
            },
        ),
        *rows.tenant_table("tenants_idempotentanswer"),
    ]
