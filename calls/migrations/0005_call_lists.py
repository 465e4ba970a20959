from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes for the lists of calls: the dashboard's, and the API's by time of scoring."""

    dependencies = [("calls", "0004_after_call")]

    operations = [
        migrations.AddIndex(
            model_name="call",
            index=models.Index(
                fields=["tenant", "-created_at", "-id"], name="call_newest_made_first"
            ),
        ),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(
                fields=["tenant", "scored_at", "id"],
                name="call_in_order_of_scoring",
                condition=models.Q(stage="scored"),
            ),
        ),
    ]
