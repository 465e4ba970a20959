"""Addresses of signing in and out, and of a tenant's keys. Of allauth's pages only those we use."""

from allauth.account import views as allauth
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from tenants import key_api, key_views, request_views, views

API = "api/external/v1/"

_form = require_http_methods(["GET", "HEAD", "POST"])

urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("sign-in", allauth.login, name="account_login"),
    path("sign-out", allauth.logout, name="account_logout"),
    path("sign-in/inactive", allauth.account_inactive, name="account_inactive"),
    path("sign-in/confirm", _form(allauth.reauthenticate), name="account_reauthenticate"),
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
