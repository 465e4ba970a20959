from django.db import migrations

from work.sql import due_functions

NEVER_CONNECTED = "due_row.stage = 'created'"
# A live call has no due time: it is due when nobody holds it, be it for want of a worker or of its
# database. The first seconds belong to the worker that is just taking its slot.
LOST = """
    due_row.stage = 'live'
    AND due_row.started_at < statement_timestamp() - interval '5 seconds'
    AND NOT EXISTS (
        SELECT FROM public.calls_liveslot AS slot
        WHERE slot.call_id = due_row.id AND slot.lease_until > statement_timestamp()
    )
"""


class Migration(migrations.Migration):
    dependencies = [("calls", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "GRANT SELECT ON calls_liveslot TO athos_definer;",
            "REVOKE SELECT ON calls_liveslot FROM athos_definer;",
        ),
        *due_functions(kind="connect", table="calls_call", where=NEVER_CONNECTED),
        *due_functions(
            kind="lost", table="calls_call", where=LOST, timed=False, order_by="started_at"
        ),
    ]
