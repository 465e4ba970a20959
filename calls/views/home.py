"""Home: what a training manager wants to know on a Monday morning."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from typing import Literal
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from calls.history.listing import Reader
from calls.history.team import ENOUGH, Period, Sums, Team, WeakCheck, agencies_seen, team_find
from calls.services.first_steps import first_steps
from calls.views.demo_month import demo_month_of
from tenants.abilities import Ability
from tenants.charts import Chart, Series
from tenants.members import Member, for_members
from tenants.models import Agency

PERIODS = {7: "7 days", 30: "30 days", 90: "90 days"}
HIDDEN = "first_steps_hidden"  # key of the session
USUAL, WEEKLY_FROM = 30, 60  # days


@require_safe
@for_members()
def home(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /, with `days` and `agency` (as the integrator names it)"""
    reader = Reader(member.tenant_id, member.membership.agencies, member.mode)
    days, named = request.GET.get("days", str(USUAL)), request.GET.get("agency", "")
    if days not in map(str, PERIODS):
        return redirect("home")
    now = timezone.now()
    period = Period.until(now.astimezone(UTC).date(), int(days))
    with reader.scope():
        agencies = agencies_seen(reader)
        agency = next((found for found in agencies if found.external_id == named), None)
        if named and agency is None:
            return redirect("home")
        team = team_find(reader=reader, period=period, now=now, agency=agency, agencies=agencies)
    shows_steps = Ability.DEVELOP in member.abilities and HIDDEN not in request.session
    context = {
        "team": team,
        "tiles": _tiles(team, period, agency),
        "charts": _charts(team, period) if team.by_day else [],
        "weakest": [_weak(check) for check in team.weakest],
        "enough": ENOUGH,
        "demo_month": demo_month_of(member),
        # where there is little else they come at once, else when the figures are there
        "steps": first_steps(tenant_id=member.tenant_id)
        if shows_steps and not team.by_day
        else None,
        "first_steps": shows_steps,
        "periods": [(n, label, n == period.days) for n, label in PERIODS.items()],
        "period": period,
        "agency": agency,
        "heading": (agency.name or agency.external_id) if agency else member.membership.tenant_name,
    }
    return render(request, "calls/home.html", context)


@require_safe
@for_members(needs=Ability.DEVELOP)
def first_steps_card(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /first-steps: home's card for who develops, empty once all is done."""
    return render(
        request, "calls/_first_steps.html", {"steps": first_steps(tenant_id=member.tenant_id)}
    )


@require_POST
@for_members(needs=Ability.DEVELOP)
def first_steps_hide(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /first-steps/hide: not again in this session."""
    request.session[HIDDEN] = True
    return redirect("home")


def _tiles(team: Team, period: Period, agency: Agency | None) -> list[tuple[str, str, str, str]]:
    """Of each figure its name, its value, what stands behind it and where that is listed."""
    now, earlier = team.now, team.earlier
    mean = "–" if now.mean is None else f"{now.mean:.0f}"
    past = f"in the {period.days} days before"
    who = {"practised": str(period.days)} | ({"agency": agency.public_id} if agency else {})
    reps = f"{reverse('rep-pages')}?{urlencode(who)}"
    calls = f"{reverse('call-pages')}?{urlencode({'from': str(period.first)} | _named(agency))}"
    return [
        ("Reps who practised", f"{team.practised:,}", f"scored in these {period.days} days", reps),
        ("Calls", f"{now.calls:,}", f"{now.scored:,} scored; {earlier.calls:,} {past}", calls),
        ("Practice", f"{now.seconds // 60:,} min", f"{earlier.seconds // 60:,} min {past}", ""),
        ("Mean score", mean, _compared(now, earlier), ""),
    ]


def _named(agency: Agency | None) -> dict[str, str]:
    """For the query of a page that takes an agency as the integrator names it."""
    return {"agency": agency.external_id} if agency else {}


def _compared(now: Sums, earlier: Sums) -> str:
    """With the period before, where both have enough to say something."""
    if now.mean is None:
        return "no score yet"
    told = f"of 100, n = {now.scored:,}"
    if now.scored < ENOUGH or earlier.scored < ENOUGH or earlier.mean is None:
        return told
    change = round(now.mean) - round(earlier.mean)
    return (
        f"{told}; {change:+d} on the {earlier.scored:,} before" if change else f"{told}; as before"
    )


def _charts(team: Team, period: Period) -> list[Chart]:
    weekly = period.days >= WEEKLY_FROM
    spans = _spans(team, period, 7 if weekly else 1)
    days = [day for day, _ in spans]
    span: Literal["Day", "Week of"] = "Week of" if weekly else "Day"
    minutes = Series("Minutes", [sums.seconds / 60 for _, sums in spans])
    means = Series("Mean score", [sums.mean for _, sums in spans])
    return [
        Chart(
            title="Mean score",
            unit="points of 100",
            days=days,
            series=[means],
            counts=[sums.scored for _, sums in spans],
            counted="scored calls",
            high=100,
            span=span,
        ),
        Chart(
            title="Practice",
            unit="minutes",
            days=days,
            series=[minutes],
            counts=[sums.calls for _, sums in spans],
            kind="bars",
            span=span,
        ),
    ]


def _spans(team: Team, period: Period, length: int) -> Sequence[tuple[date, Sums]]:
    """The period in spans of so many days, the last one whole."""
    found = []
    begin = period.last - timedelta(days=length - 1)
    while begin + timedelta(days=length) > period.first:
        days = (begin + timedelta(days=n) for n in range(length))
        held = [team.by_day[day] for day in days if day in team.by_day]
        found.append((max(begin, period.first), Sums.of(held) if held else Sums()))
        begin -= timedelta(days=length)
    return found[::-1]


def _weak(check: WeakCheck) -> dict[str, object]:
    assign = reverse("assignment-add")
    query = urlencode({"drill": check.drill_key, "check": check.check_key})
    return {"check": check, "assign": f"{assign}?{query}", "share": check.met + check.partly / 2}
