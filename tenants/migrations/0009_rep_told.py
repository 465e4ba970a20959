"""Which of a rep's details came with a session token, and may be told anew."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0008_signing_in")]

    operations = [
        migrations.AddField(
            model_name="rep",
            name="told",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=5),
                blank=True,
                db_default=[],
                default=list,
                size=None,
            ),
        ),
    ]
