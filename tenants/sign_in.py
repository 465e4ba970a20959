"""How people sign in to the dashboard. Nobody signs up: a place comes by invitation.

allauth does the work: passwords, passkeys, codes, OpenID Connect and SAML. What is decided here is
who gets in, and how far: what a tenant's own identity provider says holds in that tenant only.
"""

import logging
import smtplib
import uuid
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from tenants.invitations import invitation_accept_by_provider
from tenants.lockout import address_of
from tenants.models import SingleSignOn, User
from tenants.reauth import is_fresh
from tenants.sealing import seal, unseal
from tenants.selectors import membership_user
from tenants.single_sign_on import SingleSignOnNotFound, opened_secret, single_sign_on_named

logger = logging.getLogger(__name__)

_PURPOSE = "second-factor"


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """People are added by those who are in already."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "This e-mail and password do not go together.",
        "incorrect_code": "This code is not right, or it is over. Codes change every half minute.",
        "incorrect_password": "This is not your password.",
        "enter_current_password": "This is not the password that you have.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request)

    def is_reauthentication_required(self, *, app: str, **_: object) -> bool:
        return not is_fresh(context.request)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """A mail server that is away is the operator's matter; nobody learns who has an account."""
        try:
            super().send_mail(template_prefix, email, context)
        except (smtplib.SMTPException, OSError) as away:
            logger.error("mail not sent", extra={"error": type(away).__name__})

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Of a change to how somebody signs in, to the address that they sign in with."""
        super().send_notification_mail(template_prefix, user, context, email or user.email)

    def get_reauthentication_methods(self, user: User) -> list[dict[str, str]]:
        """Who came by the tenant's provider proves it there again, with no password of ours."""
        provider = provider_of(context.request)
        if provider is None:
            ways = list(super().get_reauthentication_methods(user))
            reset = reverse("account_reset_password")  # who has nothing to prove it by, any more
            return ways or [{"id": "reset", "description": "Choose a password", "url": reset}]
        address = reverse("single-sign-on", args=[provider])
        return [{"id": "provider", "description": "Sign in again", "url": address}]


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets of authenticator apps and recovery codes are sealed at rest."""

    def encrypt(self, text: str) -> str:
        return seal(text.encode(), purpose=_PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, purpose=_PURPOSE).decode()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        host = settings.PUBLIC_URL.partition("://")[2]
        return {"id": host.partition(":")[0], "name": "Athos"}

    def generate_authenticator_name(self, user: User, type: object) -> str:  # noqa: A002
        return "Passkey"


class ProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """A tenant's identity provider. allauth knows it by the public id of the tenant's row."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The one provider of that name: SAML asks by `client_id`, the rest by `provider`."""
        name = client_id if provider == "saml" else provider
        if not name:
            return []
        try:
            return [_app(single_sign_on_named(name))]
        except SingleSignOnNotFound:
            return []

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Let in who has a place in the provider's tenant, and nobody else."""
        account = sociallogin.account
        if sociallogin.state.get("process") != "login":
            raise ImmediateHttpResponse(_refused(request, "PROCESS"))
        try:
            provider = single_sign_on_named(account.provider)
        except SingleSignOnNotFound as gone:
            raise ImmediateHttpResponse(_refused(request, "UNKNOWN")) from gone
        known = sociallogin.user.pk if sociallogin.is_existing else None
        user = _let_in(provider, sociallogin, known)
        if user is None or not user.is_active:
            raise ImmediateHttpResponse(_refused(request, "NO_PLACE"))
        _remember(sociallogin, user)

    def on_authentication_error(
        self, request: HttpRequest, provider: object, **facts: object
    ) -> None:
        raise ImmediateHttpResponse(_refused(request, "PROVIDER"))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False


def _let_in(provider: SingleSignOn, login: SocialLogin, known: uuid.UUID | None) -> User | None:
    """The user behind a provider's subject: known by it, a member, or invited.

    An address joins an account only where the provider says that it checked it. A SAML provider
    has no word for that: the addresses in its signed answers are the company's own.
    """
    if known is not None:
        return membership_user(tenant_id=provider.tenant_id, user_id=known)
    email = _proven_address(provider, login)
    if not email:
        return None
    member = membership_user(tenant_id=provider.tenant_id, email=email)
    if member is None:
        return invitation_accept_by_provider(tenant_id=provider.tenant_id, email=email)
    taken = SocialAccount.objects.filter(user=member, provider=provider.public_id).exists()
    return None if taken else member  # another subject of the same address is somebody else


def _proven_address(provider: SingleSignOn, login: SocialLogin) -> str:
    trusted = provider.kind == SingleSignOn.Kind.SAML
    for address in login.email_addresses:
        if trusted or str(address.verified).lower() == "true":  # some say "false", a text
            return str(address.email).lower()
    return ""


def _remember(login: SocialLogin, user: User) -> None:
    """The subject is this user's from now on. What else the provider told is not kept."""
    account, _ = SocialAccount.objects.update_or_create(
        provider=login.account.provider,
        uid=login.account.uid,
        defaults={"user": user, "extra_data": {}},
    )
    login.user, login.account = user, account


def _app(row: SingleSignOn) -> SocialApp:
    """The tenant's provider in the form that allauth takes; never saved."""
    if row.kind == SingleSignOn.Kind.OIDC:
        return SocialApp(
            provider="openid_connect",
            provider_id=row.public_id,
            name="single sign-on",
            client_id=row.client_id,
            secret=opened_secret(row),
            settings={"server_url": row.issuer, "oauth_pkce_enabled": True},
        )
    idp = {"entity_id": row.issuer, "sso_url": row.address, "x509cert": row.certificate}
    advanced = {
        "strict": True,
        "want_assertion_signed": True,
        "reject_idp_initiated_sso": True,
        "allow_single_label_domains": settings.EMBEDDED,  # localhost
    }
    return SocialApp(
        provider="saml",
        provider_id=row.public_id,
        name="single sign-on",
        client_id=row.public_id,
        settings={"idp": idp, "advanced": advanced, "attribute_mapping": _ATTRIBUTES},
    )


_ATTRIBUTES = {
    # no "uid": the NameID is who it is
    "email": [
        "email",
        "mail",
        "urn:oid:0.9.2342.19200300.100.1.3",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    ],
}


def _refused(request: HttpRequest, reason: str) -> HttpResponse:
    return render(request, "account/not_let_in.html", {"reason": reason}, status=403)


# --- sessions that came by a provider -------------------------------------------------------------


def provider_of(request: HttpRequest) -> str | None:
    """The tenant's provider by which the session came in; None: by a password or a passkey."""
    records: list[dict[str, Any]] = get_authentication_records(request, request.user)
    return next((str(r["provider"]) for r in records if r["method"] == "socialaccount"), None)
