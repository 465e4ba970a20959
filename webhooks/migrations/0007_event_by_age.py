from django.db import migrations, models


class Migration(migrations.Migration):
    """Events whose time in the log is over are found without reading all of them."""

    dependencies = [("webhooks", "0006_few_of_a_tenant_together")]

    operations = [
        migrations.AddIndex(
            "event", models.Index(fields=["tenant", "created_at"], name="event_by_age")
        ),
    ]
