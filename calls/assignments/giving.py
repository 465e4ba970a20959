"""Giving people a drill to practise, and taking that back."""

import re
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Q
from django.db.models.functions import Now

from calls.models import Assignee, Assignment
from calls.reps.editing import text_checked
from calls.selectors import drill_find
from tenants.errors import AthosError, InsufficientScope, InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Rep, Tenant
from tenants.selectors import database_now
from tenants.services import audit
from work.bell import ring

MOST_REPS = 500  # of one assignment
FURTHEST = timedelta(days=366)
NOTE_LONGEST, FOCUS_LONGEST = 1000, 200  # characters
_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


class AssignmentNotFound(AthosError):
    code, status, message = "ASSIGNMENT_NOT_FOUND", 404, "There is no such assignment."


@dataclass(frozen=True, slots=True)
class Wish:
    """Who is to practise what. Reps and the agency go by public ids; a team is within an agency,
    or where none is named in all of them."""

    form_id: uuid.UUID
    drill_key: str
    due_on: date
    pass_mark: int
    reps: Collection[str] = ()
    agency: str = ""
    team: str = ""
    focus: str = ""
    note: str = ""


def assignment_create(
    *, tenant_id: uuid.UUID, agencies: Sequence[uuid.UUID], wish: Wish, actor: str
) -> Assignment:
    """Give it to those who are there now; the same form sent twice gives it once.

    `agencies` is the limit of who asks. Raises InvalidRequest, which names the field.
    """
    focus = text_checked(wish.focus, "focus", longest=FOCUS_LONGEST)
    note = note_checked(wish.note)
    with tenant_scope(tenant_id, agencies=agencies):
        made = Assignment.objects.for_tenant(tenant_id).filter(form_id=wish.form_id).first()
        if made is not None:
            return made
        _check_wish(tenant_id, wish)
        people = _people(tenant_id, agencies, wish)
        assignment = Assignment(
            tenant_id=tenant_id,
            form_id=wish.form_id,
            drill_key=wish.drill_key,
            focus=focus,
            due_on=wish.due_on,
            pass_mark=wish.pass_mark,
            note=note,
            agencies=sorted({rep.agency_id for rep in people if rep.agency_id}),
            created_by=actor,
        )
        Assignment.objects.bulk_create([assignment], ignore_conflicts=True)
        made = Assignment.objects.for_tenant(tenant_id).get(form_id=wish.form_id)
        if made.pk != assignment.pk:  # a rival with the same form was first
            return made
        _give(made, people)
        audit(
            tenant_id=tenant_id,
            actor=actor,
            action="assignment.create",
            target=f"assignment:{made.public_id}",
            details={"drill": made.drill_key, "reps": len(people)},
        )
    return made


def assignment_cancel(
    *, tenant_id: uuid.UUID, agencies: Sequence[uuid.UUID], public_id: str, actor: str
) -> Assignment:
    """Ask for it no longer, and send no more mails. Who is limited cancels only what is all theirs.

    Cancelling twice is harmless. Raises AssignmentNotFound, InsufficientScope.
    """
    with tenant_scope(tenant_id, agencies=agencies):
        rows = Assignment.objects.for_tenant(tenant_id).select_for_update()
        rows = rows.filter(agencies__overlap=list(agencies)) if agencies else rows
        assignment = rows.filter(public_id=public_id).first()
        if assignment is None:
            raise AssignmentNotFound
        if agencies and not set(assignment.agencies) <= set(agencies):
            raise InsufficientScope("People of other agencies have this assignment too.")
        if assignment.cancelled_at is not None:
            return assignment
        assignment.cancelled_at = database_now()
        assignment.save(update_fields=["cancelled_at"])
        Assignee.objects.for_tenant(tenant_id).filter(assignment=assignment).update(due_at=None)
        audit(
            tenant_id=tenant_id,
            actor=actor,
            action="assignment.cancel",
            target=f"assignment:{assignment.public_id}",
        )
    return assignment


def note_checked(text: str) -> str:
    """A few lines for the people who get it."""
    lines = [text_checked(line, "note", longest=NOTE_LONGEST) for line in text.splitlines()]
    note = "\n".join(lines).strip()
    if len(note) > NOTE_LONGEST:
        raise _refused("note", f"The note has at most {NOTE_LONGEST} characters.")
    return note


def _check_wish(tenant_id: uuid.UUID, wish: Wish) -> None:
    known = _KEY.fullmatch(wish.drill_key)
    if not known or drill_find(tenant=Tenant(id=tenant_id), key=wish.drill_key) is None:
        raise _refused("drill", "Choose a drill.")
    if not 1 <= wish.pass_mark <= 100:
        raise _refused("pass_mark", "The points to reach are 1 to 100.")
    today = database_now().date()
    if not today <= wish.due_on <= today + FURTHEST:
        raise _refused("due_on", "The day is today or later, within a year.")


def _people(tenant_id: uuid.UUID, agencies: Sequence[uuid.UUID], wish: Wish) -> list[Rep]:
    """Those named, and those of the agency and team."""
    chosen = Q(public_id__in=list(wish.reps)[: MOST_REPS + 1])
    if wish.agency or wish.team:
        group = Q(agency__public_id=wish.agency) if wish.agency else Q()
        chosen |= group & Q(team=wish.team) if wish.team else group
    rows = Rep.objects.for_tenant(tenant_id)
    rows = rows.filter(agency_id__in=agencies) if agencies else rows
    found = list(rows.filter(chosen).order_by("id")[: MOST_REPS + 1])
    if not found:
        raise _refused("reps", "Choose at least one rep, an agency or a team.")
    if len(found) > MOST_REPS:
        raise _refused("reps", f"An assignment is for at most {MOST_REPS} reps.")
    if not set(wish.reps) <= {rep.public_id for rep in found}:
        raise _refused("reps", "One of these reps is not there any more.")
    return found


def _give(assignment: Assignment, people: Sequence[Rep]) -> None:
    Assignee.objects.bulk_create(
        Assignee(
            tenant_id=assignment.tenant_id,
            assignment=assignment,
            rep=rep,
            agency_id=rep.agency_id,
            due_at=Now(),
        )
        for rep in people
    )
    ring("remind")


def _refused(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(problem, details={"field": field})
