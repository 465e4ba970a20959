"""Addresses of signing in and out, and of a tenant's keys. Of allauth's pages only those we use."""

from allauth.account import views as allauth
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.urls import URLPattern, path, re_path
from django.views.decorators.http import require_http_methods

from tenants import (
    account_views,
    key_api,
    key_views,
    provider_views,
    request_views,
    settings_views,
    views,
)
from tenants.reauth import View

API = "api/external/v1/"

_form = require_http_methods(["GET", "HEAD", "POST"])


def _own(view: View[...]) -> View[...]:
    """A page of allauth about one's own password, keys and codes."""
    return _form(account_views.own_sign_in(view))


urlpatterns: list[URLPattern] = [
    path("sign-in", allauth.login, name="account_login"),
    path("sign-out", allauth.logout, name="account_logout"),
    path("sign-in/inactive", allauth.account_inactive, name="account_inactive"),
    path("sign-in/code", _form(mfa.authenticate), name="mfa_authenticate"),
    path("sign-in/passkey", _form(passkeys.login_webauthn), name="mfa_login_webauthn"),
    path("sign-in/password", _form(allauth.password_reset), name="account_reset_password"),
    path(
        "sign-in/password/sent",
        _form(allauth.password_reset_done),
        name="account_reset_password_done",
    ),
    path(
        "sign-in/password/done",
        _form(allauth.password_reset_from_key_done),
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^sign-in/password/(?P<uidb36>[0-9a-zA-Z]{1,40})-(?P<key>[0-9a-zA-Z-]{1,100})$",
        _form(allauth.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path("sign-in/confirm", _own(allauth.reauthenticate), name="account_reauthenticate"),
    path("sign-in/confirm/code", _own(mfa.reauthenticate), name="mfa_reauthenticate"),
    path(
        "sign-in/confirm/passkey",
        _own(passkeys.reauthenticate_webauthn),
        name="mfa_reauthenticate_webauthn",
    ),
    path("invitation/<str:secret>", views.invitation_page, name="invitation-page"),
    path("account", account_views.account_page, name="account-page"),
    path("account/factors", account_views.to_account, name="mfa_index"),
    path("account/passkeys", account_views.to_account, name="mfa_list_webauthn"),
    path("account/name", account_views.name_set, name="account-name"),
    path("account/password", _own(allauth.password_change), name="account_change_password"),
    path("account/password/set", _own(allauth.password_set), name="account_set_password"),
    path("account/authenticator", _own(totp.activate_totp), name="mfa_activate_totp"),
    path("account/authenticator/remove", _own(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path(
        "account/recovery-codes",
        _own(recovery_codes.view_recovery_codes),
        name="mfa_view_recovery_codes",
    ),
    path(
        "account/recovery-codes/new",
        _own(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path("account/passkeys/add", _own(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path(
        "account/passkeys/<int:pk>/remove",
        _own(passkeys.remove_webauthn),
        name="mfa_remove_webauthn",
    ),
    path("account/sessions/end", account_views.session_end, name="session-end"),
    # a tenant's own identity provider
    path("sign-in/with/<str:provider>", provider_views.start, name="single-sign-on"),
    path(
        "sign-in/with/<str:provider_id>/openid",
        provider_views.openid_login,
        name="openid_connect_login",
    ),
    path(
        "sign-in/with/<str:provider_id>/openid/back",
        provider_views.openid_callback,
        name="openid_connect_callback",
    ),
    path("sign-in/with/<str:organization_slug>/saml", provider_views.saml_login, name="saml_login"),
    path(
        "sign-in/with/<str:organization_slug>/saml/metadata",
        provider_views.saml_metadata,
        name="saml_metadata",
    ),
    path("sign-in/with/<str:organization_slug>/saml/acs", provider_views.saml_acs, name="saml_acs"),
    path(
        "sign-in/with/<str:organization_slug>/saml/finish",
        provider_views.saml_finish,
        name="saml_finish_acs",
    ),
    path("sign-in/with/<str:organization_slug>/saml/out", provider_views.saml_out, name="saml_sls"),
    path("settings/team", settings_views.team_page, name="team-page"),
    path("settings/team/invite", settings_views.member_invite, name="member-invite"),
    path("settings/team/invitation", settings_views.invitation_act, name="invitation-act"),
    path("settings/team/member", settings_views.member_page, name="member-page"),
    path("settings/team/remove", settings_views.member_remove, name="member-remove"),
    path("settings/branding", settings_views.branding_page, name="branding-page"),
    path("settings/branding/logo", settings_views.logo_set, name="branding-logo"),
    path("settings/security", settings_views.security_page, name="security-page"),
    path("settings/security/provider", settings_views.provider_page, name="provider-page"),
    path(
        "settings/security/provider/remove", settings_views.provider_remove, name="provider-remove"
    ),
    path("settings/audit", settings_views.audit_page, name="audit-page"),
    path("tenant", views.tenant_choose, name="tenant-choose"),
    path("mode", views.mode_choose_page, name="mode-choose"),
    path("developers/keys", key_views.key_pages, name="key-pages"),
    path("developers/keys/add", key_views.key_add, name="key-add"),
    path("developers/keys/addresses", key_views.addresses_set, name="key-addresses"),
    path("developers/keys/<str:key_id>", key_views.key_page, name="key-page"),
    path("developers/keys/<str:key_id>/rotate", key_views.key_rotate, name="key-page-rotate"),
    path("developers/keys/<str:key_id>/revoke", key_views.key_revoke, name="key-page-revoke"),
    path("developers/requests", request_views.request_pages, name="request-pages"),
    path("developers/requests/<str:request_id>", request_views.request_page, name="request-page"),
    path(API + "keys", key_api.KeyListApi.as_view(), name="key-list"),
    path(API + "keys/<str:key_id>/revoke", key_api.KeyRevokeApi.as_view(), name="key-revoke"),
    path(API + "keys/<str:key_id>/rotate", key_api.KeyRotateApi.as_view(), name="key-rotate"),
]
