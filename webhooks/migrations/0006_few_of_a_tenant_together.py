from django.db import migrations

from tenants.row_security import definer_may_read
from webhooks.sql import due_deliver


class Migration(migrations.Migration):
    """A few of a tenant at a time, and few at once to endpoints that fail just now."""

    dependencies = [("webhooks", "0005_endpoint_health")]

    operations = [
        definer_may_read("webhooks_endpoint"),
        migrations.RunSQL("DROP FUNCTION due_deliver(integer);", migrations.RunSQL.noop),
        due_deliver(),
    ]
