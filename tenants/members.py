"""Who looks at a page: a signed-in user in one of the tenants that they belong to."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django_htmx.http import HttpResponseClientRedirect

from tenants.abilities import Ability, abilities_of
from tenants.isolation import limited_to
from tenants.models import ApiKey, Membership, Tenant
from tenants.selectors import MembershipSummary, memberships_of
from tenants.sign_in import provider_of

CHOSEN, MODE = "membership", "mode"  # keys of the session

Parameters = ParamSpec("Parameters")
PageView = Callable[Concatenate[HttpRequest, "Member", Parameters], HttpResponse]


@dataclass(frozen=True, slots=True)
class Member:
    """A user at work for one tenant; `choices` are all that they may choose from.

    `mode` is what they look at, "live" or "test": the sandbox's calls never mix with live ones.
    """

    user_id: uuid.UUID
    email: str
    membership: MembershipSummary
    choices: tuple[MembershipSummary, ...]
    mode: str = ApiKey.Mode.LIVE
    lacks_second_factor: bool = False  # that the tenant asks for

    @property
    def tenant_id(self) -> uuid.UUID:
        return self.membership.tenant_id

    @property
    def actor(self) -> str:
        """Who it was, for the audit log."""
        return f"user:{self.user_id}"

    @property
    def abilities(self) -> frozenset[Ability]:
        return abilities_of(self.membership.role, limited=bool(self.membership.agencies))


def for_members(
    needs: Ability | None = None,
) -> Callable[[PageView[Parameters]], Callable[Concatenate[HttpRequest, Parameters], HttpResponse]]:
    """A page for people who belong to a tenant. Pages take the tenant from here, nowhere else.

    With `needs`, only for those who may do that: others get a page that says so, status 403.
    Who is not signed in goes there first, a fragment's page as a whole.
    """

    def decorate(
        view: PageView[Parameters],
    ) -> Callable[Concatenate[HttpRequest, Parameters], HttpResponse]:
        @wraps(view)
        def answer(
            request: HttpRequest, /, *args: Parameters.args, **kwargs: Parameters.kwargs
        ) -> HttpResponse:
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            member = member_of(request)
            if member is None:
                return _no_place(request)
            if member.lacks_second_factor:
                return _to_second_factor(request)
            request.member = member  # type: ignore[attr-defined]  # `navigation.frame` reads it
            if needs is not None and needs not in member.abilities:
                return render(request, "tenants/not_yours.html", status=403)
            with limited_to(member.membership.agencies):
                response = view(request, member, *args, **kwargs)
            response.headers.setdefault("Cache-Control", "private, no-store")
            return response

        return answer

    return decorate


def member_of(request: HttpRequest) -> Member | None:
    """The signed-in user in the tenant that was chosen last, else in the first by name."""
    user = request.user
    if not user.is_authenticated:
        return None
    came_by = provider_of(request)
    active = [m for m in _active(request) if _is_open(m, came_by)]
    if not active:
        return None
    chosen = request.session.get(CHOSEN)
    membership = next((m for m in active if str(m.membership_id) == chosen), active[0])
    mode = request.session.get(MODE)
    return Member(
        user.pk,
        user.email,
        membership,
        tuple(active),
        mode if mode in ApiKey.Mode.values else ApiKey.Mode.LIVE,
        lacks_second_factor=came_by is None and _lacks_second_factor(membership),
    )


def _active(request: HttpRequest) -> list[MembershipSummary]:
    found = memberships_of(request.user.pk) if request.user.is_authenticated else []
    return [m for m in found if m.tenant_status == Tenant.Status.ACTIVE]


def _is_open(membership: MembershipSummary, came_by: str | None) -> bool:
    """Whether this session gets in. One that a tenant's provider vouched for: to that tenant only.

    Owners always get in with what they have: a provider that is set up wrong locks nobody out.
    """
    if came_by is not None:
        return membership.single_sign_on == came_by
    return not membership.single_sign_on_required or membership.role == Membership.Role.OWNER


def _lacks_second_factor(membership: MembershipSummary) -> bool:
    said = membership.mfa_required
    required = settings.MFA_REQUIRED if said is None else said
    return required and not membership.has_second_factor


def membership_choose(request: HttpRequest, membership_id: str) -> None:
    """Work for another tenant from now on. What is no choice of the user's changes nothing."""
    member = member_of(request)
    if member and membership_id in {str(m.membership_id) for m in member.choices}:
        request.session[CHOSEN] = membership_id


def mode_choose(request: HttpRequest, mode: str) -> None:
    """Look at live calls or at the sandbox from now on. Any other word changes nothing."""
    if mode in ApiKey.Mode.values:
        request.session[MODE] = mode


def _no_place(request: HttpRequest) -> HttpResponse:
    """Nothing is open to this session; perhaps another way of signing in opens it."""
    ways = [m for m in _active(request) if m.single_sign_on and m.single_sign_on_required]
    context = {"ways": ways if provider_of(request) is None else []}
    return render(request, "tenants/no_account.html", context, status=403)


def _to_second_factor(request: HttpRequest) -> HttpResponse:
    address = resolve_url("account-page")
    if request.htmx:  # type: ignore[attr-defined]  # set by its middleware
        return HttpResponseClientRedirect(address)
    messages.warning(request, "Your account asks for a second way to prove who you are. Add one.")
    return HttpResponseRedirect(address)


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the page of signing in, and back afterwards."""
    htmx = request.htmx  # type: ignore[attr-defined]  # set by its middleware
    if not htmx:
        return redirect_to_login(request.get_full_path())
    back = redirect_to_login(htmx.current_url_abs_path or resolve_url("home"))
    return HttpResponseClientRedirect(back.url)
