from django.db import migrations, models


class Migration(migrations.Migration):
    """Bodies of events may be emptied when the tenant's time for them is over."""

    dependencies = [("webhooks", "0001_endpoints_events_deliveries")]

    operations = [
        migrations.AddField(
            "event", "body_expired_at", models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddIndex(
            "event",
            models.Index(
                condition=models.Q(("body_expired_at", None)),
                fields=["tenant", "created_at"],
                name="event_with_body",
            ),
        ),
    ]
