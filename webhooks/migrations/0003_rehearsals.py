from django.db import migrations, models

LIVE_OR_TEST = [("live", "Live"), ("test", "Test")]
REHEARSALS = [
    ("normal", "Normal"),
    ("fail", "Fail"),
    ("hang", "Hang"),
    ("late", "Late"),
    ("twice", "Twice"),
    ("never", "Never"),
]


class Migration(migrations.Migration):
    """Endpoints for tests, and deliveries that misbehave on request."""

    dependencies = [("webhooks", "0002_payload_retention")]

    operations = [
        migrations.AddField(
            "endpoint", "mode", models.CharField(choices=LIVE_OR_TEST, default="live", max_length=4)
        ),
        migrations.AddField(
            "delivery",
            "rehearsal",
            models.CharField(choices=REHEARSALS, default="normal", max_length=6),
        ),
    ]
