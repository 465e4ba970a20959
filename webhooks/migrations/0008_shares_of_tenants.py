from django.db import migrations

from webhooks.sql import due_deliver


class Migration(migrations.Migration):
    """What is handed out of a tenant together stands together."""

    dependencies = [("webhooks", "0007_event_by_age")]

    operations = [
        migrations.RunSQL("DROP FUNCTION due_deliver(integer);", migrations.RunSQL.noop),
        due_deliver(),
    ]
