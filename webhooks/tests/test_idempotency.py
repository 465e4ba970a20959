"""A write with an Idempotency-Key is done once, however often it is asked for."""

import json
import threading

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from tenants import idempotency
from tenants.idempotency import KEPT_FOR, answers_expire
from tenants.isolation import tenant_scope
from tenants.models import AuditEvent, IdempotentAnswer
from tenants.services import ALL_SCOPES, api_key_create
from webhooks.models import Endpoint
from webhooks.services import ENDPOINTS_MAX
from webhooks.tests import making
from webhooks.tests.test_endpoint_api import BASE, URL

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]


class Backend:
    def __init__(self, tenant) -> None:
        self.tenant = tenant
        self._key = api_key_create(tenant=tenant, name="k", scopes=ALL_SCOPES)[1]

    def __call__(self, method: str, path: str, body: object = None, *, key: str | None = "once"):
        headers = {"Authorization": f"Bearer {self._key}"}
        headers |= {} if key is None else {"Idempotency-Key": key}
        data = b"" if body is None else json.dumps(body).encode()
        return Client(headers=headers).generic(method, BASE + path, data, "application/json")

    def rows(self) -> int:
        with tenant_scope(self.tenant.pk):
            return Endpoint.objects.count()


@pytest.fixture
def acme():
    return Backend(making.make_tenant())


@pytest.fixture
def stranger():
    return Backend(making.make_tenant("Stranger"))


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_repeated_creation_makes_one_endpoint_and_gives_the_same_secret(acme, stranger):
    first, again = (acme("POST", "/webhook-endpoints", {"url": URL}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.json()["secret"].startswith("whsec_")
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.headers["X-Athos-Request-Id"] != again.headers["X-Athos-Request-Id"]
    assert acme.rows() == 1
    theirs = stranger("POST", "/webhook-endpoints", {"url": URL})
    assert theirs.json()["id"] != first.json()["id"]
    assert acme("POST", "/webhook-endpoints", {"url": URL}, key="twice").json() != first.json()
    assert acme("POST", "/webhook-endpoints", {"url": URL}, key=None).status_code == 201
    assert acme.rows() == 3


def test_another_body_or_key_of_the_same_tenant_repeats_nothing(acme):
    made = acme("POST", "/webhook-endpoints", {"url": URL}).json()
    other = acme("POST", "/webhook-endpoints", {"url": URL + "/2"})
    assert code(other) == (422, "IDEMPOTENCY_KEY_REUSED")
    colleague = Backend(acme.tenant)
    assert colleague("POST", "/webhook-endpoints", {"url": URL}).json()["id"] != made["id"]


def test_a_repeated_rotation_gives_the_same_new_secret(acme):
    made = acme("POST", "/webhook-endpoints", {"url": URL}).json()
    path = f"/webhook-endpoints/{made['id']}/rotate-secret"
    first, again = acme("POST", path), acme("POST", path)
    assert first.json()["secret"] == again.json()["secret"] != made["secret"]
    assert code(acme("POST", path, key="another")) == (409, "SECRET_ROTATING")


def test_every_write_is_done_once(acme):
    made = acme("POST", "/webhook-endpoints", {"url": URL}).json()
    path = f"/webhook-endpoints/{made['id']}"
    event = acme("POST", f"{path}/test").json()["webhookId"]
    for method, address, body in [
        ("PATCH", path, {"description": "CRM"}),
        ("POST", f"{path}/test", None),
        ("POST", f"{path}/replay", {"since": "2026-01-01"}),
        ("POST", f"/webhook-events/{event}/replay", None),
        ("DELETE", path, None),
    ]:
        first = acme(method, address, body, key="each")
        with tenant_scope(acme.tenant.pk):
            done = AuditEvent.objects.count()
        again = acme(method, address, body, key="each")
        assert first.status_code == again.status_code < 300, address
        assert first.content == again.content
        assert again.headers["Idempotent-Replayed"] == "true"
        with tenant_scope(acme.tenant.pk):
            assert AuditEvent.objects.count() == done, "it was done again"


def test_a_refusal_is_not_kept(acme):
    for number in range(ENDPOINTS_MAX):
        acme("POST", "/webhook-endpoints", {"url": URL}, key=f"k{number}")
    refused = acme("POST", "/webhook-endpoints", {"url": URL})
    assert code(refused) == (409, "TOO_MANY_ENDPOINTS")
    with tenant_scope(acme.tenant.pk):
        Endpoint.objects.first().delete()
    assert acme("POST", "/webhook-endpoints", {"url": URL}).status_code == 201


@pytest.mark.parametrize("odd", ["", " ", "x" * 256, "a b", "Zoë"])
def test_an_odd_key_is_refused(acme, odd):
    refused = acme("POST", "/webhook-endpoints", {"url": URL}, key=odd)
    assert code(refused) == (400, "INVALID_REQUEST")
    assert refused.json()["error"]["details"] == {"field": "Idempotency-Key"}
    assert acme.rows() == 0


def test_what_is_kept_is_sealed_and_goes_after_a_day(acme, stranger):
    first = acme("POST", "/webhook-endpoints", {"url": URL}, key="rep.Zoe")
    with tenant_scope(acme.tenant.pk):
        (row,) = IdempotentAnswer.objects.values()
        kept = json.dumps(row, default=str)
        assert first.json()["secret"] not in kept and ".Zoe" not in kept and URL not in kept
        assert answers_expire(tenant_id=acme.tenant.pk, most=10) == 0
        IdempotentAnswer.objects.update(created_at=Now() - KEPT_FOR)
    with tenant_scope(stranger.tenant.pk):
        assert answers_expire(tenant_id=stranger.tenant.pk, most=10) == 0
    assert acme("POST", "/webhook-endpoints", {"url": URL}, key="rep.Zoe").json() != first.json()
    with tenant_scope(acme.tenant.pk):
        IdempotentAnswer.objects.update(created_at=Now() - KEPT_FOR)
        assert answers_expire(tenant_id=acme.tenant.pk, most=10) == 1


def test_an_answer_that_cannot_be_read_any_more_is_not_done_again(acme, settings):
    acme("POST", "/webhook-endpoints", {"url": URL})
    settings.ENCRYPTION_KEYS = {"other": "o" * 40}
    refused = acme("POST", "/webhook-endpoints", {"url": URL})
    assert code(refused) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert acme.rows() == 1


@pytest.mark.django_db(transaction=True)
def test_twins_wait_for_each_other_and_do_it_once(acme):
    answers, ready = [], threading.Barrier(4)

    def ask() -> None:
        ready.wait(30)
        answers.append(acme("POST", "/webhook-endpoints", {"url": URL}))
        connection.close()

    twins = [threading.Thread(target=ask) for _ in range(4)]
    for twin in twins:
        twin.start()
    for twin in twins:
        twin.join(60)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 3
    assert acme.rows() == 1


@pytest.mark.django_db(transaction=True)
def test_a_twin_of_one_that_takes_long_is_told_to_come_again(acme, monkeypatch):
    monkeypatch.setattr(idempotency, "TWIN_WAITS_MS", 50)
    held, told = threading.Event(), []
    create = Endpoint.objects.create

    def slow(**columns):
        held.set()
        assert told_event.wait(30)
        return create(**columns)

    told_event = threading.Event()
    monkeypatch.setattr(Endpoint.objects, "create", slow)

    def first() -> None:
        told.append(acme("POST", "/webhook-endpoints", {"url": URL}))
        connection.close()

    one = threading.Thread(target=first)
    one.start()
    assert held.wait(30)
    refused = acme("POST", "/webhook-endpoints", {"url": URL})
    told_event.set()
    one.join(30)
    assert code(refused) == (409, "IDEMPOTENCY_KEY_IN_USE")
    assert refused.headers["Retry-After"] == "1"
    assert told[0].status_code == 201
    assert acme("POST", "/webhook-endpoints", {"url": URL}).content == told[0].content
    assert acme.rows() == 1


def test_one_that_died_halfway_is_done_anew(acme, monkeypatch):
    def dies(*_, **__):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "_sealed", dies)
        with pytest.raises(SystemExit):
            acme("POST", "/webhook-endpoints", {"url": URL})
    assert acme.rows() == 0
    assert acme("POST", "/webhook-endpoints", {"url": URL}).status_code == 201
    assert acme.rows() == 1
