import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows
from work.sql import due_functions

TABLES = ("calls_practiceday", "calls_practicecheck", "calls_repstanding")


class Migration(migrations.Migration):
    """Sums of what was practised, so that pages of a team cost the same however many its calls.

    Empty until calls are scored; `manage.py practice_recount` counts those that are.
    """

    dependencies = [
        ("calls", "0018_call_overall"),
        ("tenants", "0005_api_requests"),
    ]

    operations = [
        migrations.CreateModel(
            name="PracticeDay",
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
                    "mode",
                    models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4),
                ),
                ("day", models.DateField()),
                ("drill_key", models.CharField(max_length=100)),
                ("calls", models.PositiveIntegerField(default=0)),
                ("seconds", models.PositiveBigIntegerField(default=0)),
                ("scored", models.PositiveIntegerField(default=0)),
                ("score_sum", models.PositiveBigIntegerField(default=0)),
                (
                    "agency",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
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
            name="PracticeCheck",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "mode",
                    models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4),
                ),
                ("day", models.DateField()),
                ("drill_key", models.CharField(max_length=100)),
                ("check_key", models.CharField(max_length=60)),
                ("title", models.CharField(max_length=1000)),
                ("asked", models.PositiveIntegerField()),
                ("met", models.PositiveIntegerField()),
                ("partly", models.PositiveIntegerField()),
                (
                    "agency",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
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
                (
                    "practice_day",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="checks",
                        to="calls.practiceday",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RepStanding",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "mode",
                    models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4),
                ),
                ("last_at", models.DateTimeField()),
                (
                    "scores",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(), size=None
                    ),
                ),
                ("lately", models.FloatField(null=True)),
                ("before", models.FloatField(null=True)),
                (
                    "agency",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.agency",
                    ),
                ),
                (
                    "rep",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="standings",
                        to="tenants.rep",
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
            model_name="practiceday",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)),
                fields=["due_at"],
                name="practice_day_due",
            ),
        ),
        migrations.AddIndex(
            model_name="practiceday",
            index=models.Index(
                fields=["tenant", "mode", "agency", "day"], name="practice_day_of_agency"
            ),
        ),
        migrations.AddConstraint(
            model_name="practiceday",
            constraint=models.UniqueConstraint(
                fields=("tenant", "mode", "day", "agency", "drill_key"),
                name="practice_day_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddIndex(
            model_name="practicecheck",
            index=models.Index(
                fields=["tenant", "mode", "day"],
                include=("agency", "drill_key", "check_key", "asked", "met", "partly"),
                name="practice_check_of_days",
            ),
        ),
        migrations.AddIndex(
            model_name="practicecheck",
            index=models.Index(
                fields=["tenant", "mode", "agency", "day"],
                include=("drill_key", "check_key", "asked", "met", "partly"),
                name="practice_check_of_agency",
            ),
        ),
        migrations.AddConstraint(
            model_name="practicecheck",
            constraint=models.UniqueConstraint(
                fields=("tenant", "practice_day", "check_key"), name="practice_check_once"
            ),
        ),
        migrations.AddIndex(
            model_name="repstanding",
            index=models.Index(fields=["tenant", "mode", "last_at"], name="rep_standing_newest"),
        ),
        migrations.AddConstraint(
            model_name="repstanding",
            constraint=models.UniqueConstraint(
                fields=("tenant", "mode", "rep", "agency"),
                name="rep_standing_once",
                nulls_distinct=False,
            ),
        ),
        *(step for table in TABLES for step in rows.tenant_table(table)),
        rows.tenant_key("calls_practiceday"),
        rows.composite_foreign_key("calls_practicecheck", "practice_day_id", "calls_practiceday"),
        rows.composite_foreign_key("calls_repstanding", "rep_id", "tenants_rep"),
        *(rows.composite_foreign_key(table, "agency_id", "tenants_agency") for table in TABLES),
        *(rows.limit_to_agencies(table, rows.agency_column("agency_id")) for table in TABLES),
        rows.definer_may_read("calls_practiceday"),
        *due_functions(kind="practice", table="calls_practiceday", where="true"),
    ]
