from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("calls", "0022_private_calls"),
    ]

    operations = [
        migrations.AddField(
            model_name="sandboxcall",
            name="happened_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
