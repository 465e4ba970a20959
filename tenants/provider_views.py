"""The way through a tenant's own identity provider and back. allauth speaks the protocols."""

import logging
from collections.abc import Callable

import requests
from allauth.socialaccount.providers.openid_connect import views as openid
from allauth.socialaccount.providers.saml import views as saml
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from onelogin.saml2.errors import OneLogin_Saml2_Error

from tenants.models import SingleSignOn
from tenants.single_sign_on import SingleSignOnNotFound, single_sign_on_named, tenant_of_provider

logger = logging.getLogger(__name__)

_PROBLEMS = (
    requests.RequestException,
    OneLogin_Saml2_Error,
    PermissionDenied,
    ValueError,
    KeyError,
)
ANSWER_LARGEST = 256 * 1024  # bytes of a provider's form; it waits in a session


@require_safe
def start(request: HttpRequest, provider: str) -> HttpResponse:
    """GET /sign-in/with/<provider>: what a company gives its people as the way in."""
    try:
        row = single_sign_on_named(provider)
        _, tenant_name = tenant_of_provider(provider)
    except SingleSignOnNotFound as unknown:
        raise Http404 from unknown
    back = request.GET.get("next", "")
    context = {
        "provider": provider,
        "tenant_name": tenant_name,
        "is_saml": row.kind == SingleSignOn.Kind.SAML,
        "next": back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "",
    }
    return render(request, "account/single_sign_on.html", context)


@require_safe
def openid_login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """GET …/openid: on to the provider."""
    name = _known(provider_id, SingleSignOn.Kind.OIDC)
    return _safely(request, lambda: openid.login(request, provider_id=name))


@require_safe
def openid_callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """GET …/openid/back: what the provider says."""
    name = _known(provider_id, SingleSignOn.Kind.OIDC)
    return _safely(request, lambda: openid.callback(request, provider_id=name))


@require_safe
def saml_login(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """GET …/saml: on to the provider."""
    name = _known(organization_slug)
    return _safely(request, lambda: saml.login(request, organization_slug=name))


@require_safe
def saml_metadata(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """GET …/saml/metadata: what the provider needs to know of us."""
    name = _known(organization_slug)
    return _safely(request, lambda: saml.metadata(request, organization_slug=name))


@csrf_exempt  # it comes from the provider's page; what counts is its signature, read in saml_finish
@require_POST
def saml_acs(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """POST …/saml/acs: the provider's answer, kept while the browser comes back on its own."""
    name = _known(organization_slug)
    if len(request.body) > ANSWER_LARGEST:
        return _failed(request)
    return _safely(request, lambda: saml.acs(request, organization_slug=name))


@require_safe
def saml_finish(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """GET …/saml/finish"""
    name = _known(organization_slug)
    return _safely(request, lambda: saml.finish_acs(request, organization_slug=name))


@require_safe
def saml_out(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """GET …/saml/out: signing out there does not sign out here (docs/sign-in.md)."""
    raise Http404


def _known(name: str, kind: str = SingleSignOn.Kind.SAML) -> str:
    """The name of a provider of that kind; nothing of allauth's runs for any other."""
    try:
        row = single_sign_on_named(name)
    except SingleSignOnNotFound as unknown:
        raise Http404 from unknown
    if row.kind != kind:
        raise Http404
    return name


def _safely(request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
    """A provider that can't be reached, or an answer that makes no sense, is a page that says so.

    A state that was used, or is another browser's, comes as PermissionDenied.
    """
    try:
        return answer()
    except _PROBLEMS as problem:
        facts = {"error": type(problem).__name__}
        logger.warning("sign-in by a provider failed", extra=facts)
        return _failed(request)


def _failed(request: HttpRequest) -> HttpResponse:
    return render(request, "account/not_let_in.html", {"reason": "PROVIDER"}, status=403)
