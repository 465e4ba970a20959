from django.db import migrations, models

from work.sql import due_functions

_FREE_FOR = "statement_timestamp() - interval '30 seconds'"
# As 0002 has it: at once when nobody holds the call.
_AT_ONCE = """
    due_row.stage = 'live'
    AND due_row.started_at < statement_timestamp() - interval '5 seconds'
    AND NOT EXISTS (
        SELECT FROM public.calls_liveslot AS slot
        WHERE slot.call_id = due_row.id AND slot.lease_until > statement_timestamp()
    )
"""
# Half a minute later, so that another worker can take the call over. A worker that is gone may have
# taken its slots along; the call itself is written to every few seconds while it is carried.
_NOT_TAKEN_OVER = f"""
    due_row.stage = 'live'
    AND due_row.started_at < {_FREE_FOR}
    AND due_row.updated_at < {_FREE_FOR}
    AND NOT EXISTS (
        SELECT FROM public.calls_liveslot AS slot
        WHERE slot.call_id = due_row.id AND slot.lease_until > {_FREE_FOR}
    )
"""


def _lost(where: str) -> list[migrations.RunSQL]:
    return due_functions(
        kind="lost", table="calls_call", where=where, timed=False, order_by="started_at"
    )


def _away(where: str) -> list[migrations.RunSQL]:
    """The functions of this meaning go; reversed, they come back."""
    return [migrations.RunSQL(made.reverse_sql, made.sql) for made in reversed(_lost(where))]


class Migration(migrations.Migration):
    dependencies = [("calls", "0014_call_ledger")]

    operations = [
        migrations.AddField("call", "standing", models.JSONField(blank=True, null=True)),
        *_away(_AT_ONCE),
        *_lost(_NOT_TAKEN_OVER),
    ]
