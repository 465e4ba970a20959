"""Pages about the signed-in person."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from tenants.invitations import (
    Found,
    InvitationNotFound,
    account_set_up,
    invitation_accept,
    invitation_find,
)
from tenants.members import membership_choose, mode_choose
from tenants.models import User


@require_POST
@login_required
def tenant_choose(request: HttpRequest) -> HttpResponse:
    """POST /tenant: the form in the page's head."""
    membership_choose(request, request.POST.get("membership", ""))
    return redirect("home")


@require_POST
@login_required
def mode_choose_page(request: HttpRequest) -> HttpResponse:
    """POST /mode: the page's head, between live calls and the sandbox. Back to `next`."""
    mode_choose(request, request.POST.get("mode", ""))
    back = request.POST.get("next", "")
    return redirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "home")


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("password")
@cache_control(private=True, no_store=True)
def invitation_page(request: HttpRequest, secret: str) -> HttpResponse:
    """GET and POST /invitation/<secret>: the link of a mail. It is good once, for one address."""
    try:
        found = invitation_find(secret)
        if request.method == "POST":
            return _invitation_take(request, secret, found)
    except InvitationNotFound:
        return render(request, "tenants/invitation_over.html", status=404)
    return _invitation(request, found)


def _invitation_take(request: HttpRequest, secret: str, found: Found) -> HttpResponse:
    user = request.user
    if not user.is_authenticated:
        if _has_account(found):
            return redirect(f"{reverse('account_login')}?next={request.path}")
        name, password = request.POST.get("name", ""), request.POST.get("password", "")
        try:
            validate_password(password, User(email=found.email, name=name))
        except ValidationError as weak:
            return _invitation(request, found, problems=weak.messages)
        account_set_up(secret=secret, name=name, password=password)
        messages.success(request, "Your account is ready. Sign in to it.")
        return redirect("account_login")
    if user.email.lower() != found.email:
        return _invitation(request, found, status=403)
    invitation_accept(secret=secret, user=user)
    messages.success(request, f"You are in the team of {found.tenant_name}.")
    return redirect("home")


def _invitation(
    request: HttpRequest, found: Found, *, problems: list[str] | None = None, status: int = 200
) -> HttpResponse:
    user = request.user
    context = {
        "found": found,
        "problems": problems,
        "has_account": _has_account(found),
        "is_other": user.is_authenticated and user.email.lower() != found.email,
        "is_me": user.is_authenticated and user.email.lower() == found.email,
        "name": request.POST.get("name", ""),
    }
    page = render(request, "tenants/invitation.html", context, status=400 if problems else status)
    page["Referrer-Policy"] = "no-referrer"  # the address itself is the secret
    return page


def _has_account(found: Found) -> bool:
    """Somebody of that address who can sign in. One without a password gets it by the link."""
    person = User.objects.filter(email__iexact=found.email).first()
    return person is not None and person.has_usable_password()
