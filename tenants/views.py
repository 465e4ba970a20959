"""Pages about the signed-in person."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from tenants.members import membership_choose, mode_choose


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("call-pages" if request.user.is_authenticated else "account_login")


@require_POST
@login_required
def tenant_choose(request: HttpRequest) -> HttpResponse:
    """POST /tenant: the form in the page's head."""
    membership_choose(request, request.POST.get("membership", ""))
    return redirect("call-pages")


@require_POST
@login_required
def mode_choose_page(request: HttpRequest) -> HttpResponse:
    """POST /mode: the page's head, between live calls and the sandbox. Back to `next`."""
    mode_choose(request, request.POST.get("mode", ""))
    back = request.POST.get("next", "")
    return redirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "home")
