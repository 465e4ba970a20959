from django.db import migrations, models


class Migration(migrations.Migration):
    """All tokens of one rep: for their erasure."""

    dependencies = [("calls", "0012_sandbox_agency_limit")]

    operations = [
        migrations.AddIndex(
            "sessiontoken",
            models.Index(fields=["tenant", "external_user_id"], name="session_token_of_rep"),
        ),
    ]
