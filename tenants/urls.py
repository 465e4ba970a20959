"""Addresses of signing in and out. Of allauth's pages only those that we use."""

from allauth.account import views as allauth
from django.urls import URLPattern, path

from tenants import views

urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("sign-in", allauth.login, name="account_login"),
    path("sign-out", allauth.logout, name="account_logout"),
    path("sign-in/inactive", allauth.account_inactive, name="account_inactive"),
    path("tenant", views.tenant_choose, name="tenant-choose"),
]
