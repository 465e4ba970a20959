"""Rubrics and scorecards, each with its tenant's lock from the first moment."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows


def never_changed(table: str) -> migrations.RunSQL:
    """The serving role adds, reads and erases rows of this table, but changes none."""
    return migrations.RunSQL(
        f"REVOKE UPDATE ON {table} FROM {rows.APP_ROLE};",
        f"GRANT UPDATE ON {table} TO {rows.APP_ROLE};",
    )


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("calls", "0001_initial"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Rubric",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=100)),
                ("version", models.PositiveIntegerField()),
                ("digest", models.CharField(max_length=64)),
                ("title", models.CharField(max_length=200)),
                ("content", models.JSONField()),
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
        ),
        migrations.CreateModel(
            name="Scorecard",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.PositiveSmallIntegerField(default=1)),
                ("judge_name", models.CharField(max_length=60)),
                ("judge_version", models.CharField(max_length=60)),
                ("judge_model", models.CharField(max_length=200)),
                ("overall", models.PositiveSmallIntegerField()),
                ("earned", models.DecimalField(decimal_places=2, max_digits=7)),
                ("possible", models.PositiveIntegerField()),
                ("coverage", models.FloatField()),
                ("sections", models.JSONField()),
                ("hard_fails", models.JSONField()),
                ("metrics", models.JSONField()),
                ("summary", models.TextField()),
                ("feedback", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "call",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scorecards",
                        to="calls.call",
                    ),
                ),
                (
                    "rubric",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="scorecards",
                        to="scoring.rubric",
                    ),
                ),
                (
                    "rubric_owner",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
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
            name="Verdict",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.PositiveSmallIntegerField()),
                ("check_key", models.CharField(max_length=60)),
                ("section", models.CharField(max_length=60)),
                ("title", models.CharField(max_length=1000)),
                ("question", models.TextField()),
                ("advice", models.TextField()),
                (
                    "answer",
                    models.CharField(
                        choices=[
                            ("yes", "yes"),
                            ("partial", "partial"),
                            ("no", "no"),
                            ("not_applicable", "not_applicable"),
                        ],
                        max_length=14,
                    ),
                ),
                ("points", models.DecimalField(decimal_places=2, max_digits=5)),
                ("max_points", models.PositiveSmallIntegerField()),
                ("verified", models.BooleanField()),
                ("evidence", models.JSONField()),
                ("reason", models.TextField(blank=True)),
                (
                    "scorecard",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="verdicts",
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
                "ordering": ["position"],
            },
        ),
        migrations.AddConstraint(
            model_name="rubric",
            constraint=models.UniqueConstraint(
                fields=("tenant", "key", "version"), name="rubric_version_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="rubric",
            constraint=models.CheckConstraint(
                condition=models.Q(("key__regex", "^[a-z0-9]+(-[a-z0-9]+)*$")),
                name="rubric_key_form",
            ),
        ),
        migrations.AddConstraint(
            model_name="scorecard",
            constraint=models.UniqueConstraint(
                fields=("tenant", "call", "version"), name="scorecard_once_per_version"
            ),
        ),
        migrations.AddConstraint(
            model_name="scorecard",
            constraint=models.CheckConstraint(
                condition=models.Q(("overall__lte", 100)), name="scorecard_overall_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="scorecard",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("rubric_owner", models.F("tenant")),
                    ("rubric_owner", uuid.UUID("00000000-0000-4000-8000-00000000a705")),
                    _connector="OR",
                ),
                name="scorecard_rubric_own_or_shared",
            ),
        ),
        migrations.AddConstraint(
            model_name="verdict",
            constraint=models.UniqueConstraint(
                fields=("tenant", "scorecard", "check_key"), name="verdict_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="verdict",
            constraint=models.CheckConstraint(
                condition=models.Q(("points__lte", models.F("max_points"))),
                name="verdict_points_range",
            ),
        ),
        *rows.tenant_table("scoring_rubric", shared_catalogue=True),
        *rows.tenant_table("scoring_scorecard"),
        *rows.tenant_table("scoring_verdict"),
        rows.tenant_key("scoring_rubric"),
        rows.tenant_key("scoring_scorecard"),
        rows.plain_foreign_key("scoring_scorecard", "rubric_owner_id", "tenants_tenant"),
        rows.composite_foreign_key(
            "scoring_scorecard", "rubric_id", "scoring_rubric", owner_column="rubric_owner_id"
        ),
        rows.composite_foreign_key("scoring_scorecard", "call_id", "calls_call"),
        rows.composite_foreign_key("scoring_verdict", "scorecard_id", "scoring_scorecard"),
        rows.append_only("scoring_rubric"),
        never_changed("scoring_scorecard"),
        never_changed("scoring_verdict"),
    ]
