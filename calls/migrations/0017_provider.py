import uuid

import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows


class Migration(migrations.Migration):
    """Engines that a tenant chose for its calls."""

    dependencies = [("calls", "0016_consent")]

    operations = [
        migrations.CreateModel(
            name="Provider",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("chat", "Chat"),
                            ("transcription", "Transcription"),
                            ("speech", "Speech"),
                        ],
                        max_length=13,
                    ),
                ),
                ("url", models.CharField(max_length=2048)),
                ("model", models.CharField(max_length=200)),
                ("sealed_key", models.TextField(blank=True)),
                ("voices", models.JSONField(blank=True, default=dict)),
                ("updated_at", models.DateTimeField(auto_now=True)),
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
        migrations.AddConstraint(
            "provider",
            models.UniqueConstraint(fields=["tenant", "kind"], name="provider_once"),
        ),
        *rows.tenant_table("calls_provider"),
    ]
