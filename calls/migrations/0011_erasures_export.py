from django.db import migrations

from tenants import row_security as rows

ERASURES = """
    SELECT erasure.public_id, erasure.tenant_id, erasure.mode, erasure.subject,
        erasure.subject_digest, erasure.agencies,
        ARRAY(
            SELECT erased.call_id FROM public.calls_erasedcall AS erased
            WHERE erased.erasure_id = erasure.id
        )
    FROM public.calls_erasure AS erasure
    ORDER BY erasure.requested_at
"""
ERASURES_ROW = """TABLE (
    public_id varchar, tenant_id uuid, mode varchar, subject varchar, subject_digest varchar,
    agencies uuid[], call_ids uuid[]
)"""


class Migration(migrations.Migration):
    """All tenants' erasures, for the list that is kept beside a backup."""

    dependencies = [("calls", "0010_usage_index")]

    operations = [
        rows.definer_may_read("calls_erasedcall"),
        rows.definer_function("erasures_export", "", ERASURES_ROW, ERASURES),
    ]
