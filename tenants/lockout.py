"""Who tried too many passwords for an account waits. django-axes counts, by account and address."""

import logging
from typing import Any

from axes.signals import user_locked_out
from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tenants.client_address import client_address

logger = logging.getLogger(__name__)


def account_named(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """The account that a try is for: what allauth tried, else what the form says."""
    named = credentials or {}
    name = named.get("email") or named.get("username") or named.get("login")
    return str(name or request.POST.get("login", "")).strip().lower()[:254]


def address_of(request: HttpRequest) -> str:
    """The caller's address as the deployment's proxies tell it; all that hide theirs are one."""
    address = client_address(
        peer=request.META.get("REMOTE_ADDR") or "",
        forwarded=request.META.get("HTTP_X_FORWARDED_FOR", ""),
        trusted_proxies=settings.TRUSTED_PROXIES,
        proxy_networks=settings.TRUSTED_PROXY_NETWORKS,
    )
    return str(address or "0.0.0.0")  # noqa: S104 - nothing listens there


def locked_page(request: HttpRequest, *_: object) -> HttpResponse:
    """Instead of the answer to a try that is not made any more."""
    wait = settings.AXES_COOLOFF_TIME
    page = render(request, "account/locked.html", {"minutes": wait.seconds // 60}, status=429)
    page["Retry-After"] = str(wait.seconds)
    return page


@receiver(user_locked_out, dispatch_uid="tenants.lockout")
def _locked_out(sender: object, **facts: object) -> None:
    logger.warning("sign-in locked for an account from one address")
