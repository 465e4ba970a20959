"""Addresses of signing in and out, and of a tenant's keys. Of allauth's pages only those we use."""

from allauth.account import views as allauth
from django.urls import URLPattern, path

from tenants import key_api, views

API = "api/external/v1/"

urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("sign-in", allauth.login, name="account_login"),
    path("sign-out", allauth.logout, name="account_logout"),
    path("sign-in/inactive", allauth.account_inactive, name="account_inactive"),
    path("tenant", views.tenant_choose, name="tenant-choose"),
    path(API + "keys", key_api.KeyListApi.as_view(), name="key-list"),
    path(API + "keys/<str:key_id>/revoke", key_api.KeyRevokeApi.as_view(), name="key-revoke"),
    path(API + "keys/<str:key_id>/rotate", key_api.KeyRotateApi.as_view(), name="key-rotate"),
]
