"""Bringing in who people are from a file: first what it would change, then the change."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from calls.reps.editing import ChangedMeanwhile
from calls.reps.people import is_own
from calls.reps.sheets import Line, Problem, Sheet
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import SORT_NAME, Agency, Rep
from tenants.services import audit

FIELDS = ("name", "email", "team")
TEMPLATE_MOST = 5000  # people


@dataclass(frozen=True, slots=True)
class Change:
    """One column of one rep. `replaces` what somebody wrote there before."""

    field: str
    before: str
    after: str

    @property
    def replaces(self) -> bool:
        return self.before != ""


@dataclass(frozen=True, slots=True)
class Planned:
    """What one line comes to; no changes: nothing that is not there already."""

    line: Line
    is_new: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a file would do. `agencies` are names that are seen for the first time."""

    planned: tuple[Planned, ...]
    problems: tuple[Problem, ...]
    agencies: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Names this plan: what is carried out is what was looked at."""
        plain = json.dumps([asdict(each) for each in self.planned] + list(self.agencies))
        return hashlib.sha256(plain.encode()).hexdigest()[:32]

    @property
    def new(self) -> int:
        return sum(each.is_new for each in self.planned)

    @property
    def filled(self) -> int:
        """Known reps about whom something becomes known that was empty."""
        return sum(
            not each.is_new and any(not change.replaces for change in each.changes)
            for each in self.planned
        )

    @property
    def replacing(self) -> int:
        """Reps with a value of somebody's that differs from the file's."""
        return sum(any(change.replaces for change in each.changes) for each in self.planned)

    @property
    def same(self) -> int:
        return sum(not each.is_new and not each.changes for each in self.planned)


def import_plan(*, tenant_id: uuid.UUID, agencies: Sequence[uuid.UUID], sheet: Sheet) -> Plan:
    """What the file would change. Empty cells change nothing. `agencies`: the limit of who asks."""
    with tenant_scope(tenant_id, agencies=agencies):
        return _plan(tenant_id, agencies, sheet)


def import_carry_out(
    *,
    tenant_id: uuid.UUID,
    agencies: Sequence[uuid.UUID],
    sheet: Sheet,
    digest: str,
    replace: bool,
    actor: str,
) -> Plan:
    """Do what was looked at. Without `replace` only what is empty is filled.

    Doing it twice changes nothing more. Raises ChangedMeanwhile where the plan is another by now.
    """
    with tenant_scope(tenant_id, agencies=agencies):
        _lock(tenant_id, sheet)
        plan = _plan(tenant_id, agencies, sheet)
        if plan.digest != digest:
            raise ChangedMeanwhile
        Agency.objects.bulk_create(
            [Agency(tenant_id=tenant_id, external_id=name) for name in plan.agencies],
            ignore_conflicts=True,
        )
        places = _agencies(tenant_id, {each.line.agency for each in plan.planned})
        made = [_made(tenant_id, each.line, places) for each in plan.planned if each.is_new]
        _add(tenant_id, made)
        changed = _change(tenant_id, plan, places, replace)
        audit(
            tenant_id=tenant_id,
            actor=actor,
            action="reps.import",
            details={"new": len(made), "changed": changed, "replace": replace},
        )
    return plan


def template_people(*, tenant_id: uuid.UUID, agencies: Sequence[uuid.UUID]) -> list[Line]:
    """The reps without a name, to be filled in."""
    with tenant_scope(tenant_id, agencies=agencies):
        rows = (
            Rep.objects.for_tenant(tenant_id)
            .filter(name="", sandbox_only=False)
            .select_related("agency")
        )
        rows = rows.filter(agency_id__in=agencies) if agencies else rows
        return [
            Line(
                number=0,
                external_id=rep.external_id,
                email=rep.email,
                agency=rep.agency.external_id if rep.agency else "",
                team=rep.team,
            )
            for rep in rows.order_by(SORT_NAME, "id")[:TEMPLATE_MOST]
        ]


def _lock(tenant_id: uuid.UUID, sheet: Sheet) -> None:
    """Two imports, and an import and an edit, wait for each other; in one order."""
    names = [line.external_id for line in sheet.lines]
    rows = Rep.objects.for_tenant(tenant_id).filter(external_id__in=names).order_by("id")
    list(rows.select_for_update().values_list("pk", flat=True))


def _plan(tenant_id: uuid.UUID, agencies: Sequence[uuid.UUID], sheet: Sheet) -> Plan:
    names = [line.external_id for line in sheet.lines]
    rows = Rep.objects.for_tenant(tenant_id).select_related("agency")
    known = {rep.external_id: rep for rep in rows.filter(external_id__in=names)}
    places = _agencies(tenant_id, {line.agency for line in sheet.lines})
    planned: list[Planned] = []
    problems = list(sheet.problems)
    for line in sheet.lines:
        problem = _problem(line, known.get(line.external_id), places, agencies)
        if problem:
            problems.append(Problem(line.number, problem))
        else:
            planned.append(_planned(line, known.get(line.external_id)))
    fresh = {each.line.agency for each in planned} - {"", *places}
    problems.sort(key=lambda problem: problem.number)
    return Plan(tuple(planned), tuple(problems), tuple(sorted(fresh)))


def _problem(
    line: Line, rep: Rep | None, places: Mapping[str, Agency], agencies: Sequence[uuid.UUID]
) -> str:
    """Why somebody who is limited to agencies may not bring this line; empty: they may."""
    if not agencies:
        return ""
    if line.agency and line.agency not in places:
        return "This is none of your agencies."
    if rep is None and not line.agency:
        return "Name one of your agencies."
    if rep is not None and not is_own(rep, agencies):
        return "This rep is in another agency."
    return ""


def _planned(line: Line, rep: Rep | None) -> Planned:
    before = {field: getattr(rep, field) if rep else "" for field in FIELDS}
    before["agency"] = rep.agency.external_id if rep and rep.agency else ""
    changes = tuple(
        Change(field, before[field], getattr(line, field))
        for field in (*FIELDS, "agency")
        if getattr(line, field) not in {"", before[field]}
    )
    return Planned(line, rep is None, changes)


def _agencies(tenant_id: uuid.UUID, names: set[str]) -> dict[str, Agency]:
    rows = Agency.objects.for_tenant(tenant_id).filter(external_id__in=names - {""})
    return {agency.external_id: agency for agency in rows}


def _made(tenant_id: uuid.UUID, line: Line, places: Mapping[str, Agency]) -> Rep:
    return Rep(
        tenant_id=tenant_id,
        external_id=line.external_id,
        name=line.name,
        email=line.email,
        team=line.team,
        agency=places.get(line.agency),
    )


def _add(tenant_id: uuid.UUID, made: Sequence[Rep]) -> None:
    """A name that is taken is a rep whom the importer cannot see, or one that came just now."""
    Rep.objects.bulk_create(made, ignore_conflicts=True)
    there = Rep.objects.for_tenant(tenant_id).filter(pk__in=[rep.pk for rep in made])
    missing = {rep.pk: rep.external_id for rep in made}
    for pk in there.values_list("pk", flat=True):
        del missing[pk]
    if missing:
        name = min(missing.values())
        raise InvalidRequest(f"“{name[:60]}” cannot be added: the id is in use already.")


def _change(tenant_id: uuid.UUID, plan: Plan, places: Mapping[str, Agency], replace: bool) -> int:
    wanted = {
        each.line.external_id: [c for c in each.changes if replace or not c.replaces]
        for each in plan.planned
        if not each.is_new
    }
    rows = Rep.objects.for_tenant(tenant_id)
    reps = list(rows.filter(external_id__in=[name for name, changes in wanted.items() if changes]))
    for rep in reps:
        rep.sandbox_only = False
        for change in wanted[rep.external_id]:
            if change.field == "agency":
                rep.agency = places[change.after]
            else:
                setattr(rep, change.field, change.after)
                rep.told = [name for name in rep.told if name != change.field]
    Rep.objects.bulk_update(reps, [*FIELDS, "agency", "told", "sandbox_only"], batch_size=500)
    return len(reps)
