from django.db import migrations, models


class Migration(migrations.Migration):
    """What a rep keeps to themselves has no score in any list."""

    dependencies = [("calls", "0021_assignments")]

    operations = [
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(("private", False)) | models.Q(("overall", None)),
                name="call_private_tells_no_score",
            ),
        ),
    ]
