"""The dashboard's page of the agencies of a tenant: their names, who sees them, a new one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from calls.reps.agencies import agencies_set_up
from calls.reps.editing import agency_add
from calls.reps.people import agency_name
from calls.views.reps import reader_of
from tenants.abilities import Ability
from tenants.errors import InvalidRequest
from tenants.members import Member, for_members

PAGE = 50  # agencies; each has a form


@require_http_methods(["GET", "HEAD", "POST"])
@for_members(needs=Ability.ADMINISTER)
def agency_settings_page(request: HttpRequest, member: Member) -> HttpResponse:
    """/settings/agencies, by the integrator's ids, from `after` on; POST makes one"""
    if request.method != "POST":
        return _page(request, member)
    try:
        agency = agency_add(
            tenant_id=member.tenant_id,
            external_id=request.POST.get("external_id", ""),
            name=request.POST.get("name", ""),
            actor=member.actor,
        )
    except InvalidRequest as refused:
        return _page(request, member, refused)
    messages.success(request, f"Added: {agency_name(agency)}.")
    return redirect("agency-settings")


def _page(
    request: HttpRequest, member: Member, problem: InvalidRequest | None = None
) -> HttpResponse:
    after = request.GET.get("after", "").replace("\x00", "")
    rows = agencies_set_up(reader=reader_of(member), after=after, limit=PAGE + 1)
    context = {
        "rows": rows[:PAGE],
        "next": rows[PAGE - 1].agency.external_id if len(rows) > PAGE else "",
        "is_first": not after,
        "given": request.POST,
        "problem": problem,
    }
    status = problem.status if problem else 200
    return render(request, "settings/agencies.html", context, status=status)
