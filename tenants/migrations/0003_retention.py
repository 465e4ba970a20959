"""How long content is kept. Tenants that are here already keep all of it until they choose."""

from django.db import migrations, models

DAYS = {"audio_days": 30, "transcript_days": 180, "webhook_payload_days": 30}


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_public_key_ids")]

    operations = [
        *(
            step
            for name, default in DAYS.items()
            for step in (
                migrations.AddField(
                    "tenant", name, models.PositiveSmallIntegerField(blank=True, null=True)
                ),
                migrations.AlterField(
                    "tenant",
                    name,
                    models.PositiveSmallIntegerField(blank=True, default=default, null=True),
                ),
                migrations.AddConstraint(
                    "tenant",
                    models.CheckConstraint(
                        condition=models.Q((f"{name}__isnull", True))
                        | models.Q((f"{name}__range", (1, 3650))),
                        name=f"tenant_{name}_range",
                    ),
                ),
            )
        ),
    ]
