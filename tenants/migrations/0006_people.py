"""Reps and agencies get ids that may leave us, and reps what people know of them."""

from django.db import migrations, models

import tenants.models


def add_public_id(table: str, prefix: str) -> migrations.RunSQL:
    """A volatile default fills every present row, whatever row-level security says.

    It stays, for rows that are copied in. 21 of these characters are at least 120 random bits.
    """
    made = "left(translate(encode(uuid_send(gen_random_uuid()), 'base64'), '+/', '-_'), 21)"
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ADD COLUMN public_id varchar(40) NOT NULL DEFAULT '{prefix}_' || {made};
        ALTER TABLE {table} ADD CONSTRAINT {table}_public_id_key UNIQUE (public_id);
        """,
        f"ALTER TABLE {table} DROP COLUMN public_id;",
    )


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_api_requests")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                add_public_id("tenants_agency", "agency"),
                add_public_id("tenants_rep", "rep"),
            ],
            state_operations=[
                migrations.AddField(
                    model_name=name,
                    name="public_id",
                    field=models.CharField(
                        default=default, editable=False, max_length=40, unique=True
                    ),
                )
                for name, default in (
                    ("agency", tenants.models.agency_public_id),
                    ("rep", tenants.models.rep_public_id),
                )
            ],
        ),
        migrations.AddField(
            model_name="rep",
            name="reminders_stopped_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rep",
            name="sandbox_only",
            field=models.BooleanField(db_default=False, default=False),
        ),
        *(
            migrations.AddIndex(
                "rep", models.Index(*columns, tenants.models.SORT_NAME, "id", name=name)
            )
            for name, columns in (
                ("rep_by_name", ("tenant",)),
                ("rep_of_agency", ("tenant", "agency")),
            )
        ),
        migrations.AddField(
            model_name="tenant",
            name="private_practice",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
