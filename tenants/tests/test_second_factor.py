"""Codes of an app, recovery codes, the tenant's policy, and sessions that are ended elsewhere."""

import re
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.core.cache import cache
from django.test import Client

from tenants.models import User
from tenants.services import tenant_create, tenant_policy_set
from tenants.tests.signing import signed_in

PASSWORD = "correct horse battery"


@pytest.fixture
def acme(db, settings):
    cache.clear()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return tenant_create(name="Acme", owner=User.objects.create_user("o@example.com", PASSWORD))


@pytest.fixture
def owner(acme):
    return User.objects.get()


def sign_in(client):
    return client.post("/sign-in", {"login": "o@example.com", "password": PASSWORD})


def code(secret, periods=0):
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + periods))


def app_added(client):
    """The secret, and the recovery codes that came with it."""
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", client.get("/account/authenticator").text)[1]
    page = client.post("/account/authenticator", {"code": code(secret)}, follow=True)
    return secret, re.findall(r"<li>(\d{8})</li>", page.text)


@pytest.mark.django_db(transaction=True)
def test_an_app_is_added_and_asked_from_then_on(owner):
    secret, codes = app_added(signed_in(owner))
    assert len(codes) == 10
    assert mail.outbox[-1].subject == "An authenticator app was added to how you sign in"
    client = Client()
    assert sign_in(client).headers["Location"] == "/sign-in/code"
    assert client.get("/calls").status_code == 302  # the password alone opens nothing
    assert "Incorrect code." in client.post("/sign-in/code", {"code": "000000"}).text
    assert client.post("/sign-in/code", {"code": code(secret, 1)}).status_code == 302
    assert client.get("/calls").status_code == 200


def test_a_code_is_good_once(owner):
    secret, _ = app_added(signed_in(owner))
    good = code(secret, 1)
    for status in (302, 200):
        client = Client()
        sign_in(client)
        assert client.post("/sign-in/code", {"code": good}).status_code == status


def test_a_recovery_code_signs_in_once_and_they_are_shown_once(owner):
    adding = signed_in(owner)
    _, codes = app_added(adding)
    for status in (302, 200):
        client = Client()
        sign_in(client)
        assert client.post("/sign-in/code", {"code": codes[0]}).status_code == status
    later = adding.get("/account/recovery-codes")
    assert codes[1] not in later.text
    assert "9 of 10" in later.text


def test_guessing_codes_is_stopped(owner):
    secret, _ = app_added(signed_in(owner))
    client = Client()
    sign_in(client)
    for number in range(25):
        client.post("/sign-in/code", {"code": f"{number:06}"})
    assert client.post("/sign-in/code", {"code": code(secret, 1)}).status_code != 302


def test_secrets_of_apps_are_sealed(owner):
    secret, codes = app_added(signed_in(owner))
    kept = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in kept
    assert not any(code in kept for code in codes)


def test_adding_and_removing_needs_a_fresh_sign_in(owner):
    stale = signed_in(owner, seconds_ago=3600)
    for path in ("authenticator", "passkeys/add", "recovery-codes/new"):
        assert stale.get(f"/account/{path}").headers["Location"].startswith("/sign-in/confirm")
    app_added(signed_in(owner))
    asked = stale.post("/account/authenticator/remove")
    assert asked.headers["Location"].startswith("/sign-in/confirm")
    assert Authenticator.objects.filter(type="totp").exists()


def test_a_tenant_that_asks_for_it_shows_nothing_before(acme, owner):
    client = signed_in(owner)
    assert client.get("/calls").status_code == 200
    tenant_policy_set(tenant_id=acme.pk, mfa_required=True)
    led = client.get("/calls", follow=True)
    assert led.redirect_chain == [("/account", 302)]
    assert "asks for a second way" in led.text
    assert "/webhooks" not in led.text  # no navigation to what is shut
    fragment = client.get("/calls", headers={"HX-Request": "true"})
    assert fragment.headers["HX-Redirect"] == "/account"
    app_added(client)
    assert client.get("/calls").status_code == 200


def test_the_deployment_decides_for_tenants_that_say_nothing(acme, owner, settings):
    settings.MFA_REQUIRED = True
    client = signed_in(owner)
    assert client.get("/calls").status_code == 302
    tenant_policy_set(tenant_id=acme.pk, mfa_required=False)
    assert client.get("/calls").status_code == 200


def test_a_forgotten_password_is_chosen_anew_but_codes_stay(owner):
    app_added(signed_in(owner))
    elsewhere = signed_in(owner)
    Client().post("/sign-in/password", {"email": "nobody@example.com"})
    sent = len(mail.outbox)
    Client().post("/sign-in/password", {"email": "o@example.com"})
    assert len(mail.outbox) == sent + 1
    link = re.search(r"http://[^/]+(/sign-in/password/\S+)", mail.outbox[-1].body)[1]
    client = Client()
    form = client.get(link, follow=True)
    path = form.redirect_chain[-1][0]
    new = "another battery of horses"
    done = client.post(path, {"password1": new, "password2": new}, follow=True)
    assert "signed out everywhere" in done.text
    assert elsewhere.get("/calls").status_code == 302
    assert "This link is over" in Client().get(link, follow=True).text
    answer = client.post("/sign-in", {"login": "o@example.com", "password": new})
    assert answer.headers["Location"] == "/sign-in/code"


def test_a_mail_server_that_is_away_tells_nobody_who_has_an_account(owner, settings, caplog):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answers = [
        Client().post("/sign-in/password", {"email": email}).headers["Location"]
        for email in ("o@example.com", "nobody@example.com")
    ]
    assert answers == ["/sign-in/password/sent"] * 2
    assert "mail not sent" in caplog.text
    assert "o@example.com" not in caplog.text


def test_sessions_are_listed_and_end_at_once(owner):
    here, there, third = Client(), Client(), Client()
    for client, agent in ((here, "Firefox Linux"), (there, "Chrome Windows"), (third, "Safari")):
        client.post(
            "/sign-in",
            {"login": "o@example.com", "password": PASSWORD},
            headers={"User-Agent": agent},
        )
    page = here.get("/account")
    assert "Chrome on Windows" in page.text
    names = {p.browser: p.name for p in page.context["places"]}
    assert [p.is_here for p in page.context["places"]] == [True, False, False]
    here.post("/account/sessions/end", {"session": names["Chrome on Windows"]})
    assert there.get("/calls").status_code == 302
    assert third.get("/calls").status_code == 200
    here.post("/account/sessions/end", {"others": "1"})
    assert third.get("/calls").status_code == 302
    assert here.get("/calls").status_code == 200


def test_a_strangers_session_is_not_ended(owner):
    stranger = User.objects.create_user("s@example.com", PASSWORD)
    tenant_create(name="Other", owner=stranger)
    victim = Client()
    sign_in(victim)
    name = victim.get("/account").context["places"][0].name
    for form in ({"session": name}, {"others": "1"}):
        signed_in(stranger).post("/account/sessions/end", form)
    assert victim.get("/calls").status_code == 200


def test_a_changed_password_ends_the_other_sessions(owner):
    here, there = Client(), Client()
    sign_in(here)
    sign_in(there)
    new = "another battery of horses"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/account/password", form).status_code == 302
    assert here.get("/calls").status_code == 200
    assert there.get("/calls").status_code == 302
