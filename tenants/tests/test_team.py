"""Who is in the team, by whose hand, and who may not be put out."""

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from tenants.errors import InvalidRequest
from tenants.invitations import (
    InvitationNotFound,
    invitation_accept,
    invitation_create,
    invitation_find,
    invitation_resend,
    invitation_revoke,
    invitations_open,
)
from tenants.isolation import tenant_scope
from tenants.models import Agency, AuditEvent, Invitation, Membership, User
from tenants.services import tenant_create
from tenants.team import GIVES, membership_change, membership_remove, team_list
from tenants.tests.signing import signed_in

OWNER, MANAGER, ANALYST, DEVELOPER = Membership.Role.values
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick(db, settings):
    cache.clear()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def acme():
    return tenant_create(name="Acme", owner=User.objects.create_user("owner@example.com"))


@pytest.fixture
def stranger():
    return tenant_create(name="Other", owner=User.objects.create_user("stranger@example.com"))


def add(tenant, role, *, agencies=()):
    user = User.objects.create_user(f"{role}{User.objects.count()}@example.com")
    with tenant_scope(tenant.pk):
        Membership.objects.create(tenant=tenant, user=user, role=role, agencies=list(agencies))
    return user


def agency(tenant, name):
    with tenant_scope(tenant.pk):
        return Agency.objects.create(tenant=tenant, external_id=name)


def invite(tenant, email="new@example.com", role=ANALYST, **more):
    invitation = invitation_create(tenant_id=tenant.pk, email=email, role=role, **more)
    return invitation, link_of(mail.outbox[-1])


def link_of(message):
    return re.search(r"/invitation/(\S+)", message.body)[1]


def roles(tenant):
    return {person.email: person.role for person in team_list(tenant_id=tenant.pk)}


# --- invitations ---------------------------------------------------------------------------------


def test_a_link_makes_an_account_and_its_place(acme):
    north = agency(acme, "north")
    _, secret = invite(acme, "New@Example.com", MANAGER, agencies=(north.pk,))
    client = Client()
    page = client.get(f"/invitation/{secret}")
    assert "Your place in Acme" in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    weak = client.post(f"/invitation/{secret}", {"name": "New", "password": "password12"})
    assert (weak.status_code, "too common" in weak.text) == (400, True)
    answer = client.post(f"/invitation/{secret}", {"name": "New", "password": PASSWORD})
    assert answer.headers["Location"] == "/sign-in"
    signed = client.post("/sign-in", {"login": "new@example.com", "password": PASSWORD})
    assert signed.status_code == 302
    with tenant_scope(acme.pk):
        place = Membership.objects.get(user__email="new@example.com")
        assert (place.role, place.agencies, place.user.name) == (MANAGER, [north.pk], "New")
        actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"invitation.create", "invitation.accept"} <= actions


def test_a_link_is_good_once(acme):
    _, secret = invite(acme)
    Client().post(f"/invitation/{secret}", {"name": "New", "password": PASSWORD})
    for method in ("get", "post"):
        again = getattr(Client(), method)(f"/invitation/{secret}", {"password": PASSWORD})
        assert (again.status_code, "invitation is over" in again.text) == (404, True)


@pytest.mark.parametrize("ending", ["expired", "revoked", "resent", "suspended"])
def test_a_link_ends(acme, ending):
    invitation, secret = invite(acme)
    named = {"tenant_id": acme.pk, "public_id": invitation.public_id}
    with tenant_scope(acme.pk):
        if ending == "expired":
            Invitation.objects.update(expires_at=timezone.now())
        elif ending == "revoked":
            invitation_revoke(**named)
        elif ending == "resent":
            invitation_resend(**named, by_role=OWNER)
        else:
            acme.status = "suspended"
            acme.save()
    assert Client().get(f"/invitation/{secret}").status_code == 404
    with pytest.raises(InvitationNotFound):
        invitation_accept(secret=secret, user=User.objects.create_user("new@example.com"))
    assert "new@example.com" not in roles(acme)


def test_sent_again_the_new_link_works_and_an_expired_one_can_be_sent_again(acme):
    invitation, _ = invite(acme)
    with tenant_scope(acme.pk):
        Invitation.objects.update(expires_at=timezone.now())
    assert [row.expired for row in invitations_open(tenant_id=acme.pk)] == [True]
    invitation_resend(tenant_id=acme.pk, public_id=invitation.public_id, by_role=OWNER)
    assert invitation_find(link_of(mail.outbox[-1])).email == "new@example.com"
    assert [(r.expired, r.sent) for r in invitations_open(tenant_id=acme.pk)] == [(False, True)]


def test_another_persons_link_gives_nothing(acme, stranger):
    _, secret = invite(acme)
    other = signed_in(User.objects.get(email="stranger@example.com"))
    page = other.get(f"/invitation/{secret}")
    assert "this invitation is for new@example.com" in page.text
    assert other.post(f"/invitation/{secret}").status_code == 403
    assert roles(acme) == {"owner@example.com": OWNER}


def test_who_has_an_account_takes_the_place_with_it_and_keeps_the_password(acme, stranger):
    person = User.objects.create_user("new@example.com", PASSWORD)
    _, secret = invite(acme)
    asked = Client().post(f"/invitation/{secret}", {"password": "another one of mine"})
    assert asked.headers["Location"] == f"/sign-in?next=/invitation/{secret}"
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert signed_in(person).post(f"/invitation/{secret}").headers["Location"] == "/"
    assert roles(acme)["new@example.com"] == ANALYST


def test_only_the_links_digest_is_kept(acme):
    _, secret = invite(acme)
    with tenant_scope(acme.pk):
        assert secret not in str(Invitation.objects.values().get())


def test_no_second_invitation_and_none_for_who_is_in(acme):
    invite(acme)
    for email in ("NEW@example.com", "owner@example.com", "no address", "x" * 250 + "@example.com"):
        with pytest.raises(InvalidRequest):
            invitation_create(tenant_id=acme.pk, email=email, role=ANALYST)


def test_without_mail_nobody_is_invited(acme, settings):
    settings.EMAIL_URL = ""
    with pytest.raises(InvalidRequest, match="EMAIL_URL"):
        invite(acme)


def test_a_mail_server_that_is_away_loses_no_invitation(acme, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    client = signed_in(User.objects.get())
    form = {"email": "new@example.com", "role": ANALYST}
    page = client.post("/settings/team/invite", form, follow=True)
    assert "did not take the mail" in page.text
    assert "the mail did not go out" in page.text
    assert [row.sent for row in invitations_open(tenant_id=acme.pk)] == [False]


# --- roles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_role", Membership.Role.values)
def test_nobody_gives_or_takes_more_than_they_have(acme, by_role):
    for role in Membership.Role.values:
        person = add(acme, role)
        may = role in GIVES.get(by_role, ())
        for act in (
            lambda p=person: membership_change(
                tenant_id=acme.pk, email=p.email, role=ANALYST, agencies=(), by_role=by_role
            ),
            lambda p=person: membership_remove(tenant_id=acme.pk, email=p.email, by_role=by_role),
            lambda r=role: invite(acme, f"{r}-new@example.com", r, by_role=by_role),
        ):
            before = roles(acme)
            if may:
                act()
            else:
                with pytest.raises(InvalidRequest):
                    act()
                assert roles(acme) == before


def test_managers_raise_nobody_above_themselves(acme):
    person = add(acme, ANALYST)
    for role in (OWNER, DEVELOPER):
        with pytest.raises(InvalidRequest):
            membership_change(
                tenant_id=acme.pk, email=person.email, role=role, agencies=(), by_role=MANAGER
            )


def test_the_last_owner_stays(acme):
    change = {"tenant_id": acme.pk, "email": "owner@example.com", "by_role": OWNER}
    with pytest.raises(InvalidRequest, match="needs an owner"):
        membership_remove(**change)
    with pytest.raises(InvalidRequest, match="needs an owner"):
        membership_change(**change, role=MANAGER, agencies=())
    second = add(acme, OWNER)
    membership_remove(**change)
    assert roles(acme) == {second.email: OWNER}
    User.objects.filter(pk=add(acme, OWNER).pk).update(is_active=False)  # one who can't sign in
    with pytest.raises(InvalidRequest, match="needs an owner"):
        membership_remove(tenant_id=acme.pk, email=second.email, by_role=OWNER)


def test_a_limit_holds_at_once_and_only_to_agencies_of_ones_own(acme, stranger):
    north, south, foreign = agency(acme, "north"), agency(acme, "south"), agency(stranger, "north")
    person = add(acme, MANAGER)
    client = signed_in(person)
    assert client.get("/settings/team").status_code == 200
    owner = signed_in(User.objects.get(email="owner@example.com"))
    form = {"email": person.email, "role": MANAGER, "reach": "some", "agency": ["north"]}
    assert owner.post("/settings/team/member", form).status_code == 302
    with tenant_scope(acme.pk):
        assert Membership.objects.get(user=person).agencies == [north.pk]
    assert client.get("/settings/team").status_code == 403
    assert client.get("/calls").status_code == 200
    for agencies in ((foreign.pk,), (south.pk, foreign.pk)):
        with pytest.raises(InvalidRequest):
            membership_change(
                tenant_id=acme.pk,
                email=person.email,
                role=MANAGER,
                agencies=agencies,
                by_role=OWNER,
            )


def test_who_is_removed_is_out_with_the_next_click(acme):
    person = add(acme, DEVELOPER)
    client = signed_in(person)
    assert client.get("/webhooks").status_code == 200
    owner = signed_in(User.objects.get(email="owner@example.com"))
    owner.post("/settings/team/remove", {"email": person.email})
    assert client.get("/webhooks").status_code == 403


def test_a_strangers_team_is_out_of_reach(acme, stranger):
    invitation, _ = invite(acme)
    person = add(acme, MANAGER)
    client = signed_in(User.objects.get(email="stranger@example.com"))
    assert person.email not in client.get("/settings/team").text
    assert client.get(f"/settings/team/member?email={person.email}").status_code == 404
    client.post("/settings/team/remove", {"email": person.email})
    form = {"invitation": invitation.public_id, "action": "revoke"}
    client.post("/settings/team/invitation", form)
    assert person.email in roles(acme)
    assert len(invitations_open(tenant_id=acme.pk)) == 1
