"""The dashboard's pages for those who develop: quickstart, usage, embedding."""

import csv
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from calls.history.listing import Reader
from calls.reps.agencies import agencies_named
from calls.selectors import drill_keys
from calls.services.embedding import site_find, site_key_make
from calls.services.first_steps import first_steps
from calls.usage.counting import Month, Tally, usage_of
from calls.usage.daily import Day, days_by_agency, days_of, months_before
from tenants.abilities import Ability
from tenants.branding import WEB_SITES_MAX, web_site_add, web_site_remove
from tenants.errors import AthosError, InvalidRequest
from tenants.isolation import tenant_scope
from tenants.members import Member, for_members
from tenants.models import ApiKey, Tenant
from tenants.reauth import fresh_sign_in
from tenants.request_reading import origins_refused
from tenants.selectors import database_now
from tenants.services import KeyWish, api_key_issue

MONTHS = 13
AGENCIES = 50  # shown; the table to keep has all
REFUSED = 5  # web sites
DRILL = "ma-full-sale"
STOP_POLLING = 286  # what htmx takes for the last answer
QUICKSTART_KEY = KeyWish(
    name="Quickstart",
    mode=ApiKey.Mode.TEST,
    scopes=("sessions:write", "calls:read", "webhooks:write"),
)
BAR, GAP, HEIGHT = 16, 4, 120  # units of the picture
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


# --- quickstart ----------------------------------------------------------------------------------


@require_safe
@for_members(needs=Ability.DEVELOP)
def quickstart_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /developers/quickstart"""
    return _quickstart(request, member)


@require_safe
@for_members(needs=Ability.DEVELOP)
def quickstart_steps(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /developers/quickstart/steps: the ticks, asked for until all of them are there."""
    steps = first_steps(tenant_id=member.tenant_id)
    status = STOP_POLLING if steps.done else 200
    return render(request, "calls/developers/_steps.html", {"steps": steps}, status=status)


@require_POST
@for_members(needs=Ability.DEVELOP)
@fresh_sign_in
def quickstart_key(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /developers/quickstart/key: the page once more, with a test key in its snippets."""
    try:
        _, text = api_key_issue(
            tenant=_tenant(member), holder=None, wish=QUICKSTART_KEY, actor=member.actor
        )
    except AthosError as refused:
        messages.error(request, refused.message)
        return redirect("key-pages")
    return _quickstart(request, member, key=text)


def _quickstart(request: HttpRequest, member: Member, *, key: str = "") -> HttpResponse:
    drills = drill_keys(tenant_id=member.tenant_id)
    context = {
        "base": settings.PUBLIC_URL,
        "key": key,
        "drill": DRILL if DRILL in drills or not drills else drills[0],
        "drills": drills,
        "steps": first_steps(tenant_id=member.tenant_id),
    }
    return render(request, "calls/developers/quickstart.html", context)


# --- usage ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the picture, in its units."""

    day: Day
    x: int
    y: float
    height: float
    minutes: float


@require_safe
@for_members(needs=Ability.DEVELOP)
def usage_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /developers/usage, with `month`"""
    try:
        month = _month(request)
    except InvalidRequest:
        return redirect("usage-page")
    tenant, reader = _tenant(member), Reader(member.tenant_id, mode=member.mode)
    usage = usage_of(tenant=tenant, reader=reader, month=str(month))
    days = days_of(reader=reader, month=month)
    ordered = sorted(usage.agencies.items(), key=lambda item: (-item[1].seconds, item[0] or ""))
    shown = ordered[:AGENCIES]
    names = agencies_named(reader=reader, external_ids=[agency for agency, _ in shown if agency])
    allowed = usage.minutes_allowed
    used = usage.total.seconds / 60
    context = {
        "month": month,
        "months": months_before(database_now(), most=MONTHS),
        "total": _tally(usage.total),
        "allowed": allowed,
        "share": round(100 * used / allowed) if allowed else None,
        "agencies": [(key, names.get(key or "", ""), _tally(tally)) for key, tally in shown],
        "agencies_hidden": len(ordered) - len(shown),
        "bars": _bars(days),
        "most": max((day.seconds for day in days), default=0) / 60,
        "width": len(days) * (BAR + GAP) - GAP,
        "first": days[0].day,
        "last": days[-1].day,
        "bar": BAR,
        "height": HEIGHT,
    }
    return render(request, "calls/developers/usage.html", context)


@require_safe
@for_members(needs=Ability.DEVELOP)
def usage_csv(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /developers/usage.csv, with `month`: a line for each day and agency."""
    try:
        month = _month(request)
    except InvalidRequest:
        return redirect("usage-page")
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    name = f"athos-usage-{month}-{member.mode}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    rows = csv.writer(response)
    rows.writerow(
        ["day", "mode", "externalAgencyId", "calls", "scoredCalls", "minutes", "billableMinutes"]
    )
    for day in days_by_agency(reader=Reader(member.tenant_id, mode=member.mode), month=month):
        minutes = [f"{seconds / 60:.2f}" for seconds in (day.seconds, day.billable_seconds)]
        agency = _cell(day.agency or "")
        rows.writerow([day.day, member.mode, agency, day.calls, day.scored, *minutes])
    return response


def _month(request: HttpRequest) -> Month:
    given = request.GET.get("month")
    return Month.parse(given) if given else Month.of(database_now())


def _tally(tally: Tally) -> dict[str, float]:
    return {
        "calls": tally.calls,
        "scored": tally.scored,
        "minutes": tally.seconds / 60,
        "billable": tally.billable_seconds / 60,
    }


def _bars(days: list[Day]) -> list[Bar]:
    most = max((day.seconds for day in days), default=0) or 1
    heights = [round(HEIGHT * day.seconds / most, 1) for day in days]
    return [
        Bar(day, number * (BAR + GAP), round(HEIGHT - height, 1), height, day.seconds / 60)
        for number, (day, height) in enumerate(zip(days, heights, strict=True))
    ]


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


# --- embedding -----------------------------------------------------------------------------------


@require_safe
@for_members(needs=Ability.DEVELOP)
def embedding_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /developers/embedding: what goes into an integrator's page, and who may frame it."""
    return _embedding(request, member)


@require_POST
@for_members(needs=Ability.DEVELOP)
def web_site_add_page(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /developers/embedding/add"""
    given = request.POST.get("origin", "")[:300]
    try:
        web_site_add(tenant_id=member.tenant_id, origin=given, actor=member.actor)
    except AthosError as refused:
        return _embedding(request, member, problem=refused.message, given=given)
    messages.success(request, "Added. It holds from the next opening on.")
    return redirect("embedding-page")


@require_POST
@for_members(needs=Ability.DEVELOP)
def web_site_remove_page(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /developers/embedding/remove"""
    origin = request.POST.get("origin", "")
    web_site_remove(tenant_id=member.tenant_id, origin=origin, actor=member.actor)
    messages.success(request, "Removed. Calls that run there go on to their end.")
    return redirect("embedding-page")


def _embedding(
    request: HttpRequest, member: Member, *, problem: str = "", given: str = ""
) -> HttpResponse:
    site_key = site_key_make(tenant_id=member.tenant_id)
    origins = site_find(site_key).origins
    drills = drill_keys(tenant_id=member.tenant_id)
    query = urlencode({"drill": DRILL if DRILL in drills else "your-drill", "site": site_key})
    refused = origins_refused(tenant_id=member.tenant_id, most=REFUSED)
    context = {
        "origins": origins,
        "most": WEB_SITES_MAX,
        "refused": [each for each in refused if each[0] not in origins],
        "base": settings.PUBLIC_URL,
        "address": f"{settings.PUBLIC_URL}{reverse('embed-roleplay')}?{query}",
        "problem": problem,
        "given": given,
    }
    return render(
        request, "calls/developers/embedding.html", context, status=400 if problem else 200
    )


def _tenant(member: Member) -> Tenant:
    with tenant_scope(member.tenant_id):
        return Tenant.objects.get(pk=member.tenant_id)
