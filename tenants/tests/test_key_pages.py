"""The dashboard's pages of API keys: people make, rotate and revoke as much as they may."""

import re
from ipaddress import ip_address

import pytest
from django.test import Client

from tenants import keys
from tenants.auth import caller_find
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, AuditEvent, Membership, Tenant, User
from tenants.services import api_key_create, tenant_create
from tenants.tests.signing import signed_in

pytestmark = pytest.mark.django_db
LOOPBACK = ip_address("127.0.0.1")
KEY = re.compile(r"ath_(?:live|test)_[0-9A-Za-z]{49}")


@pytest.fixture
def acme():
    owner = User.objects.create(email="owner@acme.example")
    return tenant_create(name="Acme", owner=owner)


def someone(tenant, role="developer", agencies=(), *, fresh=True) -> Client:
    user = User.objects.create(email=f"{role}-{tenant.pk}-{len(agencies)}@x.example")
    with tenant_scope(tenant.pk):
        Membership.objects.create(tenant=tenant, user=user, role=role, agencies=list(agencies))
    return signed_in(user, seconds_ago=0 if fresh else 24 * 3600)


def add(client: Client, **form):
    return client.post(
        "/developers/keys/add", {"name": "Backend", "mode": "live", "scope": "calls:read"} | form
    )


def rows(tenant) -> list[ApiKey]:
    with tenant_scope(tenant.pk):
        return list(ApiKey.objects.for_tenant(tenant).order_by("created_at"))


def test_a_new_key_is_shown_once_and_works(acme):
    developer = someone(acme)
    page = add(developer, agencies="north\nsouth\n", allowed_ips="192.0.2.0/24").text
    (text,) = set(KEY.findall(page))
    (row,) = rows(acme)
    assert (row.name, row.mode, row.scopes) == ("Backend", "live", ["calls:read"])
    assert (len(row.agencies), row.allowed_ips) == (2, ["192.0.2.0/24"])
    assert keys.hint(text) == row.hint
    assert text not in developer.get("/developers/keys").text
    assert text not in developer.get(f"/developers/keys/{row.public_id}").text
    with tenant_scope(acme.pk):
        event = AuditEvent.objects.get(action="api_key.create")
    assert event.actor.startswith("user:")


def test_who_signed_in_long_ago_proves_it_again_before_a_secret(acme):
    answer = add(someone(acme, fresh=False))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/sign-in/confirm")
    assert rows(acme) == []


@pytest.mark.parametrize(
    "form",
    [
        {"name": " "},
        {"scope": []},
        {"scope": "no:such"},
        {"allowed_ips": "somewhere"},
        {"expires_on": "2020-01-01"},
        {"expires_on": "soon"},
    ],
)
def test_what_is_refused_is_said_and_the_form_keeps_what_was_typed(acme, form):
    answer = add(someone(acme), **({"name": "<b>Mine</b>"} | form))
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "<b>Mine</b>" not in answer.text
    assert rows(acme) == []


def test_a_developer_makes_no_key_that_erases_and_an_owner_does(acme):
    assert add(someone(acme), scope="data:erase").status_code == 400
    assert rows(acme) == []
    owner = someone(acme, "owner")
    assert "data:erase" in owner.get("/developers/keys").text
    assert add(owner, scope="data:erase").status_code == 200
    (row,) = rows(acme)
    assert row.scopes == ["data:erase"]


def test_rotating_makes_a_twin_and_lets_the_old_one_work_on_for_its_grace(acme):
    developer = someone(acme)
    old, old_text = api_key_create(tenant=acme, name="Backend", allowed_ips=["127.0.0.1"])
    page = developer.post(f"/developers/keys/{old.public_id}/rotate", {"grace": "24"}).text
    (text,) = set(KEY.findall(page))
    first, second = rows(acme)
    assert first.revoked_at is not None
    assert second.allowed_ips == ["127.0.0.1/32"]
    assert caller_find(old_text, LOOPBACK).key_id == old.pk
    assert caller_find(text, LOOPBACK).key_id == second.pk


def test_a_developer_rotates_no_key_that_can_do_more(acme):
    old, _ = api_key_create(tenant=acme, name="Eraser", scopes=["data:erase"])
    developer = someone(acme)
    assert "An owner can rotate it" in developer.get(f"/developers/keys/{old.public_id}").text
    developer.post(f"/developers/keys/{old.public_id}/rotate", {"grace": "0"})
    assert len(rows(acme)) == 1


def test_revoking_ends_a_key_at_once(acme):
    key, text = api_key_create(tenant=acme, name="Backend")
    someone(acme).post(f"/developers/keys/{key.public_id}/revoke", {"grace": "0"})
    answer = Client().get("/api/external/v1/usage", headers={"Authorization": f"Bearer {text}"})
    assert answer.json()["error"]["code"] == "API_KEY_REVOKED"


def test_the_accounts_list_of_addresses_is_kept_in_its_plain_form_or_refused(acme):
    developer = someone(acme)
    developer.post("/developers/keys/addresses", {"allowed_ips": "192.0.2.9/24\n\n2001:DB8::1\n"})
    assert _allowed(acme) == ["192.0.2.0/24", "2001:db8::1/128"]
    answer = developer.post("/developers/keys/addresses", {"allowed_ips": "<b>home</b>"})
    assert answer.status_code == 400
    assert "&lt;b&gt;home" in answer.text
    many = "\n".join(f"192.0.2.{n}" for n in range(51))
    assert developer.post("/developers/keys/addresses", {"allowed_ips": many}).status_code == 400
    assert _allowed(acme) == ["192.0.2.0/24", "2001:db8::1/128"]
    developer.post("/developers/keys/addresses", {"allowed_ips": ""})
    assert _allowed(acme) == []


def _allowed(tenant) -> list[str]:
    with tenant_scope(tenant.pk):
        return Tenant.objects.get(pk=tenant.pk).allowed_ips


@pytest.mark.parametrize("role", ["manager", "analyst"])
def test_who_does_not_develop_sees_and_changes_nothing(acme, role):
    key, _ = api_key_create(tenant=acme, name="Secret name")
    person = someone(acme, role)
    for path in ("/developers/keys", f"/developers/keys/{key.public_id}"):
        answer = person.get(path)
        assert answer.status_code == 403
        assert "Secret name" not in answer.text
    for act in ("add", "addresses", f"{key.public_id}/revoke", f"{key.public_id}/rotate"):
        assert person.post(f"/developers/keys/{act}").status_code == 403
    assert [row.revoked_at for row in rows(acme)] == [None]


def test_a_stranger_finds_no_key_of_ours(acme):
    key, _ = api_key_create(tenant=acme, name="Ours")
    other = tenant_create(name="Other", owner=User.objects.create(email="o@other.example"))
    stranger = someone(other)
    assert "Ours" not in stranger.get("/developers/keys").text
    assert stranger.get(f"/developers/keys/{key.public_id}").status_code == 404
    for act in ("revoke", "rotate"):
        assert stranger.post(f"/developers/keys/{key.public_id}/{act}").status_code == 404
    assert [row.revoked_at for row in rows(acme)] == [None]
