"""Pages about the signed-in person: their name, how they sign in, and where they are signed in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from tenants.members import member_of
from tenants.models import User
from tenants.reauth import View
from tenants.sealing import keyed_digest
from tenants.sign_in import provider_of

SESSIONS_SHOWN = 50
NAME_LONGEST = 200  # characters
Parameters = ParamSpec("Parameters")
PersonView = Callable[Concatenate[HttpRequest, User, Parameters], HttpResponse]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the person is signed in."""

    name: str  # for the form that ends it; says nothing about the session's key
    browser: str
    address: str
    since: datetime
    is_here: bool


def for_person(view: PersonView[Parameters]) -> View[Parameters]:
    """A page for who is signed in, whatever they belong to, and still without a second factor."""

    @wraps(view)
    def answer(
        request: HttpRequest, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> HttpResponse:
        _frame(request)
        response = view(request, request.user, *args, **kwargs)  # type: ignore[arg-type]
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return login_required(answer)


def own_sign_in(view: View[Parameters]) -> View[Parameters]:
    """A page about one's own password, keys and codes: not for who came by a tenant's provider.

    Whoever runs the provider can sign in as its people; that must not open their other tenants.
    """

    @wraps(view)
    def answer(
        request: HttpRequest, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> HttpResponse:
        _frame(request)
        if provider_of(request) is not None:
            return render(request, "account/provider_runs_it.html", status=403)
        response = view(request, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return login_required(answer)


def _frame(request: HttpRequest) -> None:
    """The page's head, for who may use what it leads to."""
    member = member_of(request)
    if member is not None and not member.lacks_second_factor:
        request.member = member  # type: ignore[attr-defined]  # `navigation.frame` reads it


@require_safe
@for_person
def account_page(request: HttpRequest, person: User) -> HttpResponse:
    """GET /account"""
    factors = list(Authenticator.objects.filter(user=person).order_by("created_at"))
    kinds = Authenticator.Type
    codes = next((f for f in factors if f.type == kinds.RECOVERY_CODES), None)
    return render(
        request,
        "account/account.html",
        {
            "person": person,
            "by_provider": provider_of(request) is not None,
            "authenticator": next((f for f in factors if f.type == kinds.TOTP), None),
            "passkeys": [f for f in factors if f.type == kinds.WEBAUTHN],
            "codes_left": len(codes.wrap().get_unused_codes()) if codes else None,
            "places": places_of(request, person),
        },
    )


@require_safe
@for_person
def to_account(request: HttpRequest, person: User) -> HttpResponse:
    """Where allauth's pages lead when they are done."""
    return redirect("account-page")


@require_POST
@for_person
def name_set(request: HttpRequest, person: User) -> HttpResponse:
    """POST /account/name"""
    name = " ".join(request.POST.get("name", "").split())
    if len(name) > NAME_LONGEST or "\x00" in name:
        messages.error(request, f"A name has at most {NAME_LONGEST} characters.")
    else:
        person.name = name
        person.save(update_fields=["name"])
        messages.success(request, "Your name is saved.")
    return redirect("account-page")


@require_POST
@for_person
def session_end(request: HttpRequest, person: User) -> HttpResponse:
    """POST /account/sessions/end: the one named, or with `others` all but this one."""
    wanted, others = request.POST.get("session", ""), "others" in request.POST
    here = request.session.session_key
    for session in UserSession.objects.filter(user=person):
        is_here = session.session_key == here
        if (others and not is_here) or (not others and _name(session.session_key) == wanted):
            session.end()  # its next request is nobody's
            if is_here:
                logout(request)
                return redirect("account_login")
    messages.success(request, "Signed out there.")
    return redirect("account-page")


def places_of(request: HttpRequest, person: User) -> list[Place]:
    """Where the person is signed in now, this browser first, then the newest."""
    rows = UserSession.objects.filter(user=person).order_by("-created_at")[:SESSIONS_SHOWN]
    keys = [row.session_key for row in rows]
    alive = set(
        Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).values_list(
            "session_key", flat=True
        )
    )
    here = request.session.session_key
    found = [
        Place(
            name=_name(row.session_key),
            browser=browser_of(row.user_agent),
            address="" if row.ip == "0.0.0.0" else row.ip,  # noqa: S104 - not known
            since=row.created_at,
            is_here=row.session_key == here,
        )
        for row in rows
        if row.session_key in alive
    ]
    return sorted(found, key=lambda place: not place.is_here)


def browser_of(user_agent: str) -> str:
    """The name of a browser and its system, as far as its header tells. Pure."""
    browsers = {"Edg": "Edge", "OPR/": "Opera", "Firefox": "Firefox", "Chrome": "Chrome"}
    systems = {
        "Android": "Android",
        "iPhone": "iPhone",
        "iPad": "iPad",
        "Windows": "Windows",
        "Mac OS": "macOS",
        "CrOS": "ChromeOS",
        "Linux": "Linux",
    }
    browsers["Safari"] = "Safari"  # they all say so
    browser = next((name for mark, name in browsers.items() if mark in user_agent), "")
    system = next((name for mark, name in systems.items() if mark in user_agent), "")
    return " on ".join(filter(None, (browser, system))) or "A browser"


def _name(session_key: str) -> str:
    return keyed_digest(session_key.encode(), purpose="session-name")[:32]
