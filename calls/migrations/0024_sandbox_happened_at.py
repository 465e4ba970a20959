from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("calls", "0023_reviewing"),
    ]

    operations = [
        migrations.AddField(
            model_name="sandboxcall",
            name="happened_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
