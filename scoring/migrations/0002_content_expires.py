from django.db import migrations

from tenants import row_security as rows


class Migration(migrations.Migration):
    """Of a scorecard's rows the serving role may change what quotes the call, to forget it."""

    dependencies = [("scoring", "0001_initial")]

    operations = [
        migrations.RunSQL(
            f"""
            GRANT UPDATE (summary, feedback) ON scoring_scorecard TO {rows.APP_ROLE};
            GRANT UPDATE (evidence, reason) ON scoring_verdict TO {rows.APP_ROLE};
            """,
            f"""
            REVOKE UPDATE (summary, feedback) ON scoring_scorecard FROM {rows.APP_ROLE};
            REVOKE UPDATE (evidence, reason) ON scoring_verdict FROM {rows.APP_ROLE};
            """,
        )
    ]
