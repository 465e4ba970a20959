"""Pages of Settings that concern the tenant itself: team, branding, security, audit log."""

import base64
import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants.abilities import Ability
from tenants.audit_log import audit_actions, audit_page_of
from tenants.branding import LOGO_MAX, BrandingChange, branding_update
from tenants.errors import InvalidRequest
from tenants.invitations import (
    MailUnavailable,
    invitation_create,
    invitation_resend,
    invitation_revoke,
    invitations_open,
)
from tenants.isolation import tenant_scope
from tenants.members import Member, for_members
from tenants.models import Agency, Branding, Membership, SingleSignOn, Tenant
from tenants.reauth import fresh_sign_in, fresh_sign_in_for_secrets
from tenants.services import tenant_policy_set
from tenants.single_sign_on import (
    ProviderWish,
    single_sign_on_of,
    single_sign_on_remove,
    single_sign_on_set,
)
from tenants.team import GIVES, agencies_named, membership_change, membership_remove, team_list

AGENCIES_SHOWN = 500
ROLES = {  # role -> what it may do, in a line
    Membership.Role.OWNER: "Everything, and who else owns the account",
    Membership.Role.MANAGER: "Calls, reps, reviews, the team and the account's settings",
    Membership.Role.ANALYST: "Looks at calls and reps, changes nothing",
    Membership.Role.DEVELOPER: "Keys, webhooks, logs and embedding",
}
_page = require_http_methods(["GET", "HEAD", "POST"])


# --- team ----------------------------------------------------------------------------------------


@require_safe
@for_members(needs=Ability.ADMINISTER)
def team_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /settings/team"""
    return _team(request, member)


@require_POST
@for_members(needs=Ability.ADMINISTER)
def member_invite(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /settings/team/invite"""
    given = request.POST
    try:
        invitation_create(
            tenant_id=member.tenant_id,
            email=given.get("email", ""),
            role=given.get("role", ""),
            agencies=_agencies_given(request, member),
            by_role=member.membership.role,
            actor=member.actor,
        )
    except InvalidRequest as refused:
        messages.error(request, refused.message)
        return _team(request, member, status=400)
    except MailUnavailable:
        messages.error(request, _MAIL_AWAY)
    else:
        messages.success(request, f"The invitation is on its way to {given['email'].strip()}.")
    return redirect("team-page")


@require_POST
@for_members(needs=Ability.ADMINISTER)
def invitation_act(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /settings/team/invitation: send one again, or revoke it."""
    named: dict[str, Any] = {
        "tenant_id": member.tenant_id,
        "public_id": request.POST.get("invitation", ""),
        "actor": member.actor,
    }
    try:
        if request.POST.get("action") == "resend":
            invitation_resend(**named, by_role=member.membership.role)
            messages.success(request, "A new link is on its way; the old one ended.")
        else:
            invitation_revoke(**named)
            messages.success(request, "The invitation is revoked; its link ended.")
    except InvalidRequest as refused:
        messages.error(request, refused.message)
    except MailUnavailable:
        messages.error(request, _MAIL_AWAY)
    return redirect("team-page")


@_page
@for_members(needs=Ability.ADMINISTER)
def member_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET and POST /settings/team/member?email=…: one person's role and agencies."""
    email = request.GET.get("email", "")
    if request.method == "POST":
        email = request.POST.get("email", "")
        try:
            membership_change(
                tenant_id=member.tenant_id,
                email=email,
                role=request.POST.get("role", ""),
                agencies=_agencies_given(request, member),
                by_role=member.membership.role,
                actor=member.actor,
            )
        except InvalidRequest as refused:
            messages.error(request, refused.message)
        else:
            messages.success(request, "Saved. It holds from their next click on.")
            return redirect("team-page")
    person = next((p for p in team_list(tenant_id=member.tenant_id) if p.email == email), None)
    if person is None:
        raise Http404
    context = _choices(member) | {"person": person, "chosen": set(person.agencies)}
    return render(request, "settings/member.html", context)


@require_POST
@for_members(needs=Ability.ADMINISTER)
def member_remove(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /settings/team/remove"""
    try:
        membership_remove(
            tenant_id=member.tenant_id,
            email=request.POST.get("email", ""),
            by_role=member.membership.role,
            actor=member.actor,
        )
    except InvalidRequest as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, "Removed. They are out with their next click.")
    return redirect("team-page")


_MAIL_AWAY = "The mail server did not take the mail. The invitation waits: send it again later."


def _team(request: HttpRequest, member: Member, *, status: int = 200) -> HttpResponse:
    choices = _choices(member)
    names = {agency.pk: agency.name or agency.external_id for agency in choices["agencies"]}

    def row(person: Any) -> dict[str, Any]:
        limits = [names.get(agency, "an agency") for agency in person.agencies]
        return {"person": person, "limits": limits, "mine": person.role in choices["gives"]}

    context = choices | {
        "team": [row(person) for person in team_list(tenant_id=member.tenant_id)],
        "invitations": [row(i) for i in invitations_open(tenant_id=member.tenant_id)],
        "mail": bool(settings.EMAIL_URL),
        "given": request.POST,
    }
    return render(request, "settings/team.html", context, status=status)


def _choices(member: Member) -> dict[str, Any]:
    gives = GIVES.get(member.membership.role, frozenset())
    with tenant_scope(member.tenant_id):
        rows = Agency.objects.for_tenant(member.tenant_id).order_by("name", "external_id")
        agencies = list(rows[:AGENCIES_SHOWN])
    return {
        "agencies": agencies,
        "gives": gives,
        "roles": [(role, text) for role, text in ROLES.items() if role in gives],
    }


def _agencies_given(request: HttpRequest, member: Member) -> tuple[uuid.UUID, ...]:
    if request.POST.get("reach") != "some":
        return ()
    names = request.POST.getlist("agency")[:AGENCIES_SHOWN]
    if not names:
        raise InvalidRequest("Choose at least one agency.", details={"field": "agencies"})
    return agencies_named(tenant_id=member.tenant_id, external_ids=names)


# --- branding ------------------------------------------------------------------------------------


@_page
@for_members(needs=Ability.ADMINISTER)
def branding_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET and POST /settings/branding: the colour of the rep's page."""
    status = 200
    if request.method == "POST":
        color = "" if "plain" in request.POST else request.POST.get("color", "")
        status = _brand(request, member, BrandingChange(color=color))
        if status == 200:
            return redirect("branding-page")
    with tenant_scope(member.tenant_id):
        branding = Branding.objects.for_tenant(member.tenant_id).first()
    logo = b64(bytes(branding.logo)) if branding and branding.logo else ""
    context = {"branding": branding, "logo": logo, "kib": LOGO_MAX // 1024}
    return render(request, "settings/branding.html", context, status=status)


@require_POST
@for_members(needs=Ability.ADMINISTER)
def logo_set(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /settings/branding/logo: a picture, or with `remove` none."""
    file = request.FILES.get("logo")
    if "remove" in request.POST:
        _brand(request, member, BrandingChange(logo=b""))
    elif isinstance(file, UploadedFile):
        _brand(request, member, BrandingChange(logo=file.read(LOGO_MAX + 1)))
    else:
        messages.error(request, "Choose a picture first.")
    return redirect("branding-page")


def _brand(request: HttpRequest, member: Member, change: BrandingChange) -> int:
    try:
        branding_update(tenant=_tenant(member), change=change, actor=member.actor)
    except InvalidRequest as refused:
        messages.error(request, refused.message)
        return 400
    messages.success(request, "Saved. Reps see it when they open their page next.")
    return 200


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# --- security ------------------------------------------------------------------------------------


@_page
@for_members(needs=Ability.ADMINISTER)
def security_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /settings/security; owners POST whether members need a second factor."""
    if request.method == "POST":
        if Ability.OWN not in member.abilities:
            return render(request, "tenants/not_yours.html", status=403)
        wanted = {"yes": True, "no": False}.get(request.POST.get("mfa", ""))
        tenant_policy_set(tenant_id=member.tenant_id, mfa_required=wanted, actor=member.actor)
        messages.success(request, "Saved.")
        return redirect("security-page")
    context = {
        "mfa": _tenant(member).mfa_required,
        "mfa_default": settings.MFA_REQUIRED,
        "provider": single_sign_on_of(tenant_id=member.tenant_id),
        "origin": settings.PUBLIC_URL,
    }
    return render(request, "settings/security.html", context)


@_page
@for_members(needs=Ability.OWN)
@fresh_sign_in_for_secrets
def provider_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET and POST /settings/security/provider: the tenant's own identity provider.

    For owners alone: who runs the provider can sign in as anybody of the tenant.
    """
    there = single_sign_on_of(tenant_id=member.tenant_id)
    given: Any = there
    if request.method == "POST":
        given = _wish(request)
        try:
            single_sign_on_set(tenant_id=member.tenant_id, wish=given, actor=member.actor)
        except InvalidRequest as refused:
            messages.error(request, refused.message)
        else:
            messages.success(request, "Saved. Try it in another browser before you leave this one.")
            return redirect("security-page")
    kind = request.GET.get("kind") or getattr(given, "kind", "") or SingleSignOn.Kind.OIDC
    context = {
        "given": given,
        "there": there,
        "kind": kind if kind in SingleSignOn.Kind.values else SingleSignOn.Kind.OIDC,
        "origin": settings.PUBLIC_URL,
    }
    return render(request, "settings/provider.html", context)


@require_POST
@for_members(needs=Ability.OWN)
@fresh_sign_in
def provider_remove(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /settings/security/provider/remove"""
    single_sign_on_remove(tenant_id=member.tenant_id, actor=member.actor)
    messages.success(request, "Removed. Members sign in with a password or a passkey.")
    return redirect("security-page")


def _wish(request: HttpRequest) -> ProviderWish:
    given = request.POST
    return ProviderWish(
        kind=given.get("kind", ""),
        issuer=given.get("issuer", "").strip(),
        client_id=given.get("client_id", "").strip(),
        secret=given.get("secret", "").strip(),
        address=given.get("address", "").strip(),
        certificate=given.get("certificate", ""),
        required="required" in given,
    )


# --- audit log -----------------------------------------------------------------------------------


@require_safe
@for_members(needs=Ability.ADMINISTER)
def audit_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /settings/audit?actor=&action=&older="""
    asked = {name: request.GET.get(name, "")[:500] for name in ("actor", "action")}
    try:
        log = audit_page_of(
            tenant_id=member.tenant_id, **asked, cursor=request.GET.get("older", "")[:500]
        )
    except InvalidRequest as odd:
        raise Http404 from odd
    context = {
        "log": log,
        "asked": asked,
        "actions": audit_actions(tenant_id=member.tenant_id),
        "people": [person.email for person in team_list(tenant_id=member.tenant_id)],
    }
    return render(request, "settings/audit.html", context)


def _tenant(member: Member) -> Tenant:
    with tenant_scope(member.tenant_id):
        return Tenant.objects.get(pk=member.tenant_id)
