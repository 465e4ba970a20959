"""Who waits for an answer is found without reading every dispute."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("calls", "0027_practice_totals"),
        ("tenants", "0008_signing_in"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(
                condition=models.Q(("reply", "")),
                fields=["tenant", "created_at"],
                name="dispute_open",
            ),
        ),
    ]
