"""Forgetting what was said while keeping how it was scored."""

import uuid
from collections.abc import Sequence

from django.db import connection

from scoring.models import Override, Scorecard

# Where a quote stands (`turn`, `start`, `end`) stays; its words go, and so do the judge's.
_FORGET = """
UPDATE scoring_verdict SET reason = '', evidence = jsonb_set(
    jsonb_set(evidence, '{quote}', '""', false), '{trigger,quote}', '""', false
)
WHERE scorecard_id = ANY(%s)
"""


def scorecards_forget(*, tenant_id: uuid.UUID, call_ids: Sequence[uuid.UUID]) -> None:
    """Empty what quotes or retells these calls: evidence, reasons, summary, feedback.

    What managers wrote about a verdict goes as well.
    Points, answers and metrics stay. In the caller's transaction and the tenant's scope.
    """
    cards = Scorecard.objects.for_tenant(tenant_id).filter(call_id__in=call_ids)
    ids = list(cards.values_list("pk", flat=True))
    if not ids:
        return
    Scorecard.objects.filter(pk__in=ids).update(summary="", feedback="")
    Override.objects.filter(scorecard_id__in=ids).update(reason="", summary="", feedback="")
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [ids])
