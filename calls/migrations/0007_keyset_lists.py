"""An index for each order in which calls are listed, whole, of one rep and of one agency."""

import django.db.models.deletion
from django.db import migrations, models

import calls.models

# What stands behind the order is a filter beside it, looked at without fetching the row.
SCORED = {
    "scored_newest_first": ["-ended_at", "-id"],
    "scored_newest_first_of_rep": ["external_user_id", "-ended_at", "-id", "agency"],
    "scored_newest_first_of_agency": ["agency", "-ended_at", "-id"],
    "scored_in_order": ["scored_at", "id", "ended_at"],
    "scored_in_order_of_rep": ["external_user_id", "scored_at", "id", "agency"],
    "scored_in_order_of_agency": ["agency", "scored_at", "id", "ended_at"],
}
# unique=True adds a second index to a text, for LIKE, which nobody uses
IDS = (("public_id", calls.models.call_public_id), ("session_id", calls.models.session_public_id))


class Migration(migrations.Migration):
    dependencies = [("calls", "0006_agency_limits")]

    operations = [
        migrations.RemoveIndex("call", "call_newest_made_first"),
        migrations.RemoveIndex("call", "call_in_order_of_scoring"),
        migrations.AlterField(
            model_name="call",
            name="agency",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="calls",
                to="tenants.agency",
            ),
        ),
        migrations.AddIndex(
            "call",
            models.Index(
                fields=["tenant", "mode", "-created_at", "-id"], name="call_newest_made_first"
            ),
        ),
        migrations.AddIndex(
            "call",
            models.Index(
                fields=["tenant", "agency", "mode", "-created_at", "-id"],
                name="call_newest_made_of_agency",
            ),
        ),
        *(
            migrations.AddIndex(
                "call",
                models.Index(
                    fields=["tenant", "mode", *fields],
                    name=name,
                    condition=models.Q(stage="scored"),
                ),
            )
            for name, fields in SCORED.items()
        ),
        *(
            operation
            for name, default in IDS
            for operation in (
                migrations.AlterField(
                    "call", name, models.CharField(default=default, editable=False, max_length=40)
                ),
                migrations.AddConstraint(
                    "call", models.UniqueConstraint(fields=[name], name=f"call_{name}_once")
                ),
            )
        ),
    ]
