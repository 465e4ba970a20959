"""Django's admin, as far as row-level security lets it be: pages of tenants for operations staff.

Models of tenants can't be registered: the admin's lists ask for all rows, and there is no asking
without a tenant. So staff choose one tenant, and each page acts in that one's scope only.
"""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.authentication import get_authentication_records
from csp.constants import NONCE, SELF
from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from tenants.audit_log import audit_page_of
from tenants.errors import InvalidRequest
from tenants.invitations import MailUnavailable, invitation_create, invitations_open
from tenants.models import Membership, Tenant
from tenants.operating import (
    allowance_set,
    tenant_look,
    tenant_open,
    tenants_listed,
)
from tenants.reauth import fresh_sign_in
from tenants.services import tenant_update
from tenants.sign_in import provider_of
from tenants.team import team_list

_page = require_http_methods(["GET", "HEAD", "POST"])
View = Callable[..., HttpResponseBase]


class OperationsSite(AdminSite):
    """For staff, with a second factor outside the embedded mode. To all others nothing is here."""

    site_header = site_title = "Athos operations"
    index_title = "Tenants"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        staff = user.is_authenticated and user.is_active and user.is_staff
        return staff and (settings.EMBEDDED or proved_twice(request))

    def admin_view(self, view: View, cacheable: bool = False) -> View:  # type: ignore[override]
        """A page of staff; changes need a fresh sign-in."""
        sure = fresh_sign_in(view)  # type: ignore[arg-type]  # none of these streams

        @csp_update({"script-src": [SELF, NONCE]})  # the admin's own scripts carry no nonce
        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not request.user.is_staff or provider_of(request) is not None:
                raise Http404
            if not self.has_permission(request):
                messages.warning(
                    request, "Operations need a second factor. Add one, sign in again."
                )
                return redirect("account-page")
            response = (sure if request.method == "POST" else view)(request, *args, **kwargs)
            response.headers.setdefault("Cache-Control", "private, no-store")
            return response

        return _page(answer)

    def get_urls(self) -> list[URLPattern]:  # type: ignore[override]  # of the admin's only these
        return [
            path("", self.admin_view(self.tenants), name="index"),
            path("tenants/<uuid:tenant_id>", self.admin_view(self.tenant), name="tenant"),
        ]

    def tenants(self, request: HttpRequest) -> HttpResponse:
        """GET and POST /operations/: all tenants by name, and a new one."""
        if request.method == "POST":
            made = self._open(request)
            if made is not None:
                return redirect("admin:tenant", made)
        part = request.GET.get("q", "")[:200]
        context = self.each_context(request) | {
            "tenants": tenants_listed(part=part),
            "part": part,
            "given": request.POST,
            "title": "Tenants",
        }
        return render(request, "operations/tenants.html", context)

    def tenant(self, request: HttpRequest, tenant_id: uuid.UUID) -> HttpResponse:
        """GET and POST /operations/tenants/<id>: one tenant, chosen by name in the address."""
        tenant = tenant_look(tenant_id)
        if tenant is None:
            raise Http404
        if request.method == "POST":
            _act(request, tenant)
            return redirect("admin:tenant", tenant_id)
        context = self.each_context(request) | {
            "tenant": tenant,
            "title": tenant.name,
            "owners": [p for p in team_list(tenant_id=tenant_id) if p.role == _OWNER],
            "invitations": [i for i in invitations_open(tenant_id=tenant_id) if i.role == _OWNER],
            "log": audit_page_of(tenant_id=tenant_id),
        }
        return render(request, "operations/tenant.html", context)

    def _open(self, request: HttpRequest) -> uuid.UUID | None:
        given = request.POST
        try:
            made = tenant_open(
                name=given.get("name", ""),
                owner_email=given.get("email", ""),
                monthly_minutes=_minutes(given.get("minutes", "")),
                actor=actor_of(request),
            )
        except InvalidRequest as refused:
            messages.error(request, refused.message)
            return None
        except MailUnavailable:
            messages.error(request, "The tenant is there; the mail to its owner did not go out.")
            return None
        messages.success(request, "The tenant is there, and its owner invited.")
        return made


_OWNER = Membership.Role.OWNER


def proved_twice(request: HttpRequest) -> bool:
    """Whether a code or a passkey was part of signing in to this session."""
    records = get_authentication_records(request, request.user)
    return any(record["method"] == "mfa" for record in records)


def actor_of(request: HttpRequest) -> str:
    """The member of staff, in the tenant's own audit log."""
    return f"staff:{request.user.pk}"


def _act(request: HttpRequest, tenant: Tenant) -> None:
    """One change to the tenant that the address names."""
    given, actor = request.POST, actor_of(request)
    try:
        match given.get("action"):
            case "suspend":
                tenant_update(tenant=tenant, status=Tenant.Status.SUSPENDED, actor=actor)
            case "activate":
                tenant_update(tenant=tenant, status=Tenant.Status.ACTIVE, actor=actor)
            case "allowance":
                minutes = _minutes(given.get("minutes", ""))
                allowance_set(tenant=tenant, monthly_minutes=minutes, actor=actor)
            case "owner":
                email = given.get("email", "")
                invitation_create(tenant_id=tenant.pk, email=email, role=_OWNER, actor=actor)
            case _:
                raise InvalidRequest("There is no such act.")
    except InvalidRequest as refused:
        messages.error(request, refused.message)
    except MailUnavailable:
        messages.error(request, "The mail did not go out; the invitation waits.")
    else:
        messages.success(request, "Done, and written to the tenant's audit log.")


def _minutes(text: str) -> int | None:
    """Empty: no limit."""
    text = text.strip()
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise InvalidRequest("Minutes are a whole number, or empty: no limit.")
    return int(text)


site = OperationsSite(name="operations")
