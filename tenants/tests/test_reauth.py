"""Secrets and what can't be undone are for who proved just now who they are."""

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.views.decorators.http import require_http_methods

from athos.urls import urlpatterns as product
from tenants.members import for_members
from tenants.models import User
from tenants.reauth import fresh_sign_in, fresh_sign_in_for_secrets
from tenants.services import tenant_create
from tenants.tests.signing import signed_in

PASSWORD = "correct horse battery"


@require_http_methods(["GET", "POST"])
@for_members()
@fresh_sign_in
def secret(request, member):
    return HttpResponse(f"{request.method} {request.POST.get('name', '')} {member.email}")


@for_members()
@fresh_sign_in_for_secrets
def holding(request, member):
    return HttpResponse(request.method)


urlpatterns = [
    path("secret", secret),
    path("holding", holding),
    *product,
]


@pytest.fixture
def client(db, settings):
    cache.clear()
    settings.ROOT_URLCONF = __name__
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    tenant_create(name="Acme", owner=User.objects.create_user("owner@example.com", PASSWORD))
    client = Client()
    client.post("/sign-in", {"login": "owner@example.com", "password": PASSWORD})
    return client


@pytest.fixture
def stale(client):
    """The same person, who signed in an hour ago."""
    return signed_in(User.objects.get(), seconds_ago=3600)


def test_who_just_signed_in_goes_on(client):
    assert client.get("/secret").text == "GET  owner@example.com"


def test_a_form_waits_for_the_password_and_goes_on_by_itself(stale):
    asked = stale.post("/secret", {"name": "production"})
    assert asked.headers["Location"] == "/sign-in/confirm?next=%2Fsecret"
    page = stale.get(asked.headers["Location"])
    assert "Is it you?" in page.text
    wrong = stale.post(asked.headers["Location"], {"password": "guess", "next": "/secret"})
    assert wrong.status_code == 200
    assert "production" not in wrong.text
    right = stale.post(asked.headers["Location"], {"password": PASSWORD, "next": "/secret"})
    assert right.text == "POST production owner@example.com"
    assert stale.get("/secret").status_code == 200


def test_a_form_that_holds_a_secret_is_not_kept_anywhere(stale):
    asked = stale.post("/holding", {"client_secret": "s3cr3t-canary"})
    assert asked.headers["Location"] == "/sign-in/confirm?next=%2Fholding"
    assert "s3cr3t-canary" not in str(dict(stale.session))
    right = stale.post(asked.headers["Location"], {"password": PASSWORD, "next": "/holding"})
    assert right.headers["Location"] == "/holding"


def test_htmx_goes_to_the_confirmation_and_comes_back_to_its_page(stale):
    answer = stale.post(
        "/secret",
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/keys?mode=test"},
    )
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"] == "/sign-in/confirm?next=%2Fkeys%3Fmode%3Dtest"


def test_a_session_without_any_proof_is_not_fresh(client):
    bare = Client()
    bare.force_login(User.objects.get())
    assert bare.get("/secret").headers["Location"] == "/sign-in/confirm?next=%2Fsecret"


def test_nobody_is_asked_who_is_not_signed_in(client):
    assert Client().post("/secret").headers["Location"] == "/sign-in?next=/secret"
    assert Client().get("/sign-in/confirm").headers["Location"].startswith("/sign-in")
