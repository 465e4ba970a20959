from django.db import migrations, models

ONCE = "event_once_per_subject"


class Migration(migrations.Migration):
    """A kind of event that can happen to its subject several times."""

    dependencies = [("webhooks", "0008_shares_of_tenants")]

    operations = [
        migrations.AddField("event", "occurrence", models.UUIDField(blank=True, null=True)),
        migrations.RemoveConstraint("event", ONCE),
        migrations.AddConstraint(
            "event",
            models.UniqueConstraint(
                fields=["tenant", "type", "subject_id"],
                name=ONCE,
                condition=models.Q(("occurrence", None)),
            ),
        ),
        migrations.AddConstraint(
            "event",
            models.UniqueConstraint(
                fields=["tenant", "type", "occurrence"],
                name="event_once_per_occurrence",
                condition=models.Q(("occurrence__isnull", False)),
            ),
        ),
    ]
