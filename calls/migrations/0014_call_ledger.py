import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from tenants import row_security as rows


def _milliseconds():
    return django.contrib.postgres.fields.ArrayField(
        base_field=models.PositiveIntegerField(), default=list, size=None
    )


class Migration(migrations.Migration):
    """The latencies of a call, kept when its turns are gone."""

    dependencies = [("calls", "0013_session_token_of_rep")]

    operations = [
        migrations.CreateModel(
            name="CallLedger",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("answers_ms", _milliseconds()),
                ("barge_ins_ms", _milliseconds()),
                ("rep_turns", models.PositiveIntegerField(default=0)),
                ("cut_offs", models.PositiveIntegerField(default=0)),
                ("missed_ends", models.PositiveIntegerField(default=0)),
                ("false_stops", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "call",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ledger",
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
            options={"abstract": False},
        ),
        *rows.tenant_table("calls_callledger"),
        rows.composite_foreign_key("calls_callledger", "call_id", "calls_call"),
        rows.limit_to_agencies("calls_callledger", "app_sees_call(call_id)"),
    ]
