from django.db import migrations, models


class Migration(migrations.Migration):
    """All events of one call: for its page, and for its erasure."""

    dependencies = [("webhooks", "0003_rehearsals")]

    operations = [
        migrations.AddIndex(
            "event", models.Index(fields=["tenant", "subject_id"], name="event_of_subject")
        ),
    ]
