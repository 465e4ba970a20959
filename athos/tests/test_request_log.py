"""The log of API requests: what is kept of them, when it is written and when it is forgotten."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from django.test import Client

from calls.services.tokens import session_mint
from calls.tests.making import make_integrator
from tenants import request_log
from tenants.auth import caller_find
from tenants.isolation import tenant_scope
from tenants.models import ApiRequest
from tenants.request_log import Answered, Owner, RequestLog, requests_expire, requests_write
from tenants.services import api_key_create, api_key_revoke

API = "/api/external/v1"


class Kept(list[Answered]):
    """In place of the process's queue: what would be written."""

    running = True
    note = list.append


@pytest.fixture
def kept(monkeypatch) -> Kept:
    kept = Kept()
    monkeypatch.setattr("athos.middleware.log", kept)
    monkeypatch.setattr("athos.request_noting.log", kept)
    request_log.owners._known.clear()
    return kept


def an_answer(owner: Owner, **other) -> Answered:
    facts = {
        "request_id": uuid.uuid4(), "at": datetime.now(UTC), "method": "GET", "route": "/calls",
        "query": "", "status": 200, "code": "", "field": "", "subject": "", "duration_ms": 4,
    }  # fmt: skip
    return Answered(owner=owner, **(facts | other))


def rows_of(tenant) -> list[ApiRequest]:
    with tenant_scope(tenant.pk):
        return list(ApiRequest.objects.for_tenant(tenant))


def ask(path: str, key: str, method: str = "get", **more):
    return getattr(Client(), method)(
        f"{API}{path}", headers={"Authorization": f"Bearer {key}"}, **more
    )


@pytest.mark.django_db
def test_an_answer_is_kept_without_what_was_said_in_it(kept):
    acme = make_integrator("Acme")
    answer = ask(
        "/session?limit=7&name=Mallory",
        acme.secret,
        "post",
        data={"externalUserId": "rep Mallory"},
        content_type="application/json",
    )
    assert answer.status_code == 200
    (entry,) = kept
    assert f"req_{entry.request_id}" == answer.headers["X-Athos-Request-Id"]
    assert entry.owner.tenant_id == acme.tenant.pk
    assert (entry.method, entry.route, entry.query) == ("POST", "/session", "limit=7")
    assert (entry.status, entry.code, entry.field, entry.subject) == (200, "", "", "")
    assert "Mallory" not in repr(entry)
    assert acme.secret not in repr(entry)


@pytest.mark.django_db
def test_the_route_is_the_template_and_a_refusal_comes_with_its_code_and_field(kept):
    acme = make_integrator("Acme")
    ask("/calls/athos_call_secretsecretsecret123", acme.secret)
    ask("/calls?limit=1000&from=2026-01-01", acme.secret)
    ask("/no-such-address", acme.secret)
    found, odd, missing = kept
    assert (found.route, found.status, found.code) == ("/calls/{callId}", 404, "CALL_NOT_FOUND")
    assert (odd.code, odd.field, odd.query) == (
        "INVALID_REQUEST",
        "limit",
        "from=2026-01-01&limit=1000",
    )
    assert (missing.route, missing.code) == ("", "NOT_FOUND")


@pytest.mark.django_db
def test_a_refused_key_that_is_known_leaves_a_trace_and_an_unknown_one_none(kept):
    acme = make_integrator("Acme")
    key, text = api_key_create(tenant=acme.tenant, name="old")
    api_key_revoke(tenant=acme.tenant, key_id=key.pk)
    _, elsewhere = api_key_create(tenant=acme.tenant, name="x", allowed_ips=["192.0.2.7"])
    for shown in (text, elsewhere, acme.secret[:-1] + "0", "nonsense", ""):
        ask("/calls?from=2026-01-01", shown)
    assert [(entry.code, entry.subject) for entry in kept] == [
        ("API_KEY_REVOKED", ""),
        ("IP_NOT_ALLOWED", "127.0.0.1"),
    ]
    assert kept[0].owner == Owner(acme.tenant.pk, key.pk)


@pytest.mark.django_db
def test_a_redeem_belongs_to_the_tokens_tenant_and_names_the_refused_web_site(kept):
    acme = make_integrator("Acme")
    with tenant_scope(acme.tenant.pk):
        acme.tenant.browser_origins = ["https://good.example"]
        acme.tenant.save(update_fields=["browser_origins"])
    caller = caller_find(acme.secret, None)
    minted = session_mint(caller=caller, external_user_id="rep", external_agency_id=None)
    Client().post(
        f"{API}/roleplay/session",
        {"drillKey": "ma-full-sale"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {minted.token}", "Origin": "https://bad.example"},
    )
    (entry,) = kept
    assert entry.owner == Owner(acme.tenant.pk, None)
    assert (entry.code, entry.subject) == ("INVALID_REQUEST", "https://bad.example")


@pytest.mark.django_db
def test_what_postgresql_cannot_store_is_told_in_other_letters(kept):
    acme = make_integrator("Acme")
    ask("/usage", acme.secret)  # the key is known from now on
    ask("/calls?from=%00%0a&limit=1", acme.secret)
    requests_write(kept[1:])
    (row,) = rows_of(acme.tenant)
    assert row.query == "from=??&limit=1"


@pytest.mark.django_db
def test_one_batch_is_written_into_each_tenants_own_rows():
    acme, other = make_integrator("Acme"), make_integrator("Other")
    mine, theirs = an_answer(Owner(acme.tenant.pk, None)), an_answer(Owner(other.tenant.pk, None))
    requests_write([mine, theirs, an_answer(Owner(acme.tenant.pk, uuid.uuid4()))])
    assert mine.request_id in {row.pk for row in rows_of(acme.tenant)}
    assert len(rows_of(acme.tenant)) == 2
    assert [row.pk for row in rows_of(other.tenant)] == [theirs.request_id]


@pytest.mark.django_db
def test_after_seven_days_a_request_is_forgotten_by_and_by():
    acme, other = make_integrator("Acme"), make_integrator("Other")
    old = datetime.now(UTC) - timedelta(days=7, minutes=1)
    mine, theirs = Owner(acme.tenant.pk, None), Owner(other.tenant.pk, None)
    requests_write([an_answer(mine, at=old) for _ in range(3)])
    requests_write([an_answer(mine), an_answer(theirs, at=old)])
    with tenant_scope(acme.tenant.pk):
        assert requests_expire(tenant_id=acme.tenant.pk, most=2) == 2
        assert requests_expire(tenant_id=acme.tenant.pk, most=2) == 1
    assert len(rows_of(acme.tenant)) == 1
    assert len(rows_of(other.tenant)) == 1


# --- the queue -----------------------------------------------------------------------------------


def test_stopping_writes_what_waits():
    written: list[Answered] = []
    log = RequestLog(written.extend, most=10)
    log.start()
    entry = an_answer(Owner(uuid.uuid4(), None))
    log.note(entry)
    log.stop(seconds=20)
    assert written == [entry]
    assert not log.running


def test_a_full_queue_drops_and_never_waits():
    opened, reached = threading.Event(), threading.Event()
    written: list[Answered] = []

    def slow(batch):
        reached.set()
        assert opened.wait(20)
        written.extend(batch)

    log = RequestLog(slow, most=3)
    log.start()
    before = request_log._dropped._value.get()
    log.note(an_answer(Owner(uuid.uuid4(), None)))
    assert reached.wait(20)
    for _ in range(5):
        log.note(an_answer(Owner(uuid.uuid4(), None)))
    opened.set()
    log.stop(seconds=20)
    assert len(written) == 4
    assert request_log._dropped._value.get() - before == 2


@pytest.mark.parametrize("problem", [OperationalError, ValueError])
def test_a_batch_that_cannot_be_written_is_dropped_and_the_next_one_is_tried(problem):
    tries: list[int] = []

    def broken(batch):
        tries.append(len(batch))
        raise problem

    log = RequestLog(broken, most=2_000)
    log._thread = threading.current_thread()  # kept, but written by nobody else
    for _ in range(request_log.BATCH + 1):
        log.note(an_answer(Owner(uuid.uuid4(), None)))
    log._flush()
    assert tries == [request_log.BATCH, 1]
