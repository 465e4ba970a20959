"""Signing in to the dashboard, and working for one of one's tenants."""

import pytest
from django.core.cache import cache
from django.test import Client

from tenants.isolation import tenant_scope
from tenants.models import Tenant, User
from tenants.selectors import memberships_of
from tenants.services import tenant_create
from tenants.tests.signing import signed_in

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def fresh_counts():
    cache.clear()


@pytest.fixture
def manager(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = User.objects.create_user("manager@example.com", PASSWORD)
    tenant_create(name="Acme", owner=user)
    return user


def sign_in(client, email="manager@example.com", password=PASSWORD, **extra):
    return client.post("/sign-in", {"login": email, "password": password}, **extra)


def test_the_root_leads_to_signing_in_and_back(manager):
    client = Client()
    assert client.get("/").headers["Location"] == "/sign-in?next=/"
    assert client.get("/calls").headers["Location"] == "/sign-in?next=/calls"
    answer = sign_in(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    page = client.get("/")
    assert page.status_code == 200
    assert "Acme" in page.text
    assert page.headers["Cache-Control"] == "private, no-store"


def test_the_address_of_the_e_mail_may_be_in_any_case(manager):
    assert sign_in(Client(), email="Manager@Example.com").status_code == 302


@pytest.mark.parametrize(
    ("email", "password"),
    [("manager@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("x", ""), ("", "")],
)
def test_a_wrong_guess_tells_nothing(manager, email, password):
    client = Client()
    assert sign_in(client, email, password).status_code == 200
    assert client.get("/calls").status_code == 302


def test_the_same_words_for_a_wrong_password_and_an_unknown_person(manager):
    wrong = sign_in(Client(), password="wrong").context["form"].errors
    unknown = sign_in(Client(), email="nobody@example.com", password="wrong").context["form"].errors
    assert wrong == unknown
    assert wrong


def test_guessing_is_stopped_and_the_right_password_with_it(manager):
    for _ in range(5):
        sign_in(Client(), password="wrong")
    answer = sign_in(Client())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "900")
    assert "Too many tries" in answer.text
    cache.clear()  # a quarter of an hour later
    assert sign_in(Client()).status_code == 302


def test_guessing_from_elsewhere_locks_nobody_out(manager):
    for _ in range(5):
        sign_in(Client(), password="wrong", REMOTE_ADDR="192.0.2.7")
    assert sign_in(Client(), REMOTE_ADDR="192.0.2.7").status_code == 429
    assert sign_in(Client(), REMOTE_ADDR="192.0.2.8").status_code == 302


def test_a_good_sign_in_forgets_the_tries_before_it(manager):
    for _ in range(2):
        for _ in range(4):
            sign_in(Client(), password="wrong")
        assert sign_in(Client()).status_code == 302


def test_a_caller_cannot_invent_an_address_to_go_on_guessing(manager):
    for number in range(6):
        answer = sign_in(Client(), password="wrong", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert answer.status_code == 429


def test_confirming_counts_as_a_try(manager):
    client = signed_in(manager, seconds_ago=3600)
    for _ in range(5):
        answer = client.post("/sign-in/confirm", {"password": "wrong"})
    assert answer.status_code == 429


def test_nobody_signs_up(manager):
    for path in ("/signup", "/sign-up", "/accounts/signup/", "/sign-in/signup"):
        assert Client().get(path).status_code == 404


def test_a_sign_in_that_is_switched_off(manager):
    User.objects.update(is_active=False)
    client = Client()
    sign_in(client)
    assert client.get("/calls").status_code == 302


def test_signing_out_needs_a_form(manager):
    client = Client()
    sign_in(client)
    assert "Sign out?" in client.get("/sign-out").text
    assert client.get("/calls").status_code == 200
    assert client.post("/sign-out").headers["Location"] == "/sign-in"
    assert client.get("/calls").status_code == 302


def test_forms_need_their_token(manager):
    client = Client(enforce_csrf_checks=True)
    assert sign_in(client).status_code == 403
    assert client.post("/tenant").status_code == 403


def test_only_our_own_pages_are_gone_on_to(manager):
    answer = sign_in(Client(), QUERY_STRING="next=https://evil.example/")
    assert answer.headers["Location"] == "/"


def test_who_belongs_to_no_active_account_is_told(manager):
    client = Client()
    sign_in(client)
    with tenant_scope(memberships_of(manager.pk)[0].tenant_id):
        Tenant.objects.update(status=Tenant.Status.SUSPENDED)
    answer = client.get("/calls")
    assert (answer.status_code, "no active account" in answer.text) == (403, True)


def test_a_member_of_two_tenants_chooses(manager):
    tenant_create(name="Beta", owner=manager)
    client = Client()
    sign_in(client)
    page = client.get("/calls")
    member = page.context["member"]
    assert [choice.tenant_name for choice in member.choices] == ["Acme", "Beta"]
    assert member.membership.tenant_name == "Acme"
    beta = str(member.choices[1].membership_id)
    assert client.post("/tenant", {"membership": beta}).headers["Location"] == "/"
    assert client.get("/calls").context["member"].membership.tenant_name == "Beta"


def test_a_strangers_tenant_cannot_be_chosen(manager):
    other = User.objects.create_user("other@example.com", PASSWORD)
    tenant_create(name="Stranger", owner=other)
    client = Client()
    sign_in(client)
    for odd in (str(memberships_of(other.pk)[0].membership_id), "", "x"):
        client.post("/tenant", {"membership": odd})
        assert client.get("/calls").context["member"].membership.tenant_name == "Acme"


def test_pages_run_no_foreign_or_inline_script(manager):
    client = Client()
    sign_in(client)
    for path in ("/sign-in", "/calls", "/calls/x"):
        policy = client.get(path).headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
