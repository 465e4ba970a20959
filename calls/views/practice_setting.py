"""The dashboard's page of what reps may decide about their practice. docs/reps.md"""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from calls.services.embedding import private_practice_allowed, private_practice_set
from tenants.abilities import Ability
from tenants.members import Member, for_members


@require_http_methods(["GET", "HEAD", "POST"])
@for_members(needs=Ability.ADMINISTER)
def practice_page(request: HttpRequest, member: Member) -> HttpResponse:
    """/settings/practice: whether reps may keep a call to themselves"""
    if request.method == "POST":
        allowed = request.POST.get("private_practice") == "1"
        private_practice_set(tenant_id=member.tenant_id, allowed=allowed, actor=member.actor)
        messages.success(request, "Saved. It holds for calls that begin from now on.")
        return redirect("practice-page")
    allowed = private_practice_allowed(tenant_id=member.tenant_id)
    return render(request, "reps/practice.html", {"allowed": allowed})
