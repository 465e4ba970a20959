"""Reps and agencies by their public ids, and the pages of reps. docs/reps.md"""

import json
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from calls.history.listing import Reader
from calls.history.team import ABSENT, Period
from calls.models import Call, RepStanding
from tenants.errors import AthosError, InvalidRequest
from tenants.models import SORT_NAME, Agency, ApiKey, Rep
from tenants.sealing import SealBroken, seal, unseal

PURPOSE = "athos.reps.cursor"
LONGEST_SEARCH = 200  # characters
CHOICES = 500  # agencies, teams in a list to choose from
AWAY = "away"
PRACTISED = {  # by what `RepFilters.practised` may be
    "7": "in the last 7 days",
    "30": "in the last 30 days",
    "90": "in the last 90 days",
    AWAY: "not in the last two weeks",  # ABSENT
}


class RepNotFound(AthosError):
    code, status, message = "REP_NOT_FOUND", 404, "There is no such rep."


class AgencyNotFound(AthosError):
    code, status, message = "AGENCY_NOT_FOUND", 404, "There is no such agency."


@dataclass(frozen=True, slots=True)
class RepFilters:
    """Which reps are wanted. `agency` is a public id, `practised` a key of PRACTISED."""

    search: str = ""
    agency: str = ""
    team: str = ""
    unnamed: bool = False
    practised: str = ""

    @property
    def any(self) -> bool:
        return self != RepFilters()


@dataclass(frozen=True, slots=True)
class RepPage:
    reps: Sequence[Rep]
    next_cursor: str | None


def reading(reader: Reader) -> AbstractContextManager[None]:
    """The reader's scope; several reads share one."""
    return reader.scope()


def rep_get(*, reader: Reader, public_id: str) -> Rep:
    """The rep, if the reader may see it. A stranger's and none look the same."""
    with reading(reader):
        rows = reps_seen(reader.tenant_id, reader.agencies).select_related("agency")
        rep = rows.filter(public_id=public_id).first()
    if rep is None:
        raise RepNotFound
    return rep


def agency_get(*, reader: Reader, public_id: str) -> Agency:
    """The agency, if the reader may see it. A stranger's and none look the same."""
    with reading(reader):
        agency = agencies_of(reader).filter(public_id=public_id).first()
    if agency is None:
        raise AgencyNotFound
    return agency


def reps_page(*, reader: Reader, filters: RepFilters, limit: int, cursor: str = "") -> RepPage:
    """Reps by name, those without one by the integrator's id. Raises InvalidRequest."""
    digest = json.dumps([str(reader.tenant_id), *map(str, reader.agencies), str(filters)])
    with reading(reader):
        rows = _filtered(reader, filters).select_related("agency").annotate(order=SORT_NAME)
        if cursor:
            name, row_id = _cursor_read(cursor, digest)
            after = Q(order=name, id__gt=row_id) | Q(order__gt=name)
            rows = rows.filter(after, order__gte=name)
        found = list(rows.order_by("order", "id")[: limit + 1])
    page = found[:limit]
    if len(found) <= limit:
        return RepPage(page, None)
    place = [digest, page[-1].order, page[-1].pk.hex]
    return RepPage(page, seal(json.dumps(place).encode(), purpose=PURPOSE))


def reps_named(*, reader: Reader, public_ids: Sequence[str]) -> list[Rep]:
    """Those of the reader's reps, by name."""
    if not public_ids:
        return []
    with reading(reader):
        rows = reps_of(reader).filter(public_id__in=list(public_ids)).select_related("agency")
        return list(rows.order_by(SORT_NAME, "id"))


def agencies_of(reader: Reader) -> QuerySet[Agency]:
    """Those that the reader may see. Needs the scope."""
    rows = Agency.objects.for_tenant(reader.tenant_id)
    return rows.filter(pk__in=reader.agencies) if reader.agencies else rows


def agency_choices(*, reader: Reader) -> list[Agency]:
    """For a list to choose from, by name."""
    with reading(reader):
        found = list(agencies_of(reader).order_by("external_id")[:CHOICES])
    return sorted(found, key=lambda agency: agency_name(agency).casefold())


def team_choices(*, reader: Reader) -> list[str]:
    """The teams that the reader's reps are in."""
    with reading(reader):
        rows = reps_of(reader).exclude(team="").order_by("team")
        return list(rows.values_list("team", flat=True).distinct()[:CHOICES])


def reps_seen(tenant_id: uuid.UUID, agencies: Sequence[uuid.UUID]) -> QuerySet[Rep]:
    """Those whom members limited to these agencies may see: who is there, and who practised there
    and has left. Needs the scope."""
    rows = Rep.objects.for_tenant(tenant_id)
    if not agencies:
        return rows
    practised = Call.objects.for_tenant(tenant_id).filter(agency_id__in=agencies)
    return rows.filter(Q(agency_id__in=agencies) | Exists(practised.filter(rep_id=OuterRef("pk"))))


def reps_of(reader: Reader) -> QuerySet[Rep]:
    """The reps of the reader's agencies: those who left for another are not among them, nor in
    the live list those whom only the sandbox knows."""
    rows = Rep.objects.for_tenant(reader.tenant_id)
    if reader.mode == ApiKey.Mode.LIVE:
        rows = rows.filter(sandbox_only=False)
    return rows.filter(agency_id__in=reader.agencies) if reader.agencies else rows


def is_own(rep: Rep, agencies: Sequence[uuid.UUID]) -> bool:
    """Whether who is limited to these agencies may change the rep; no limit: everybody."""
    return not agencies or rep.agency_id in agencies


def rep_name(rep: Rep) -> str:
    return rep.name or rep.external_id


def agency_name(agency: Agency | None) -> str:
    return (agency.name or agency.external_id) if agency else ""


def _filtered(reader: Reader, filters: RepFilters) -> QuerySet[Rep]:
    rows = reps_of(reader)
    if filters.agency:
        rows = rows.filter(agency__public_id=filters.agency)
    if filters.team:
        rows = rows.filter(team=filters.team)
    if filters.unnamed:
        rows = rows.filter(name="")
    if filters.practised:
        rows = rows.filter(_practised(reader, filters.practised))
    if filters.search:
        text = filters.search
        rows = rows.filter(
            Q(name__icontains=text) | Q(external_id__icontains=text) | Q(email__icontains=text)
        )
    return rows


def _practised(reader: Reader, since: str) -> Q:
    """Who has a score of that time, in whole days (UTC) as home counts them, or who has none."""
    days = ABSENT.days if since == AWAY else int(since)
    period = Period.until(timezone.now().astimezone(UTC).date(), days)
    rows = RepStanding.objects.for_tenant(reader.tenant_id).filter(
        mode=reader.mode, rep_id=OuterRef("pk"), last_at__gte=period.begin()
    )
    if reader.agencies:
        rows = rows.filter(agency_id__in=reader.agencies)
    return ~Q(Exists(rows)) if since == AWAY else Q(Exists(rows))


def _cursor_read(text: str, digest: str) -> tuple[str, uuid.UUID]:
    try:
        made_for, name, row_id = json.loads(unseal(text, purpose=PURPOSE))
    except (SealBroken, ValueError) as broken:
        raise InvalidRequest("That page is not one of this list.") from broken
    if made_for != digest:
        raise InvalidRequest("That page is not one of this list.")
    return str(name), uuid.UUID(row_id)
