"""Who looks at a page: a signed-in user in one of the tenants that they belong to."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tenants.abilities import Ability, abilities_of
from tenants.isolation import limited_to
from tenants.models import Tenant
from tenants.selectors import MembershipSummary, memberships_of

CHOSEN = "membership"  # key of the session

Parameters = ParamSpec("Parameters")
PageView = Callable[Concatenate[HttpRequest, "Member", Parameters], HttpResponse]


@dataclass(frozen=True, slots=True)
class Member:
    """A user at work for one tenant; `choices` are all that they may choose from."""

    user_id: uuid.UUID
    email: str
    membership: MembershipSummary
    choices: tuple[MembershipSummary, ...]

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
    """

    def decorate(
        view: PageView[Parameters],
    ) -> Callable[Concatenate[HttpRequest, Parameters], HttpResponse]:
        @wraps(view)
        def answer(
            request: HttpRequest, /, *args: Parameters.args, **kwargs: Parameters.kwargs
        ) -> HttpResponse:
            member = member_of(request)
            if member is None:
                return render(request, "tenants/no_account.html", status=403)
            if needs is not None and needs not in member.abilities:
                return render(request, "tenants/not_yours.html", {"member": member}, status=403)
            with limited_to(member.membership.agencies):
                response = view(request, member, *args, **kwargs)
            response.headers.setdefault("Cache-Control", "private, no-store")
            return response

        return login_required(answer)

    return decorate


def member_of(request: HttpRequest) -> Member | None:
    """The signed-in user in the tenant that was chosen last, else in the first by name."""
    user = request.user
    if not user.is_authenticated:
        return None
    active = [
        membership
        for membership in memberships_of(user.pk)
        if membership.tenant_status == Tenant.Status.ACTIVE
    ]
    if not active:
        return None
    chosen = request.session.get(CHOSEN)
    membership = next((m for m in active if str(m.membership_id) == chosen), active[0])
    return Member(user.pk, user.email, membership, tuple(active))


def membership_choose(request: HttpRequest, membership_id: str) -> None:
    """Work for another tenant from now on. What is no choice of the user's changes nothing."""
    member = member_of(request)
    if member and membership_id in {str(m.membership_id) for m in member.choices}:
        request.session[CHOSEN] = membership_id
