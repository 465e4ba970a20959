"""The demo's month from the dashboard: one click to have it made, one to be rid of it.

For a first look at an embedded installation, and nowhere else. docs/operations.md
"""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from calls.sandbox.month import (
    Standing,
    demo_month_create,
    demo_month_remove,
    demo_month_standing,
)
from calls.sandbox.month_plan import month
from tenants.abilities import Ability
from tenants.errors import AthosError
from tenants.members import Member, for_members, mode_choose
from tenants.models import ApiKey, Tenant


def demo_month_of(member: Member) -> dict[str, object] | None:
    """For the partial `calls/_demo_month.html`; None: this is not the place, or not the person."""
    if not settings.EMBEDDED or Ability.DEVELOP not in member.abilities:
        return None
    return {"standing": demo_month_standing(tenant_id=member.tenant_id), "planned": month().calls}


@require_safe
@for_members(needs=Ability.DEVELOP)
def demo_month_card(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /demo-month: how far it is; the whole page is fetched anew once it is there."""
    found = demo_month_of(member)
    if found is None:
        raise Http404
    standing = found["standing"]
    if isinstance(standing, Standing) and standing.is_ready:
        return HttpResponseClientRefresh()
    return render(request, "calls/_demo_month.html", {"demo_month": found})


@require_POST
@for_members(needs=Ability.DEVELOP)
def demo_month_fill(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /demo-month/fill: have it made, and look at the sandbox, where it appears."""
    _only_embedded()
    try:
        demo_month_create(tenant=Tenant(pk=member.tenant_id), now=timezone.now())
    except AthosError as refused:
        messages.error(request, refused.message)
    else:
        mode_choose(request, ApiKey.Mode.TEST)
    return redirect("home")


@require_POST
@for_members(needs=Ability.DEVELOP)
def demo_month_clear(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /demo-month/clear: erase it with its reps."""
    _only_embedded()
    demo_month_remove(tenant=Tenant(pk=member.tenant_id), actor=member.actor)
    messages.success(request, "The demo month is being erased.")
    return redirect("home")


def _only_embedded() -> None:
    if not settings.EMBEDDED:
        raise Http404
