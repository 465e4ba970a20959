"""Agencies and how much is practised in each, against their own past."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, OuterRef, Subquery

from calls.history.listing import Reader
from calls.models import Call
from calls.reps.people import CHOICES, agencies_of, reps_of
from tenants.models import Agency


@dataclass(frozen=True, slots=True)
class AgencyRow:
    """An agency in the list."""

    agency: Agency
    reps: int
    unnamed: int
    last_at: datetime | None


def agency_rows(*, reader: Reader) -> list[AgencyRow]:
    """The reader's agencies, at most 500, by the integrator's name for them."""
    with reader.scope():
        found = list(agencies_of(reader).order_by("external_id")[:CHOICES])
        ids = [agency.pk for agency in found]
        reps, unnamed = _counts(reader, ids), _counts(reader, ids, name="")
        last = _last(reader, ids)
    return [AgencyRow(a, reps.get(a.pk, 0), unnamed.get(a.pk, 0), last.get(a.pk)) for a in found]


def _counts(reader: Reader, ids: Sequence[uuid.UUID], **which: str) -> dict[uuid.UUID, int]:
    rows = reps_of(reader).filter(agency_id__in=ids, **which)
    return dict(rows.values("agency_id").annotate(n=Count("pk")).values_list("agency_id", "n"))


def _last(reader: Reader, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, datetime | None]:
    """When each was practised in last: one step into an index for each."""
    scored = Call.objects.for_tenant(reader.tenant_id).filter(
        agency_id=OuterRef("pk"), mode=reader.mode, stage=Call.Stage.SCORED
    )
    newest = Subquery(scored.order_by("-ended_at", "-id").values("ended_at")[:1])
    rows = Agency.objects.for_tenant(reader.tenant_id).filter(pk__in=ids)
    return dict(rows.annotate(last_at=newest).values_list("pk", "last_at"))
