from django.db import migrations, models

SOURCES = [("rep_page", "Rep Page"), ("integrator", "Integrator")]


class Migration(migrations.Migration):
    """What the rep agreed to, and when: kept with the call."""

    dependencies = [("calls", "0015_standing")]

    operations = [
        migrations.AddField(
            "call",
            "consent_source",
            models.CharField(blank=True, choices=SOURCES, default="", max_length=10),
            preserve_default=False,
        ),
        *(
            migrations.AddField(
                model,
                "consent_version",
                models.CharField(blank=True, default="", max_length=100),
                preserve_default=False,
            )
            for model in ("call", "sessiontoken")
        ),
        *(
            migrations.AddField(model, "consented_at", models.DateTimeField(blank=True, null=True))
            for model in ("call", "sessiontoken")
        ),
        migrations.AddConstraint(
            "call",
            models.CheckConstraint(
                condition=models.Q(
                    ("consent_source", ""), ("consent_version", ""), ("consented_at", None)
                )
                | (
                    models.Q(("consented_at__isnull", False))
                    & ~models.Q(("consent_source", ""))
                    & ~models.Q(("consent_version", ""))
                ),
                name="call_consent_whole",
            ),
        ),
    ]
