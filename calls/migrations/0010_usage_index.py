"""The usage of a month is told by an index alone; nothing else went by the end of all calls."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("calls", "0009_sandbox")]

    operations = [
        migrations.RemoveIndex("call", "call_newest_first"),
        migrations.AddIndex(
            "call",
            models.Index(
                fields=["tenant", "mode", "ended_at"],
                include=["started_at", "stage", "agency", "external_agency_id"],
                name="call_usage",
                condition=models.Q(started_at__isnull=False),
            ),
        ),
    ]
