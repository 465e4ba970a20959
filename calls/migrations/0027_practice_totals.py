"""The checks of a day summed up over all agencies, of all days that were counted."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows

# The owner obeys forced policies too, and no tenant is in scope: lifted for this one statement.
FILL = """
DO $$
BEGIN
    ALTER TABLE calls_practicecheck NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_practicetotal NO FORCE ROW LEVEL SECURITY;
    INSERT INTO calls_practicetotal (
        id, tenant_id, mode, day, drill_key, check_key, asked, met, partly
    )
    SELECT gen_random_uuid(), tenant_id, mode, day, drill_key, check_key, sum(asked), sum(met),
        sum(partly)
    FROM calls_practicecheck GROUP BY tenant_id, mode, day, drill_key, check_key;
    SET CONSTRAINTS ALL IMMEDIATE;  -- else the checks of these rows stand in the way of the next
    ALTER TABLE calls_practicecheck FORCE ROW LEVEL SECURITY;
    ALTER TABLE calls_practicetotal FORCE ROW LEVEL SECURITY;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("calls", "0026_search_by_labels")]

    operations = [
        migrations.CreateModel(
            name="PracticeTotal",
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
                ("asked", models.PositiveIntegerField()),
                ("met", models.PositiveIntegerField()),
                ("partly", models.PositiveIntegerField()),
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
            model_name="practicetotal",
            constraint=models.UniqueConstraint(
                fields=("tenant", "mode", "day", "drill_key", "check_key"),
                name="practice_total_once",
            ),
        ),
        *rows.tenant_table("calls_practicetotal"),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        # of all agencies together: for nobody who is limited to some
        rows.limit_to_agencies("calls_practicetotal", "false"),
    ]
