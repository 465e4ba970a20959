"""A company's own sign-in: who gets in by it, how far, and what is refused."""

import base64
import http.client
from urllib.parse import urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.test import Client

from athos.single_sign_on import OutwardSession
from tenants.errors import InvalidRequest
from tenants.invitations import invitation_create, invitation_revoke
from tenants.isolation import tenant_scope
from tenants.models import Membership, SingleSignOn, User
from tenants.selectors import memberships_of
from tenants.services import tenant_create
from tenants.single_sign_on import ProviderWish, single_sign_on_remove, single_sign_on_set
from tenants.tests.identity_providers import (
    CLIENT,
    ENTITY,
    SECRET,
    SamlProvider,
    openid_provider,
    request_id_of,
)
from tenants.tests.signing import signed_in


@pytest.fixture(autouse=True)
def fresh(db):
    cache.clear()


@pytest.fixture(scope="module")
def openid():
    with openid_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def saml():
    return SamlProvider()


@pytest.fixture
def acme():
    return tenant_create(name="Acme", owner=User.objects.create_user("owner@example.com", "x"))


@pytest.fixture
def by_openid(acme, openid, settings):
    settings.SSO_LOCAL_URLS = [openid.issuer]
    openid.audience = CLIENT
    wish = ProviderWish("oidc", openid.issuer, client_id=CLIENT, secret=SECRET)
    return single_sign_on_set(tenant_id=acme.pk, wish=wish).public_id


@pytest.fixture
def by_saml(acme, saml):
    wish = ProviderWish("saml", ENTITY, address=f"{ENTITY}/start", certificate=saml.certificate)
    return single_sign_on_set(tenant_id=acme.pk, wish=wish).public_id


def member(tenant, email, role="manager"):
    user = User.objects.filter(email=email).first() or User.objects.create_user(email)
    with tenant_scope(tenant.pk):
        Membership.objects.create(tenant=tenant, user=user, role=role)
    return user


def through_openid(provider, name, /, *, client=None, **person):
    """A browser's way through the provider and back; the last answer."""
    provider.person = {"sub": "s1", "email_verified": True, **person}
    client = client or Client()
    away = client.get(f"/sign-in/with/{name}/openid?process=login")
    return client, client.get(_back_from(away.headers["Location"]))


def _back_from(address):
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    connection.request("GET", f"{parts.path}?{parts.query}")
    back = urlsplit(connection.getresponse().getheader("Location"))
    connection.close()
    return f"{back.path}?{back.query}"


def through_saml(provider, name, *, change=None, client=None, email="m@example.com", **facts):
    client = client or Client(headers={"Host": "testserver"})
    away = client.get(f"/sign-in/with/{name}/saml?process=login")
    answer = provider.answer(
        request_id_of(away.headers["Location"]),
        **{
            "acs": f"http://testserver/sign-in/with/{name}/saml/acs",
            "audience": f"http://testserver/sign-in/with/{name}/saml/metadata",
            "email": email,
            **facts,
        },
    )
    if change:
        answer = base64.b64encode(change(base64.b64decode(answer).decode()).encode()).decode()
    return client, answer, hand_in(client, name, answer)


def hand_in(client, name, answer):
    kept = client.post(f"/sign-in/with/{name}/saml/acs", {"SAMLResponse": answer})
    return client.get(kept.headers["Location"])


# --- OpenID Connect -------------------------------------------------------------------------------


def test_a_member_gets_in_and_is_known_by_the_subject_from_then_on(acme, openid, by_openid):
    person = member(acme, "m@example.com")
    page = Client().get(f"/sign-in/with/{by_openid}")
    assert "Sign in to Acme" in page.text
    client, answer = through_openid(openid, by_openid, email="M@example.com", name="Person")
    assert (answer.status_code, client.get("/calls").status_code) == (302, 200)
    account = SocialAccount.objects.get()
    assert (account.user, account.uid, account.extra_data) == (person, "s1", {})
    client, _ = through_openid(openid, by_openid, email="renamed@example.com")
    assert client.get("/calls").context["member"].email == "m@example.com"


@pytest.mark.parametrize("verified", [False, None, "false", "absent"])
def test_an_address_that_was_not_checked_opens_nothing(acme, openid, by_openid, verified):
    member(acme, "m@example.com")
    claims = {} if verified == "absent" else {"email_verified": verified}
    openid.person = {}
    client, answer = through_openid(
        openid, by_openid, **({"email": "m@example.com", "email_verified": False} | claims)
    )
    assert answer.status_code == 403
    assert "no place for you" in answer.text
    assert client.get("/calls").status_code == 302
    assert not SocialAccount.objects.exists()


def test_who_has_no_place_gets_none(acme, openid, by_openid):
    client, answer = through_openid(openid, by_openid, email="nobody@example.com")
    assert (answer.status_code, client.get("/calls").status_code) == (403, 302)
    assert not User.objects.filter(email="nobody@example.com").exists()


def test_an_invitation_is_taken_by_signing_in_and_a_revoked_one_is_not(acme, openid, by_openid):
    gone = invitation_create(tenant_id=acme.pk, email="gone@example.com", role="analyst")
    invitation_revoke(tenant_id=acme.pk, public_id=gone.public_id)
    invitation_create(tenant_id=acme.pk, email="new@example.com", role="analyst")
    _, refused = through_openid(openid, by_openid, email="gone@example.com", sub="s2")
    assert refused.status_code == 403
    client, _ = through_openid(openid, by_openid, email="new@example.com")
    assert client.get("/calls").context["member"].membership.role == "analyst"
    assert not User.objects.get(email="new@example.com").has_usable_password()


def test_another_subject_with_the_same_address_is_somebody_else(acme, openid, by_openid):
    member(acme, "m@example.com")
    through_openid(openid, by_openid, email="m@example.com")
    _, answer = through_openid(openid, by_openid, email="m@example.com", sub="s2")
    assert answer.status_code == 403


def test_what_a_provider_says_holds_in_its_own_account_only(acme, openid, by_openid):
    other = tenant_create(name="Other", owner=User.objects.get())
    person = member(acme, "m@example.com")
    member(other, "m@example.com", role="owner")
    client, _ = through_openid(openid, by_openid, email="m@example.com")
    choices = client.get("/calls").context["member"].choices
    assert [choice.tenant_name for choice in choices] == ["Acme"]
    elsewhere = next(m for m in memberships_of(person.pk) if m.tenant_name == "Other")
    client.post("/tenant", {"membership": str(elsewhere.membership_id)})
    assert client.get("/calls").context["member"].membership.tenant_name == "Acme"
    for path in ("password", "password/set", "authenticator", "passkeys/add"):
        answer = client.get(f"/account/{path}")
        assert (answer.status_code, "Your company runs" in answer.text) == (403, True)


def test_who_is_removed_is_out_though_the_provider_knows_them(acme, openid, by_openid):
    person = member(acme, "m@example.com")
    client, _ = through_openid(openid, by_openid, email="m@example.com")
    with tenant_scope(acme.pk):
        Membership.objects.filter(user=person).delete()
    assert client.get("/calls").status_code == 403
    _, answer = through_openid(openid, by_openid, email="m@example.com")
    assert answer.status_code == 403


def test_a_required_provider_shuts_the_other_ways_but_not_for_owners(acme, openid, by_openid):
    person = member(acme, "m@example.com")
    wish = ProviderWish("oidc", openid.issuer, client_id=CLIENT, required=True)
    assert single_sign_on_set(tenant_id=acme.pk, wish=wish).public_id == by_openid
    page = signed_in(person).get("/calls")
    assert (page.status_code, by_openid in page.text) == (403, True)
    assert signed_in(User.objects.get(email="owner@example.com")).get("/calls").status_code == 200
    client, _ = through_openid(openid, by_openid, email="m@example.com")
    assert client.get("/calls").status_code == 200


def test_another_issuer_is_another_provider_and_a_removed_one_is_none(acme, openid, by_openid):
    member(acme, "m@example.com")
    client, _ = through_openid(openid, by_openid, email="m@example.com")
    wish = ProviderWish("oidc", "https://login.example.com", client_id=CLIENT, secret=SECRET)
    new = single_sign_on_set(tenant_id=acme.pk, wish=wish).public_id
    assert new != by_openid
    assert client.get("/calls").status_code == 403
    assert Client().get(f"/sign-in/with/{by_openid}").status_code == 404
    single_sign_on_remove(tenant_id=acme.pk)
    assert Client().get(f"/sign-in/with/{new}").status_code == 404


def test_a_stolen_answer_is_no_use_in_another_browser_nor_twice(acme, openid, by_openid):
    member(acme, "m@example.com")
    openid.person = {"sub": "s1", "email": "m@example.com", "email_verified": True}
    client = Client()
    away = client.get(f"/sign-in/with/{by_openid}/openid?process=login")
    back = _back_from(away.headers["Location"])
    assert Client().get(back).status_code == 403
    assert client.get(back).status_code == 302
    again = Client()
    assert again.get(back).status_code == 403
    assert again.get("/calls").status_code == 302


def test_connecting_to_who_is_signed_in_is_refused(acme, openid, by_openid):
    owner = User.objects.get(email="owner@example.com")
    openid.person = {"sub": "s1", "email": "evil@example.com", "email_verified": True}
    client = signed_in(owner)
    away = client.get(f"/sign-in/with/{by_openid}/openid?process=connect")
    assert client.get(_back_from(away.headers["Location"])).status_code == 403
    assert not SocialAccount.objects.exists()


def test_a_token_for_another_client_is_refused(acme, openid, by_openid):
    member(acme, "m@example.com")
    openid.audience = "another client"
    _, answer = through_openid(openid, by_openid, email="m@example.com")
    assert answer.status_code == 403


def test_a_provider_that_is_away_is_a_page_that_says_so(acme, settings):
    settings.SSO_LOCAL_URLS = ["http://127.0.0.1:1"]
    wish = ProviderWish("oidc", "http://127.0.0.1:1", client_id=CLIENT, secret=SECRET)
    name = single_sign_on_set(tenant_id=acme.pk, wish=wish).public_id
    page = Client().get(f"/sign-in/with/{name}/openid?process=login")
    assert (page.status_code, "could not be reached" in page.text) == (403, True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:80/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://user@example.com/",
    ],
)
def test_nothing_inside_is_reached(url):
    with pytest.raises(requests.RequestException):
        OutwardSession().get(url)


def test_the_secret_is_sealed_and_only_owners_set_a_provider_up(acme, by_openid):
    with tenant_scope(acme.pk):
        assert SECRET not in str(SingleSignOn.objects.values().get())
    page = signed_in(User.objects.get(email="owner@example.com")).get("/settings/security/provider")
    assert page.status_code == 200
    assert SECRET not in page.text
    manager = signed_in(member(acme, "m@example.com"))
    assert manager.get("/settings/security/provider").status_code == 403
    assert manager.post("/settings/security/provider/remove").status_code == 403
    stale = signed_in(User.objects.get(email="owner@example.com"), seconds_ago=3600)
    asked = stale.post("/settings/security/provider/remove")
    assert asked.headers["Location"].startswith("/sign-in/confirm")


@pytest.mark.parametrize(
    "wish",
    [
        ProviderWish("oidc", "http://login.example.com", client_id="x", secret="x"),
        ProviderWish("oidc", "https://a:b@login.example.com", client_id="x", secret="x"),
        ProviderWish("oidc", "https://login.example.com", client_id="", secret="x"),
        ProviderWish("oidc", "https://login.example.com", client_id="x"),
        ProviderWish("saml", ENTITY, address=ENTITY, certificate="no certificate"),
        ProviderWish("ldap", ENTITY),
    ],
)
def test_odd_providers_are_refused(acme, wish):
    with pytest.raises(InvalidRequest):
        single_sign_on_set(tenant_id=acme.pk, wish=wish)


# --- SAML -----------------------------------------------------------------------------------------


def test_a_signed_assertion_lets_a_member_in(acme, saml, by_saml):
    member(acme, "m@example.com")
    client, _, answer = through_saml(saml, by_saml)
    assert (answer.status_code, client.get("/calls").status_code) == (302, 200)
    assert (
        "saml/acs"
        in Client(headers={"Host": "testserver"}).get(f"/sign-in/with/{by_saml}/saml/metadata").text
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"signed": False},
        {"audience": "https://elsewhere.example.com/"},
        {"acs": "https://elsewhere.example.com/acs"},
        {"issuer": "https://another.example.com/saml"},
        {"minutes_ago": 60},
        {"change": lambda xml: xml.replace("m@example.com", "owner@example.com")},
        {"change": lambda xml: xml.replace("subject-1", "subject-2")},
        {"email": "nobody@example.com"},
    ],
    ids=lambda odd: next(iter(odd)),
)
def test_anything_odd_about_an_assertion_is_refused(acme, saml, by_saml, odd):
    member(acme, "m@example.com")
    client, _, answer = through_saml(saml, by_saml, **odd)
    assert (answer.status_code, client.get("/calls").status_code) == (403, 302)
    assert not SocialAccount.objects.exists()


def test_another_ones_key_signs_nobody_in(acme, by_saml):
    member(acme, "m@example.com")
    client, _, answer = through_saml(SamlProvider(), by_saml)
    assert (answer.status_code, client.get("/calls").status_code) == (403, 302)


def test_an_assertion_is_good_once_and_in_its_own_browser(acme, saml, by_saml):
    member(acme, "m@example.com")
    client, used, _ = through_saml(saml, by_saml)
    for browser in (client, Client(headers={"Host": "testserver"})):
        browser.post("/sign-out")
        assert hand_in(browser, by_saml, used).status_code == 403
        assert browser.get("/calls").status_code == 302


def test_what_the_provider_starts_by_itself_is_refused(acme, saml, by_saml):
    member(acme, "m@example.com")
    client, _, answer = through_saml(
        saml, by_saml, change=lambda xml: xml.replace(' InResponseTo="', ' Unsolicited="', 1)
    )
    assert (answer.status_code, client.get("/calls").status_code) == (403, 302)


def test_one_tenants_assertion_opens_nothing_of_anothers(acme, saml, by_saml):
    other = tenant_create(name="Other", owner=User.objects.create_user("m@example.com"))
    wish = ProviderWish("saml", ENTITY, address=ENTITY, certificate=saml.certificate)
    theirs = single_sign_on_set(tenant_id=other.pk, wish=wish).public_id
    member(acme, "m@example.com")
    browser, answer, _ = through_saml(saml, by_saml)
    assert hand_in(browser, theirs, answer).status_code == 403
    assert [c.tenant_name for c in browser.get("/calls").context["member"].choices] == ["Acme"]


def test_an_answer_too_large_is_not_kept(acme, saml, by_saml):
    page = Client().post(f"/sign-in/with/{by_saml}/saml/acs", {"SAMLResponse": "x" * 300_000})
    assert page.status_code == 403
