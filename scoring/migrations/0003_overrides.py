"""What managers say of a scorecard, kept beside it."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows

ANSWERS = [(a, a) for a in ("yes", "partial", "no", "not_applicable")]


class Migration(migrations.Migration):
    dependencies = [
        ("calls", "0006_agency_limits"),
        ("scoring", "0002_content_expires"),
    ]

    operations = [
        migrations.CreateModel(
            name="Override",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveSmallIntegerField()),
                ("check_key", models.CharField(blank=True, max_length=60)),
                ("answer", models.CharField(blank=True, choices=ANSWERS, max_length=14)),
                ("points", models.DecimalField(decimal_places=2, default=0, max_digits=5)),
                ("reason", models.TextField(blank=True)),
                ("actor", models.CharField(max_length=120)),
                ("valid", models.BooleanField(default=True)),
                ("overall", models.PositiveSmallIntegerField()),
                ("earned", models.DecimalField(decimal_places=2, max_digits=7)),
                ("possible", models.PositiveIntegerField()),
                ("coverage", models.FloatField()),
                ("sections", models.JSONField()),
                ("hard_fails", models.JSONField()),
                ("summary", models.TextField(blank=True)),
                ("feedback", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "scorecard",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="overrides",
                        to="scoring.scorecard",
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
                "ordering": ["number"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "scorecard", "number"), name="override_once_per_number"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("overall__lte", 100)), name="override_overall_range"
                    ),
                ],
            },
        ),
        *rows.tenant_table("scoring_override"),
        rows.composite_foreign_key("scoring_override", "scorecard_id", "scoring_scorecard"),
        rows.limit_to_agencies("scoring_override", "app_sees_scorecard(scorecard_id)"),
        # Added, read and erased, never changed, except to forget what retells the call.
        migrations.RunSQL(
            f"""
            REVOKE UPDATE ON scoring_override FROM {rows.APP_ROLE};
            GRANT UPDATE (reason, summary, feedback) ON scoring_override TO {rows.APP_ROLE};
            """,
            f"""
            REVOKE UPDATE (reason, summary, feedback) ON scoring_override FROM {rows.APP_ROLE};
            GRANT UPDATE ON scoring_override TO {rows.APP_ROLE};
            """,
        ),
    ]
