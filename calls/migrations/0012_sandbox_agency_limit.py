"""What a sandbox call is made of is seen by its agency only, like the call."""

from django.db import migrations

from tenants import row_security as rows


class Migration(migrations.Migration):
    dependencies = [("calls", "0011_erasures_export")]

    operations = [rows.limit_to_agencies("calls_sandboxcall", "app_sees_call(call_id)")]
