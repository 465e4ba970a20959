from django.db import migrations, models

from webhooks.sql import due_deliver


class Migration(migrations.Migration):
    """What is due next is found endpoint by endpoint, however much waits for one that hangs."""

    dependencies = [("webhooks", "0010_search_the_log")]

    operations = [
        migrations.AddIndex(
            "delivery",
            models.Index(
                condition=models.Q(("state", "pending")),
                fields=["endpoint", "due_at", "id"],
                name="delivery_waiting",
            ),
        ),
        migrations.RunSQL("DROP FUNCTION due_deliver(integer);", migrations.RunSQL.noop),
        due_deliver(),
        migrations.RemoveIndex("delivery", "delivery_due"),
    ]
