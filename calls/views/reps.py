"""The dashboard's pages of reps and agencies. docs/reps.md"""

from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from calls.assignments import standing
from calls.history.listing import Page, Reader
from calls.models import Call
from calls.reps import people
from calls.reps.agencies import agency_months, agency_rows
from calls.reps.editing import ChangedMeanwhile, RepDetails, agency_rename, rep_update
from calls.reps.people import AgencyNotFound, RepFilters, RepNotFound
from calls.reps.practice import practice_of
from calls.reps.progress import DrillProgress, calls_of_rep, checks_of, drills_of
from calls.views import presenting
from tenants.abilities import Ability
from tenants.errors import AthosError, InvalidRequest
from tenants.members import Member, for_members
from tenants.models import Rep

PAGE = 25  # reps
ATTEMPTS = 15


@require_safe
@for_members()
def rep_pages(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /reps: by name, with `q`, `agency`, `team`, `practised`, `unnamed`, `after`"""
    reader, filters = reader_of(member), _filters(request)
    try:
        with people.reading(reader):
            page = people.reps_page(
                reader=reader, filters=filters, limit=PAGE, cursor=request.GET.get("after", "")
            )
            context = {
                "filters": filters,
                "rows": rep_rows(reader, page.reps),
                "agencies": people.agency_choices(reader=reader),
                "teams": people.team_choices(reader=reader),
                "practised": people.PRACTISED.items(),
                "next": _next(filters, page.next_cursor),
                "is_first": "after" not in request.GET,
            }
    except InvalidRequest:
        return redirect("rep-pages")
    return render(request, "reps/list.html", context)


@require_safe
@for_members()
def rep_page(request: HttpRequest, member: Member, rep_id: str) -> HttpResponse:
    """GET /reps/<public id>, with `drill` and `before`"""
    try:
        with people.reading(reader_of(member)):
            rep = people.rep_get(reader=reader_of(member), public_id=rep_id)
            return _rep(request, member, rep)
    except RepNotFound as missing:
        raise Http404 from missing
    except InvalidRequest:
        return redirect("rep-page", rep_id)


@require_POST
@for_members(needs=Ability.COACH)
def rep_edit(request: HttpRequest, member: Member, rep_id: str) -> HttpResponse:
    """POST /reps/<public id>/edit"""
    given = request.POST
    wanted = RepDetails(*(given.get(name, "") for name in ("name", "email", "team", "agency")))
    try:
        rep = rep_update(
            tenant_id=member.tenant_id,
            agencies=member.membership.agencies,
            public_id=rep_id,
            wanted=wanted,
            seen=given.get("seen", ""),
            actor=member.actor,
        )
    except RepNotFound as missing:
        raise Http404 from missing
    except AthosError as refused:
        rep = people.rep_get(reader=reader_of(member), public_id=rep_id)
        kept = None if isinstance(refused, ChangedMeanwhile) else wanted
        return _rep(request, member, rep, problem=refused, form=kept)
    messages.success(request, f"Saved: {people.rep_name(rep)}.")
    return redirect("rep-page", rep.public_id)


@require_safe
@for_members()
def agency_pages(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /agencies"""
    context = {"rows": agency_rows(reader=reader_of(member))}
    return render(request, "reps/agencies.html", context)


@require_safe
@for_members()
def agency_page(request: HttpRequest, member: Member, agency_id: str) -> HttpResponse:
    """GET /agencies/<public id>, with `after`"""
    try:
        with people.reading(reader_of(member)):
            return _agency(request, member, agency_id)
    except AgencyNotFound as missing:
        raise Http404 from missing
    except InvalidRequest:
        return redirect("agency-page", agency_id)


@require_POST
@for_members(needs=Ability.COACH)
def agency_edit(request: HttpRequest, member: Member, agency_id: str) -> HttpResponse:
    """POST /agencies/<public id>/edit"""
    try:
        agency = agency_rename(
            tenant_id=member.tenant_id,
            agencies=member.membership.agencies,
            public_id=agency_id,
            name=request.POST.get("name", ""),
            actor=member.actor,
        )
    except AgencyNotFound as missing:
        raise Http404 from missing
    except InvalidRequest as refused:
        return _agency(request, member, agency_id, problem=refused)
    messages.success(request, f"Saved: {people.agency_name(agency)}.")
    if request.POST.get("from") == "settings":
        return redirect("agency-settings")
    return redirect("agency-page", agency_id)


def reader_of(member: Member) -> Reader:
    return Reader(member.tenant_id, member.membership.agencies, member.mode)


def rep_rows(reader: Reader, reps: Sequence[Rep]) -> list[dict[str, object]]:
    """For the partial `reps/_rows.html`."""
    practice = practice_of(reader=reader, reps=reps)
    return [{"rep": rep, "practice": practice[rep.pk]} for rep in reps]


def _rep(
    request: HttpRequest,
    member: Member,
    rep: Rep,
    *,
    problem: AthosError | None = None,
    form: RepDetails | None = None,
) -> HttpResponse:
    reader = reader_of(member)
    drills = drills_of(reader=reader, rep=rep)
    chosen = _chosen(drills, request.GET.get("drill", ""))
    attempts = calls_of_rep(
        reader=reader, rep=rep, limit=ATTEMPTS, cursor=request.GET.get("before", "")
    )
    checks = checks_of(reader=reader, attempts=chosen.attempts) if chosen else []
    details = RepDetails.of(rep)
    context = {
        "rep": rep,
        "name": people.rep_name(rep),
        "practice": practice_of(reader=reader, reps=[rep])[rep.pk],
        "drills": drills,
        "chosen": chosen,
        "checks": checks,
        "has_past": any(check.trend.direction != "unknown" for check in checks),
        "calls": [_call_row(call) for call in attempts.calls],
        "assigned": _assigned(member, rep),
        "older": _older(attempts, request.GET.get("drill", "")),
        "is_own": people.is_own(rep, member.membership.agencies),
        "agencies": people.agency_choices(reader=reader),
        "form": form or details,
        "seen": details.digest,
        "problem": problem,
        "field": (problem.details or {}).get("field") if problem else None,
    }
    status = problem.status if problem else 200
    return render(request, "reps/rep.html", context, status=status)


def _assigned(member: Member, rep: Rep) -> list[dict[str, object]]:
    reader = reader_of(member)
    standings = standing.assignments_of_rep(reader=reader, rep=rep)
    titles = standing.titles_of(reader=reader, standings=standings)
    return [{"standing": s, "title": titles[s.assignment.drill_key]} for s in standings]


def _agency(
    request: HttpRequest, member: Member, agency_id: str, problem: AthosError | None = None
) -> HttpResponse:
    reader = reader_of(member)
    agency = people.agency_get(reader=reader, public_id=agency_id)
    filters = RepFilters(agency=agency.public_id)
    page = people.reps_page(
        reader=reader, filters=filters, limit=PAGE, cursor=request.GET.get("after", "")
    )
    context = {
        "agency": agency,
        "name": people.agency_name(agency),
        "rows": rep_rows(reader, page.reps),
        "months": agency_months(reader=reader, agency=agency),
        "next": page.next_cursor,
        "is_first": "after" not in request.GET,
        "problem": problem,
    }
    return render(request, "reps/agency.html", context, status=problem.status if problem else 200)


def _filters(request: HttpRequest) -> RepFilters:
    given = {name: request.GET.get(name, "").strip() for name in ("q", "agency", "team")}
    text = {
        name: value[: people.LONGEST_SEARCH].replace("\x00", "") for name, value in given.items()
    }
    practised = request.GET.get("practised", "")
    return RepFilters(
        *(text["q"], text["agency"], text["team"]),
        unnamed=bool(request.GET.get("unnamed")),
        practised=practised if practised in people.PRACTISED else "",
    )


def _next(filters: RepFilters, cursor: str | None) -> str:
    """The query of the next page; empty where there is none."""
    if cursor is None:
        return ""
    names = {"search": "q"}
    chosen = {names.get(k, k): v if v is not True else "1" for k, v in asdict(filters).items() if v}
    return urlencode(chosen | {"after": cursor})


def _older(page: Page, drill: str) -> str:
    if page.next_cursor is None:
        return ""
    return urlencode(({"drill": drill} if drill else {}) | {"before": page.next_cursor})


def _chosen(drills: list[DrillProgress], key: str) -> DrillProgress | None:
    """The drill asked for, else the one practised last."""
    return next((drill for drill in drills if drill.key == key), drills[0] if drills else None)


def _call_row(call: Call) -> dict[str, object]:
    stage, stage_name = presenting.stage_of(call)
    return {
        "call": call,
        "drill": call.drill.title,
        "stage": stage,
        "stage_name": stage_name,
        "length": presenting.length_of(call),
        "at": call.started_at or call.created_at,
        "points": None if call.private else call.overall,
    }
