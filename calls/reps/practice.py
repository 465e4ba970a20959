"""How much a few reps practised of late, and how it went. Of a bounded number of reps only."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, ExpressionWrapper, F, Max, OuterRef, Q, Subquery, Sum
from django.db.models.fields import DurationField
from django.db.models.functions import Now

from calls.history.listing import Reader
from calls.models import Call
from calls.reps.people import reading
from tenants.models import Rep

WINDOW = timedelta(days=30)
_LENGTH = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())


@dataclass(frozen=True, slots=True)
class Practice:
    """Of one rep. `calls`, `minutes` and `best` are of the last 30 days, the others of all time.

    Scores leave out what the rep keeps to themselves.
    """

    calls: int = 0
    minutes: float = 0.0
    best: int | None = None
    last_at: datetime | None = None
    last_score: int | None = None


def practice_of(*, reader: Reader, reps: Sequence[Rep]) -> dict[uuid.UUID, Practice]:
    """By the rep's row, of scored calls that the reader may see."""
    names = {rep.external_id: rep.pk for rep in reps}
    if not names:
        return {}
    with reading(reader):
        lately = _lately(reader, list(names))
        last = _last(reader, list(names.values()))
    return {
        rep_id: Practice(*lately.get(name, (0, 0.0, None)), *last.get(rep_id, (None, None)))
        for name, rep_id in names.items()
    }


def _lately(reader: Reader, names: list[str]) -> dict[str, tuple[int, float, int | None]]:
    rows = reader.calls().filter(
        external_user_id__in=names, stage=Call.Stage.SCORED, ended_at__gte=Now() - WINDOW
    )
    sums = rows.values("external_user_id").annotate(
        calls=Count("pk"), length=Sum(_LENGTH), best=Max("overall", filter=Q(private=False))
    )
    columns = ("external_user_id", "calls", "length", "best")
    return {
        name: (calls, length.total_seconds() / 60, best)
        for name, calls, length, best in sums.values_list(*columns)
    }


def _last(
    reader: Reader, rep_ids: list[uuid.UUID]
) -> dict[uuid.UUID, tuple[datetime | None, int | None]]:
    scored = (
        reader.calls()
        .filter(external_user_id=OuterRef("external_id"), stage=Call.Stage.SCORED)
        .order_by("-ended_at", "-id")
    )
    told = scored.filter(private=False, overall__isnull=False)
    rows = Rep.objects.for_tenant(reader.tenant_id).filter(pk__in=rep_ids)
    rows = rows.annotate(
        last_at=Subquery(scored.values("ended_at")[:1]),
        last_score=Subquery(told.values("overall")[:1]),
    )
    return {pk: (at, score) for pk, at, score in rows.values_list("pk", "last_at", "last_score")}
