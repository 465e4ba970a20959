"""/keys: a tenant's backend looks after its own keys, and gives none more than it has."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tenants.auth import caller_find
from tenants.errors import ApiKeyRevoked
from tenants.isolation import tenant_scope
from tenants.models import Agency, ApiKey, AuditEvent, Tenant, User
from tenants.selectors import keys_list
from tenants.services import (
    ALL_SCOPES,
    KeyWish,
    api_key_create,
    api_key_issue,
    api_key_revoke,
    api_key_rotate,
    tenant_create,
)

API = "/api/external/v1"
FIELDS = {
    "id", "name", "mode", "status", "hint", "scopes", "agencies", "allowedIps", "createdAt",
    "expiresAt", "revokedAt", "lastUsedAt",
}  # fmt: skip
pytestmark = pytest.mark.django_db


class Backend:
    """A tenant's backend with a key that may manage keys."""

    def __init__(self, tenant: Tenant, **key):
        self.tenant = tenant
        self.row, self.secret = api_key_create(
            tenant=tenant, name="Backend", **({"scopes": ALL_SCOPES} | key)
        )

    def ask(self, method, path, body=None, secret=None):
        return Client(raise_request_exception=False).generic(
            method,
            f"{API}{path}",
            "" if body is None else body if isinstance(body, str) else json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret or self.secret}"},
        )

    def make(self, **wish):
        return self.ask("POST", "/keys", {"name": "New"} | wish)

    def list(self, secret=None):
        answer = self.ask("GET", "/keys", secret=secret)
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]


def make_tenant(name="Acme"):
    owner = User.objects.create(email=f"{uuid.uuid4().hex}@example.com")
    return tenant_create(name=name, owner=owner)


@pytest.fixture
def acme():
    return Backend(make_tenant())


@pytest.fixture
def stranger():
    return Backend(make_tenant("Stranger"))


def code(answer):
    return answer.json()["error"]["code"]


def field(answer):
    return answer.json()["error"]["details"]["field"]


def works(backend, secret):
    """Whether the key is one of ours; what it may do is another matter."""
    return backend.ask("GET", "/keys", secret=secret).status_code in (200, 403)


# --- make and show -------------------------------------------------------------------------------


def test_a_key_is_made_and_its_text_shown_once(acme):
    answer = acme.make(name=" Nightly sync ")
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == FIELDS | {"key"}
    assert re.fullmatch(r"ath_live_[0-9A-Za-z]{49}", body["key"])
    assert re.fullmatch(r"key_[0-9A-Za-z_-]{21}", body["id"])
    assert (body["name"], body["mode"], body["status"]) == ("Nightly sync", "live", "active")
    assert body["scopes"] == ["sessions:write", "calls:read"]
    assert (body["agencies"], body["allowedIps"], body["expiresAt"]) == ([], [], None)
    assert acme.ask("POST", "/session", {"externalUserId": "r"}, body["key"]).status_code == 200
    (shown,) = [key for key in acme.list() if key["id"] == body["id"]]
    assert set(shown) == FIELDS
    assert body["key"] not in json.dumps(acme.list())
    assert shown["hint"] == f"{body['key'][:12]}…{body['key'][-4:]}"


def test_all_wishes_are_kept(acme):
    ends = timezone.now() + timedelta(days=30)
    body = acme.make(
        mode="test",
        scopes=["calls:read", "calls:read"],
        agencies=["chicago", "boston"],
        allowedIps=["203.0.113.7", "2001:db8::/32"],
        expiresAt=ends.isoformat(),
        unknown={"is": "tolerated"},
    ).json()
    assert body["key"].startswith("ath_test_")
    assert body["scopes"] == ["calls:read"]
    assert sorted(body["agencies"]) == ["boston", "chicago"]
    assert body["allowedIps"] == ["203.0.113.7/32", "2001:db8::/32"]
    assert datetime.fromisoformat(body["expiresAt"]) - ends < timedelta(milliseconds=1)


def test_no_internal_id_leaves(acme):
    acme.make(agencies=["chicago"])
    with tenant_scope(acme.tenant.pk):
        inner = [str(acme.tenant.pk), str(Agency.objects.get().pk)]
        inner += [str(pk) for pk in ApiKey.objects.values_list("pk", flat=True)]
    told = json.dumps(acme.list())
    assert not [one for one in inner if one in told]


def test_a_stranger_sees_and_ends_nothing(acme, stranger):
    mine = acme.make().json()
    assert mine["id"] not in json.dumps(stranger.list())
    for act in ("revoke", "rotate"):
        answer = stranger.ask("POST", f"/keys/{mine['id']}/{act}")
        assert (answer.status_code, code(answer)) == (404, "KEY_NOT_FOUND")
    assert works(acme, mine["key"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", None), ("name", ""), ("name", "n" * 101), ("name", 5), ("name", "a\x00b"),
     ("mode", "prod"), ("mode", 1), ("mode", ["live"]),
     ("scopes", "calls:read"), ("scopes", ["everything"]), ("scopes", [1]), ("scopes", [None]),
     ("scopes", ["calls:read"] * 50),
     ("agencies", "chicago"), ("agencies", [""]), ("agencies", ["a" * 201]), ("agencies", [[]]),
     ("agencies", ["a"] * 101),
     ("allowedIps", ["nonsense"]), ("allowedIps", ["203.0.113.0/33"]), ("allowedIps", ["0x7f.1"]),
     ("allowedIps", ["::ffff:203.0.113.7"]), ("allowedIps", [5]), ("allowedIps", ["1.2.3.4"] * 51),
     ("expiresAt", "tomorrow"), ("expiresAt", "2040-01-01T00:00:00"), ("expiresAt", 5),
     ("expiresAt", "2020-01-01T00:00:00Z"), ("expiresAt", "9999-12-31T23:59:59-23:00"),
     ("expiresAt", "0001-01-01T00:00:00+23:00")],
)  # fmt: skip
def test_odd_wishes_are_refused(acme, name, value):
    answer = acme.make(**{name: value})
    assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST"), answer.content
    assert field(answer) == name
    assert len(acme.list()) == 1


def test_the_sixth_active_key_of_a_mode_is_refused(acme):
    made = [acme.make().json() for _ in range(4)]
    answer = acme.make()
    assert (answer.status_code, code(answer)) == (409, "TOO_MANY_KEYS")
    assert acme.make(mode="test").status_code == 201
    acme.ask("POST", f"/keys/{made[0]['id']}/revoke")
    assert acme.make().status_code == 201


def test_the_list_is_bounded_and_shows_active_keys_first(acme, monkeypatch):
    monkeypatch.setattr("tenants.selectors.KEYS_SHOWN", 3)
    ended = [acme.make().json()["id"] for _ in range(3)]
    for key_id in ended:
        acme.ask("POST", f"/keys/{key_id}/revoke")
    assert [key["status"] for key in acme.list()] == ["active", "revoked", "revoked"]
    assert [key["id"] for key in acme.list()] == [acme.row.public_id, ended[2], ended[1]]


# --- a key gives no more than it has -------------------------------------------------------------


@pytest.mark.parametrize("path", ["GET /keys", "POST /keys", "POST /keys/{id}/revoke",
                                  "POST /keys/{id}/rotate"])  # fmt: skip
def test_the_default_key_manages_none(acme, path):
    _, plain = api_key_create(tenant=acme.tenant, name="Plain")
    method, _, path = path.format(id=acme.row.public_id).partition(" ")
    answer = acme.ask(method, path, {"name": "x"} if method == "POST" else None, plain)
    assert (answer.status_code, code(answer)) == (403, "INSUFFICIENT_SCOPE")


HELD = {
    "scopes": ["keys:write", "calls:read"],
    "allowed_ips": ["127.0.0.0/8", "2001:db8::/32"],
    "expires_at": datetime(2040, 1, 1, tzinfo=UTC),
}
GIVEN = {"scopes": ["calls:read"], "allowedIps": ["127.0.0.1"], "expiresAt": "2039-01-01T00:00Z"}


@pytest.mark.parametrize(
    ("part", "value"),
    [("scopes", ["sessions:write"]), ("scopes", ["calls:read", "webhooks:write"]),
     ("scopes", None),  # the two of the contract, one of which it lacks
     ("allowedIps", ["203.0.113.7"]), ("allowedIps", ["0.0.0.0/0"]), ("allowedIps", ["::/0"]),
     ("allowedIps", ["127.0.0.1", "203.0.113.7"]), ("allowedIps", ["126.0.0.0/7"]),
     ("expiresAt", "2040-01-01T00:00:01Z"),
     ("agencies", ["boston"]), ("agencies", ["chicago", "boston"]), ("agencies", ["nowhere"])],
)  # fmt: skip
def test_a_key_gives_nothing_that_it_lacks(acme, part, value):
    with tenant_scope(acme.tenant.pk):
        chicago = Agency.objects.create(tenant=acme.tenant, external_id="chicago")
        Agency.objects.create(tenant=acme.tenant, external_id="boston")
    limited = Backend(acme.tenant, agencies=[chicago.pk], **HELD)
    assert limited.make(**GIVEN).status_code == 201
    answer = limited.make(**GIVEN | {part: value})
    assert (answer.status_code, code(answer)) == (403, "INSUFFICIENT_SCOPE"), answer.content
    assert field(answer) == part
    with tenant_scope(acme.tenant.pk):
        assert not Agency.objects.filter(external_id="nowhere").exists()


def test_what_is_left_open_is_as_the_asking_key_has_it(acme):
    with tenant_scope(acme.tenant.pk):
        chicago = Agency.objects.create(tenant=acme.tenant, external_id="chicago")
    limited = Backend(acme.tenant, agencies=[chicago.pk], **HELD)
    body = limited.make(scopes=["calls:read"], allowedIps=[], agencies=None).json()
    assert body["agencies"] == ["chicago"]
    assert body["allowedIps"] == ["127.0.0.0/8", "2001:db8::/32"]
    assert body["expiresAt"] == "2040-01-01T00:00:00.000Z"


def test_a_test_key_makes_and_sees_test_keys_only(acme):
    sandbox = Backend(acme.tenant, mode="test")
    assert sandbox.make().json()["mode"] == "test"
    answer = sandbox.make(mode="live")
    assert (answer.status_code, field(answer)) == (403, "mode")
    assert {key["mode"] for key in sandbox.list()} == {"test"}
    for act in ("revoke", "rotate"):
        assert code(sandbox.ask("POST", f"/keys/{acme.row.public_id}/{act}")) == "KEY_NOT_FOUND"
    assert {key["mode"] for key in acme.list()} == {"live", "test"}


def test_a_key_of_some_agencies_sees_and_ends_keys_of_those_only(acme):
    with tenant_scope(acme.tenant.pk):
        chicago = Agency.objects.create(tenant=acme.tenant, external_id="chicago")
    limited = Backend(acme.tenant, agencies=[chicago.pk])
    other = acme.make(agencies=["boston"]).json()
    mine = acme.make(agencies=["chicago"]).json()
    assert {key["id"] for key in limited.list()} == {limited.row.public_id, mine["id"]}
    for key_id in (other["id"], acme.row.public_id):
        assert code(limited.ask("POST", f"/keys/{key_id}/revoke")) == "KEY_NOT_FOUND"
    assert limited.ask("POST", f"/keys/{mine['id']}/revoke").status_code == 200


def test_a_weak_key_neither_ends_nor_replaces_a_strong_one(acme):
    weak = Backend(acme.tenant, scopes=["keys:write"])
    for act in ("revoke", "rotate"):
        answer = weak.ask("POST", f"/keys/{acme.row.public_id}/{act}")
        assert (code(answer), field(answer)) == ("INSUFFICIENT_SCOPE", "scopes")
    assert works(acme, acme.secret)
    assert acme.ask("POST", f"/keys/{weak.row.public_id}/revoke").status_code == 200


def test_a_key_in_its_grace_makes_none_that_outlives_it(acme):
    api_key_revoke(tenant=acme.tenant, key_id=acme.row.pk, grace=timedelta(hours=1))
    body = acme.make().json()
    ends = datetime.fromisoformat(body["expiresAt"])
    assert timedelta(0) < ends - timezone.now() <= timedelta(hours=1)
    later = (timezone.now() + timedelta(days=1)).isoformat()
    assert field(acme.make(expiresAt=later)) == "expiresAt"


def test_a_key_that_ends_while_its_request_waits_changes_nothing(acme):
    """It was looked up in time; what it asks for comes after its end."""
    holder = caller_find(acme.secret, None).holder
    victim = acme.make().json()["id"]
    api_key_revoke(tenant=acme.tenant, key_id=acme.row.pk)
    late = {"tenant": acme.tenant, "holder": holder}
    with pytest.raises(ApiKeyRevoked):
        api_key_issue(wish=KeyWish("Late"), **late)
    with pytest.raises(ApiKeyRevoked):
        api_key_rotate(key_id=victim, grace=timedelta(0), **late)
    with pytest.raises(ApiKeyRevoked):
        api_key_revoke(key_id=victim, **late)
    assert [key.status for key in keys_list(tenant=acme.tenant)] == ["active", "revoked"]


# --- revoke and rotate ---------------------------------------------------------------------------


def test_a_revoked_key_stays_in_the_list_and_is_refused(acme):
    body = acme.make().json()
    answer = acme.ask("POST", f"/keys/{body['id']}/revoke")
    assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
    refusal = acme.ask("GET", "/keys", secret=body["key"])
    assert (refusal.status_code, code(refusal)) == (401, "API_KEY_REVOKED")
    again = acme.ask("POST", f"/keys/{body['id']}/revoke", {"graceSeconds": 600}).json()
    assert again == answer.json()  # neither longer nor another time


def test_a_grace_lets_the_old_key_work_on_and_can_only_be_shortened(acme):
    body = acme.make().json()
    path = f"/keys/{body['id']}/revoke"
    first = acme.ask("POST", path, {"graceSeconds": 3600}).json()
    assert first["status"] == "active"
    assert works(acme, body["key"])
    longer = acme.ask("POST", path, {"graceSeconds": 7200}).json()
    assert longer["revokedAt"] == first["revokedAt"]
    assert acme.ask("POST", path, {"graceSeconds": 60}).json()["revokedAt"] < first["revokedAt"]
    assert acme.ask("POST", path).json()["status"] == "revoked"
    assert not works(acme, body["key"])


def test_an_expired_key_is_refused(acme):
    body = acme.make().json()
    with tenant_scope(acme.tenant.pk):
        past = timezone.now() - timedelta(seconds=1)
        ApiKey.objects.filter(public_id=body["id"]).update(expires_at=past)
    answer = acme.ask("GET", "/keys", secret=body["key"])
    assert (answer.status_code, code(answer)) == (401, "API_KEY_REVOKED")
    assert "expired" in answer.json()["error"]["message"]
    assert {key["id"]: key["status"] for key in acme.list()}[body["id"]] == "expired"


@pytest.mark.parametrize("seconds", [-1, 604_801, 1.5, "60", True, [], {}])
@pytest.mark.parametrize("act", ["revoke", "rotate"])
def test_odd_graces_are_refused(acme, act, seconds):
    path = f"/keys/{acme.row.public_id}/{act}"
    answer = acme.ask("POST", path, {"graceSeconds": seconds})
    assert (code(answer), field(answer)) == ("INVALID_REQUEST", "graceSeconds")
    assert works(acme, acme.secret)


@pytest.mark.parametrize(
    "key_id",
    ["nonsense", "key_", "key_" + "A" * 21, "key_" + "A" * 200, "%00", "key_%C3%A9", "%FF"],
)
@pytest.mark.parametrize("act", ["revoke", "rotate"])
def test_unknown_ids_are_not_found(acme, act, key_id):
    answer = acme.ask("POST", f"/keys/{key_id}/{act}")
    assert (answer.status_code, code(answer)) == (404, "KEY_NOT_FOUND")


def test_the_inner_id_of_a_key_opens_nothing(acme):
    assert code(acme.ask("POST", f"/keys/{acme.row.pk}/revoke")) == "KEY_NOT_FOUND"


def test_rotating_gives_a_twin_and_ends_the_old_key_after_the_grace(acme):
    old = acme.make(agencies=["chicago"], allowedIps=["127.0.0.1"], scopes=["calls:read"]).json()
    answer = acme.ask("POST", f"/keys/{old['id']}/rotate")
    assert answer.status_code == 201
    new = answer.json()
    same = ("name", "mode", "scopes", "agencies", "allowedIps", "expiresAt")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert new["key"] != old["key"]
    assert works(acme, old["key"])
    assert works(acme, new["key"])
    ends = {key["id"]: key["revokedAt"] for key in acme.list()}[old["id"]]
    left = datetime.fromisoformat(ends) - timezone.now()
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    again = acme.ask("POST", f"/keys/{old['id']}/rotate")
    assert (again.status_code, code(again)) == (409, "KEY_NOT_ACTIVE")


def test_five_active_keys_rotate_without_a_grace_only(acme):
    made = [acme.make().json() for _ in range(4)]
    path = f"/keys/{made[0]['id']}/rotate"
    assert code(acme.ask("POST", path)) == "TOO_MANY_KEYS"
    assert works(acme, made[0]["key"])  # the refusal took the end of the old key back
    new = acme.ask("POST", path, {"graceSeconds": 0}).json()["key"]
    assert works(acme, new)
    assert not works(acme, made[0]["key"])


def test_a_key_may_rotate_itself(acme):
    new = acme.ask("POST", f"/keys/{acme.row.public_id}/rotate", {"graceSeconds": 0}).json()["key"]
    assert not works(acme, acme.secret)
    assert len(acme.list(secret=new)) == 2


def test_all_of_it_is_written_down_by_public_ids(acme):
    made = acme.make().json()["id"]
    rotated = acme.ask("POST", f"/keys/{made}/rotate", {"graceSeconds": 60}).json()["id"]
    acme.ask("POST", f"/keys/{made}/revoke")
    with tenant_scope(acme.tenant.pk):
        rows = AuditEvent.objects.filter(action__startswith="api_key").order_by("at", "id")
        told = list(rows.values_list("actor", "action", "target", "details"))
    actor = f"key:{acme.row.public_id}"
    assert sorted(told[1:], key=lambda row: (row[2], row[1])) == sorted(
        [
            (actor, "api_key.create", f"key:{made}", {}),
            (actor, "api_key.revoke", f"key:{made}", {"graceSeconds": 60}),
            (actor, "api_key.create", f"key:{rotated}", {}),
            (actor, "api_key.revoke", f"key:{made}", {"graceSeconds": 0}),
        ],
        key=lambda row: (row[2], row[1]),
    )
