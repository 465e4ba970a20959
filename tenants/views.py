"""Pages about the signed-in person."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from tenants.members import membership_choose


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("call-pages" if request.user.is_authenticated else "account_login")


@require_POST
@login_required
def tenant_choose(request: HttpRequest) -> HttpResponse:
    """POST /tenant: the form in the page's head."""
    membership_choose(request, request.POST.get("membership", ""))
    return redirect("call-pages")
