"""The dashboard's pages of assignments, and the page that ends their mails. docs/reps.md"""

import uuid
from datetime import date, timedelta

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from calls.assignments import giving, reminding, standing
from calls.assignments.giving import AssignmentNotFound, Wish
from calls.reps import people
from calls.reps.people import RepFilters
from calls.selectors import drills_to_choose
from calls.views.reps import reader_of
from tenants.abilities import Ability
from tenants.errors import AthosError, InvalidRequest
from tenants.members import Member, for_members
from tenants.selectors import database_now

PAGE = 10  # assignments; each tells how far all of its people are
CHOICES = 200  # reps to choose from; the others by agency, team or search
DUE_IN = timedelta(days=7)
PASS_MARK = 70


@require_safe
@for_members()
def assignment_pages(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /assignments, the newest first, older ones by `before`"""
    try:
        page = standing.assignments_page(
            reader=reader_of(member), limit=PAGE, cursor=request.GET.get("before", "")
        )
    except InvalidRequest:
        return redirect("assignment-pages")
    context = {
        "rows": page.rows,
        "older": page.next_cursor,
        "is_first": "before" not in request.GET,
        "today": database_now().date(),
    }
    return render(request, "assignments/list.html", context)


@require_safe
@for_members()
def assignment_page(request: HttpRequest, member: Member, assignment_id: str) -> HttpResponse:
    """GET /assignments/<public id>"""
    try:
        row, standings = standing.assignment_get(reader=reader_of(member), public_id=assignment_id)
    except AssignmentNotFound as missing:
        raise Http404 from missing
    context = {
        "row": row,
        "standings": standings,
        "by": standing.assigned_by(row.assignment),
        "today": database_now().date(),
    }
    return render(request, "assignments/assignment.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_members(needs=Ability.COACH)
def assignment_add(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /assignments/add, prefilled by `drill`, `check`, `rep` (several), `agency`, `team`"""
    if request.method != "POST":
        return _add_form(request, member, request.GET)
    try:
        made = giving.assignment_create(
            tenant_id=member.tenant_id,
            agencies=member.membership.agencies,
            wish=_wish(request.POST),
            actor=member.actor,
        )
    except AthosError as refused:
        return _add_form(request, member, request.POST, refused)
    messages.success(request, "Assigned. Those with an e-mail address get a mail now.")
    return redirect("assignment-page", made.public_id)


@require_POST
@for_members(needs=Ability.COACH)
def assignment_cancel_page(
    request: HttpRequest, member: Member, assignment_id: str
) -> HttpResponse:
    """POST /assignments/<public id>/cancel"""
    try:
        giving.assignment_cancel(
            tenant_id=member.tenant_id,
            agencies=member.membership.agencies,
            public_id=assignment_id,
            actor=member.actor,
        )
        messages.success(request, "Cancelled. Nobody is reminded of it any more.")
    except AssignmentNotFound as missing:
        raise Http404 from missing
    except AthosError as refused:
        messages.error(request, refused.message)
    return redirect("assignment-page", assignment_id)


@csrf_exempt  # what is sealed into the address is the right; mail programs post it (RFC 8058)
@require_http_methods(["GET", "HEAD", "POST"])
def reminders_stop_page(request: HttpRequest, stop: str) -> HttpResponse:
    """/reminders/stop/<stop>: asks first, since scanners of mails open links; POST does it"""
    try:
        if request.method == "POST":
            reminding.reminders_stop(stop)
        else:
            reminding.stop_link_read(stop)
    except reminding.LinkBroken as broken:
        raise Http404 from broken
    context = {"stopped": request.method == "POST"}
    response = render(request, "assignments/stop.html", context)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _wish(given: QueryDict) -> Wish:
    try:
        due_on = date.fromisoformat(given.get("due_on", ""))
    except ValueError as odd:
        raise InvalidRequest("Choose a day.", details={"field": "due_on"}) from odd
    mark = given.get("pass_mark", "")
    try:
        form_id = uuid.UUID(given.get("form_id", ""))
    except ValueError:
        form_id = uuid.uuid4()
    return Wish(
        form_id=form_id,
        drill_key=given.get("drill", ""),
        due_on=due_on,
        pass_mark=int(mark) if mark.isascii() and mark.isdigit() and len(mark) <= 3 else 0,
        reps=given.getlist("rep"),
        agency=given.get("agency", ""),
        team=given.get("team", ""),
        focus=given.get("focus", ""),
        note=given.get("note", ""),
    )


def _add_form(
    request: HttpRequest, member: Member, given: QueryDict, problem: AthosError | None = None
) -> HttpResponse:
    reader, drill = reader_of(member), given.get("drill", "")
    drills = drills_to_choose(tenant_id=member.tenant_id)
    with people.reading(reader):
        chosen = given.getlist("rep")[: giving.MOST_REPS]
        named = people.reps_named(reader=reader, public_ids=chosen)
        offered = people.reps_page(reader=reader, filters=RepFilters(), limit=CHOICES)
        agencies = people.agency_choices(reader=reader)
        teams = people.team_choices(reader=reader)
        focus = given.get("focus") or standing.check_title(
            reader=reader, drill_key=drill, check_key=given.get("check", "")
        )
    today = timezone.now().date()
    known = {rep.pk for rep in named}
    context = {
        "drills": drills,
        "drill": drill,
        "reps": named + [rep for rep in offered.reps if rep.pk not in known],
        "chosen": {rep.public_id for rep in named},
        "more": offered.next_cursor is not None,
        "agencies": agencies,
        "teams": teams,
        "agency": given.get("agency", ""),
        "team": given.get("team", ""),
        "due_on": given.get("due_on") or (today + DUE_IN).isoformat(),
        "today": today.isoformat(),
        "latest": (today + giving.FURTHEST).isoformat(),
        "pass_mark": given.get("pass_mark") or PASS_MARK,
        "focus": focus[: giving.FOCUS_LONGEST],
        "note": given.get("note", ""),
        "form_id": given.get("form_id") or uuid.uuid4(),
        "problem": problem,
        "field": (problem.details or {}).get("field") if problem else None,
    }
    return render(
        request, "assignments/add.html", context, status=problem.status if problem else 200
    )
