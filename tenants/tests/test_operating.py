"""What operators do from the command line: keys, peppers, suspending, allowances, addresses."""

import io
import re
import sys
import uuid

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from tenants import keys
from tenants.auth import _uses
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, AuditEvent, Tenant, User
from tenants.services import api_key_create, tenant_create

API = "/api/external/v1"
pytestmark = pytest.mark.django_db


def run(*words):
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def make_tenant(name="Acme"):
    owner = User.objects.create(email=f"{uuid.uuid4().hex}@example.com")
    return tenant_create(name=name, owner=owner)


@pytest.fixture
def acme():
    return make_tenant()


def status(secret):
    """What minting answers: no body, so a good key is told that."""
    answer = Client().post(
        f"{API}/session", content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )  # fmt: skip
    return answer.json()["error"]["code"]


def rows(tenant):
    with tenant_scope(tenant.pk):
        return list(ApiKey.objects.order_by("created_at"))


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_is_made_listed_and_revoked(acme):
    stranger = make_tenant("Stranger")
    made = run("key_create", str(acme.pk), "--name", "Nightly", "--scope", "calls:read",
               "--agency", "chicago", "--allowed-ip", "127.0.0.0/8", "--days", "30")  # fmt: skip
    secret = re.search(r"ath_live_\w{49}", made)[0]
    key_id = re.search(r"key_[\w-]{21}", made)[0]
    (key,) = rows(acme)
    assert (key.scopes, key.allowed_ips, len(key.agencies)) == (["calls:read"], ["127.0.0.0/8"], 1)
    assert status(secret) == "INSUFFICIENT_SCOPE"
    assert key_id in run("key_list", str(acme.pk))
    assert secret not in run("key_list", str(acme.pk))
    assert run("key_list", str(stranger.pk)) == ""
    with pytest.raises(CommandError):
        run("key_revoke", str(stranger.pk), key_id)
    assert "revoked" in run("key_revoke", str(acme.pk), key_id)
    assert status(secret) == "API_KEY_REVOKED"


def test_a_leaked_key_is_ended_by_itself(acme, monkeypatch):
    _, secret = api_key_create(tenant=acme, name="Leaked")
    monkeypatch.setattr(sys, "stdin", io.StringIO(secret + "\n"))
    assert secret not in run("key_revoke", "--leaked")
    assert status(secret) == "API_KEY_REVOKED"
    for other in ("nonsense", keys.make("live")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(other))
        with pytest.raises(CommandError, match="no key of ours"):
            run("key_revoke", "--leaked")


def test_a_tenant_is_found_by_the_address_of_its_owner(acme):
    owner = User.objects.get()
    run("key_create", owner.email.upper(), "--name", "Backend")
    assert len(rows(acme)) == 1
    tenant_create(name="Second", owner=owner)
    for nobody in (owner.email, "none@example.com", str(uuid.uuid4()), "nonsense"):
        with pytest.raises(CommandError, match="no such tenant"):
            run("key_list", nobody)


@pytest.mark.parametrize(
    "words",
    [[], ["x"], ["--leaked", "x"], ["--leaked", "x", "key_y"]],
)
def test_key_revoke_wants_one_or_the_other(words):
    with pytest.raises(CommandError, match="and neither"):
        run("key_revoke", *words)


# --- the tenant ----------------------------------------------------------------------------------


def test_a_tenant_is_suspended_and_active_again_from_the_next_request_on(acme):
    _, secret = api_key_create(tenant=acme, name="Backend")
    stranger = make_tenant("Stranger")
    _, other = api_key_create(tenant=stranger, name="Backend")
    assert "suspended" in run("tenant_update", str(acme.pk), "--suspend")
    assert (status(secret), status(other)) == ("TENANT_INACTIVE", "INVALID_REQUEST")
    run("tenant_update", str(acme.pk), "--activate")
    assert status(secret) == "INVALID_REQUEST"
    with tenant_scope(acme.pk):
        told = AuditEvent.objects.filter(action="tenant.update").values_list("details", flat=True)
        assert list(told) == [{"changed": ["status"]}] * 2


def test_allowance_and_addresses_are_set_and_taken_away(acme):
    _, secret = api_key_create(tenant=acme, name="Backend")
    told = run("tenant_update", str(acme.pk), "--monthly-minutes", "90", "--allowed-ip",
               "203.0.113.9/24", "--allowed-ip", "2001:db8::1")  # fmt: skip
    assert "90" in told
    assert status(secret) == "IP_NOT_ALLOWED"
    with tenant_scope(acme.pk):
        tenant = Tenant.objects.get()
    assert (tenant.monthly_minutes, tenant.status) == (90, "active")
    assert tenant.allowed_ips == ["203.0.113.0/24", "2001:db8::1/128"]
    told = run("tenant_update", str(acme.pk), "--no-limit", "--any-ip")
    assert "no limit" in told
    assert status(secret) == "INVALID_REQUEST"
    for odd in (["--allowed-ip", "nonsense"], ["--monthly-minutes", "-1"]):
        with pytest.raises(CommandError):
            run("tenant_update", str(acme.pk), *odd)


# --- peppers -------------------------------------------------------------------------------------


def used(secret):
    assert status(secret) == "INVALID_REQUEST"
    _uses._threads.submit(lambda: None).result(timeout=10)  # after all that was queued


@pytest.mark.django_db(transaction=True)
def test_a_pepper_is_retired_once_every_key_was_used_under_the_next(settings):
    """The steps of docs/operations.md."""
    acme, stranger = make_tenant(), make_tenant("Stranger")
    settings.API_KEY_PEPPERS = {"p1": "o" * 40}
    _, busy = api_key_create(tenant=acme, name="Busy")
    _, idle = api_key_create(tenant=stranger, name="Idle")
    used(busy)  # within the last minute: a new digest does not wait for the next
    _uses._noted.clear()

    settings.API_KEY_PEPPERS = {"p1": "o" * 40, "p2": "n" * 40}  # known everywhere, not used yet
    used(busy)
    assert run("key_peppers").splitlines() == [
        "p1  used  2 active  0 ended", "p2  accepted  0 active  0 ended",
    ]  # fmt: skip

    settings.API_KEY_PEPPERS = {"p2": "n" * 40, "p1": "o" * 40}
    _uses._noted.clear()
    used(busy)
    assert run("key_peppers").splitlines() == [
        "p2  used  1 active  0 ended", "p1  accepted  1 active  0 ended",
    ]  # fmt: skip
    used(busy)  # under its new digest

    settings.API_KEY_PEPPERS = {"p2": "n" * 40}
    used(busy)
    assert status(idle) == "INVALID_API_KEY"
    assert "p1  missing  1 active  0 ended" in run("key_peppers")


@pytest.mark.django_db(transaction=True)
def test_a_key_is_good_while_its_use_cannot_be_written(monkeypatch, caplog):
    acme = make_tenant()
    _, secret = api_key_create(tenant=acme, name="Backend")

    def away(tenant_id):
        raise RuntimeError("the thread's database is away")

    with monkeypatch.context() as during:
        during.setattr("tenants.auth.tenant_scope", away)
        used(secret)
    assert "use of a key not written" in caplog.text
    assert secret not in caplog.text
    assert rows(acme)[0].last_used_at is None
    assert _uses._pending == 0
    _uses._noted.clear()  # a minute later
    used(secret)
    assert rows(acme)[0].last_used_at is not None
