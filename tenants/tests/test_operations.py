"""Operations staff: who gets in, one tenant at a time, every act in its audit log."""

import pytest
from django.core import mail
from django.core.cache import cache

from tenants.invitations import invitations_open
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import AuditEvent, Tenant, User
from tenants.operating import tenants_listed
from tenants.selectors import memberships_of
from tenants.services import tenant_create
from tenants.tests.signing import signed_in


@pytest.fixture(autouse=True)
def fresh(db):
    cache.clear()


@pytest.fixture
def acme():
    return tenant_create(name="Acme", owner=User.objects.create_user("owner@example.com"))


@pytest.fixture
def staff():
    return User.objects.create_user("staff@example.com", "x", is_staff=True)


def with_code(browser):
    """As if a code had been asked for."""
    session = browser.session
    session["account_authentication_methods"] += [{"method": "mfa", "at": 0, "type": "totp"}]
    session.save()
    return browser


def page_of(tenant):
    return f"/operations/tenants/{tenant.pk}"


def test_to_everybody_else_nothing_is_there(acme, client):
    assert client.get("/operations/").headers["Location"] == "/sign-in?next=/operations/"
    owner = signed_in(User.objects.get(email="owner@example.com"))
    for path in ("/operations/", page_of(acme)):
        assert owner.get(path).status_code == 404
        assert owner.post(path, {"action": "suspend"}).status_code == 404


def test_outside_the_embedded_mode_staff_prove_it_twice(acme, staff, settings):
    settings.EMBEDDED = False
    settings.SECURE_SSL_REDIRECT = False
    browser = signed_in(staff)
    assert browser.get("/operations/").headers["Location"] == "/account"
    assert browser.post(page_of(acme), {"action": "suspend"}).headers["Location"] == "/account"
    assert with_code(browser).get("/operations/").status_code == 200


def test_a_tenant_is_opened_with_an_allowance_and_an_invited_owner(staff):
    form = {"name": " New  Tenant ", "email": "first@example.com", "minutes": "600"}
    answer = signed_in(staff).post("/operations/", form)
    made = next(tenant for tenant in tenants_listed(part="new ten"))
    assert answer.headers["Location"] == f"/operations/tenants/{made.id}"
    assert (made.name, made.status, made.monthly_minutes) == ("New Tenant", "active", 600)
    assert mail.outbox[-1].to == ["first@example.com"]
    assert [i.role for i in invitations_open(tenant_id=made.id)] == ["owner"]
    with tenant_scope(made.id):
        actors = dict(AuditEvent.objects.values_list("action", "actor"))
    assert actors == dict.fromkeys(("tenant.create", "invitation.create"), f"staff:{staff.pk}")


@pytest.mark.parametrize(
    "odd", [{"name": ""}, {"name": "x" * 201}, {"email": "x"}, {"minutes": "-1"}, {"minutes": "x"}]
)
def test_odd_wishes_are_refused(staff, odd):
    form = {"name": "New", "email": "first@example.com", "minutes": ""} | odd
    assert signed_in(staff).post("/operations/", form).status_code == 200
    assert tenants_listed() == []


def test_acts_hold_at_once_and_in_that_tenant_alone(acme, staff):
    other = tenant_create(name="Other", owner=User.objects.create_user("o@example.com"))
    owner = signed_in(User.objects.get(email="owner@example.com"))
    browser = signed_in(staff)
    assert owner.get("/calls").status_code == 200
    browser.post(page_of(acme), {"action": "suspend"})
    assert owner.get("/calls").status_code == 403
    browser.post(page_of(acme), {"action": "activate"})
    browser.post(page_of(acme), {"action": "allowance", "minutes": "90"})
    assert owner.get("/calls").status_code == 200
    with tenant_scope(acme.pk):
        assert Tenant.objects.get().monthly_minutes == 90
        by_staff = AuditEvent.objects.filter(actor=f"staff:{staff.pk}")
        assert by_staff.count() == 3
    with tenant_scope(other.pk):
        assert Tenant.objects.get().monthly_minutes is None
        assert not AuditEvent.objects.filter(actor__startswith="staff").exists()
    assert "Athos support" in owner.get("/settings/audit").text


def test_changes_need_a_fresh_sign_in_and_looking_does_not(acme, staff):
    stale = signed_in(staff, seconds_ago=3600)
    assert stale.get(page_of(acme)).status_code == 200
    asked = stale.post(page_of(acme), {"action": "suspend"})
    assert asked.headers["Location"].startswith("/sign-in/confirm")
    assert memberships_of(User.objects.get(email="owner@example.com").pk)[0].tenant_status == (
        "active"
    )


def test_the_catalogue_and_unknown_tenants_are_not_there(staff):
    browser = signed_in(staff)
    for tenant_id in (CATALOGUE, "00000000-0000-4000-8000-000000000000"):
        assert browser.get(f"/operations/tenants/{tenant_id}").status_code == 404
    assert CATALOGUE not in {tenant.id for tenant in tenants_listed()}


def test_staff_see_no_tenants_calls_by_being_staff(acme, staff):
    assert signed_in(staff).get("/calls").status_code == 403
