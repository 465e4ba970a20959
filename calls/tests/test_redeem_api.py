"""POST /roleplay/session: one token, one call, whatever happens around it."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from calls.models import Call, LiveSlot, LiveWorker, SessionToken
from calls.services.tickets import TicketRefused, ticket_read, ticket_sign
from calls.tests.making import (
    API,
    PERSONA,
    code,
    make_drill,
    make_integrator,
    make_worker,
    redeem,
)
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import Agency, Rep, Tenant

pytestmark = pytest.mark.django_db
ORIGIN = "https://crm.example.com"


@pytest.fixture
def acme():
    return make_integrator("Acme")


@pytest.fixture
def ready(acme):
    """A drill to practise and four free slots."""
    make_drill()
    make_worker()


def calls_of(integrator):
    with tenant_scope(integrator.tenant.pk):
        return list(Call.objects.select_related("drill", "rep", "agency"))


def consumed(integrator):
    with tenant_scope(integrator.tenant.pk):
        return SessionToken.objects.exclude(consumed_at=None).exists()


def taken_slots():
    return LiveSlot.objects.exclude(call_id=None).count()


# --- the answer ----------------------------------------------------------------------------------


def test_a_token_becomes_a_call_that_waits_for_its_rep(acme, ready, settings):
    settings.PUBLIC_URL = "https://app.example.com"
    answer = redeem(acme.token("rep_8842", "agency_chicago"))
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"connectionTicket", "connectionUrl", "sessionId", "callId", "persona"}
    assert body["persona"] == {"name": PERSONA}
    assert body["connectionUrl"] == "wss://app.example.com/live/v1"
    (call,) = calls_of(acme)
    assert (body["callId"], body["sessionId"]) == (call.public_id, call.session_id)
    assert (call.stage, call.difficulty, call.mode) == ("created", "Advanced", "live")
    assert (call.rep.external_id, call.agency.external_id) == ("rep_8842", "agency_chicago")
    assert (call.external_user_id, call.external_agency_id) == ("rep_8842", "agency_chicago")
    assert timedelta(seconds=50) < call.due_at - timezone.now() <= timedelta(seconds=60)
    slot = LiveSlot.objects.get(call_id=call.pk)
    assert slot.tenant_id == acme.tenant.pk
    assert timedelta(seconds=50) < slot.lease_until - timezone.now() <= timedelta(seconds=60)


def test_the_ticket_names_the_call_and_shows_nothing(acme, ready):
    body = redeem(acme.token()).json()
    (call,) = calls_of(acme)
    ticket = ticket_read(body["connectionTicket"])
    assert (ticket.call_id, ticket.tenant_id) == (call.pk, acme.tenant.pk)
    assert ticket.public_id == body["callId"]
    for changed in ("", "x", body["connectionTicket"][:-4], "é" * 40, acme.token()):
        with pytest.raises(TicketRefused):
            ticket_read(changed)


def test_a_ticket_ends_after_a_day(monkeypatch):
    import time

    ticket = ticket_sign(call_id=uuid.uuid4(), tenant_id=uuid.uuid4(), public_id="athos_call_x")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 24 * 3600 - 5)
    ticket_read(ticket)
    monkeypatch.setattr(time, "time", lambda: now + 24 * 3600 + 5)
    with pytest.raises(TicketRefused):
        ticket_read(ticket)


def test_a_rep_without_agency_and_a_test_key(ready):
    sandbox = make_integrator("Sandbox", mode="test")
    assert redeem(sandbox.token()).status_code == 200
    (call,) = calls_of(sandbox)
    assert (call.agency, call.external_agency_id, call.mode) == (None, None, "test")


def test_a_returning_rep_is_the_same_rep_in_its_latest_agency(acme, ready):
    redeem(acme.token("rep", "chicago"))
    redeem(acme.token("rep", "boston"))
    redeem(acme.token("rep"))
    with tenant_scope(acme.tenant.pk):
        assert Rep.objects.get().agency.external_id == "boston"
        assert Agency.objects.count() == 2
        assert Call.objects.filter(agency__external_id="chicago").count() == 1


def test_two_tenants_name_the_same_rep_and_never_meet(acme, ready):
    stranger = make_integrator("Stranger")
    assert redeem(acme.token("rep", "chicago")).status_code == 200
    assert redeem(stranger.token("rep", "chicago")).status_code == 200
    assert len(calls_of(acme)) == len(calls_of(stranger)) == 1
    assert calls_of(acme)[0].rep_id != calls_of(stranger)[0].rep_id


# --- which drill ---------------------------------------------------------------------------------


def test_the_tenants_own_drill_comes_before_the_shipped_one(acme, ready):
    stranger = make_integrator("Stranger")
    make_drill(owner=acme.tenant.pk, version=1, persona={"name": "Own"})
    make_drill(owner=acme.tenant.pk, version=2, persona={"name": "Own, latest"})
    make_drill(version=2, persona={"name": "Shipped, latest"})
    assert redeem(acme.token()).json()["persona"]["name"] == "Own, latest"
    assert redeem(stranger.token()).json()["persona"]["name"] == "Shipped, latest"
    assert calls_of(acme)[0].drill_owner_id == acme.tenant.pk
    (call,) = calls_of(stranger)
    assert (call.drill_owner_id, call.drill.version) == (CATALOGUE, 2)


def test_a_strangers_drill_is_not_found(acme, ready):
    stranger = make_integrator("Stranger")
    make_drill("secret-drill", owner=stranger.tenant.pk)
    assert code(redeem(acme.token(), {"drillKey": "secret-drill"})) == "DRILL_NOT_FOUND"


@pytest.mark.parametrize("key", ["no-such-drill", "MA-FULL-SALE", "ma full sale", "x" * 1000, "名"])
def test_an_unknown_drill_spends_the_token_and_no_slot(acme, ready, key):
    token = acme.token()
    answer = redeem(token, {"drillKey": key})
    assert (answer.status_code, code(answer)) == (400, "DRILL_NOT_FOUND")
    assert consumed(acme)
    assert taken_slots() == 0
    assert calls_of(acme) == []
    answer = redeem(token)
    assert (answer.status_code, code(answer)) == (401, "TOKEN_ALREADY_USED")


def test_filters_that_match_are_kept_in_the_drills_spelling(acme):
    make_worker()
    make_drill(filters={"state": ["Florida", "Ohio"], "category": ["HMO"]})
    wish = {
        "drillKey": "ma-full-sale",
        "filters": {"state": " florida ", "category": "PPO", "x": 1},
    }
    assert redeem(acme.token(), wish).status_code == 200
    assert calls_of(acme)[0].filters == {"state": "Florida"}


def test_a_drill_may_write_one_value_without_a_list(acme):
    make_worker()
    make_drill(filters={"state": "OH"})
    wish = {"drillKey": "ma-full-sale", "filters": {"state": "oh"}}
    assert redeem(acme.token(), wish).status_code == 200
    assert calls_of(acme)[0].filters == {"state": "OH"}


@pytest.mark.parametrize("filters", [None, {}, {"state": None}, {"state": ""}, {"state": "Mars"}])
def test_filters_that_match_nothing_are_dropped(acme, ready, filters):
    wish = {"drillKey": "ma-full-sale", "filters": filters}
    assert redeem(acme.token(), wish).status_code == 200
    assert calls_of(acme)[0].filters == {}


@pytest.mark.parametrize("difficulty", ["Beginner", "Advanced", "Elite", None])
def test_difficulties(acme, ready, difficulty):
    wish = {"drillKey": " ma-full-sale ", "difficulty": difficulty}
    assert redeem(acme.token(), wish).status_code == 200
    assert calls_of(acme)[0].difficulty == (difficulty or "Advanced")


# --- refused before the token is spent -----------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [{}, {"drillKey": ""}, {"drillKey": "  "}, {"drillKey": None}, {"drillKey": 5},
     {"drillKey": ["a"]},
     {"drillKey": "a\x00b"}, {"drillKey": "x" * 1001}, "[]", '"text"', "null", "5", "", "{", "{}{}",
     '{"drillKey": NaN}', "[" * 100_000, '{"a":' * 100_000, b"\xff\xfe", b'{"drillKey": "\xff"}',
     '{"drillKey": "\\ud800"}', '{"drillKey": "\\u0000"}',
     {"drillKey": "ma-full-sale", "difficulty": "elite"},
     {"drillKey": "ma-full-sale", "difficulty": ""},
     {"drillKey": "ma-full-sale", "difficulty": 1}, {"drillKey": "ma-full-sale", "difficulty": {}},
     {"drillKey": "ma-full-sale", "filters": []}, {"drillKey": "ma-full-sale", "filters": "Ohio"},
     {"drillKey": "ma-full-sale", "filters": {"state": 5}}],
)  # fmt: skip
def test_a_bad_body_leaves_the_token_unspent(acme, ready, body):
    token = acme.token()
    answer = redeem(token, body)
    assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST")
    assert redeem(token).status_code == 200


def test_an_inactive_tenant_keeps_its_token(acme, ready):
    token = acme.token()
    for status, expected in [(Tenant.Status.SUSPENDED, 403), (Tenant.Status.ACTIVE, 200)]:
        with tenant_scope(acme.tenant.pk):
            Tenant.objects.update(status=status)
        answer = redeem(token)
        assert answer.status_code == expected
        if expected == 403:
            assert code(answer) == "TENANT_INACTIVE"


def make_busy():
    LiveSlot.objects.update(call_id=None)
    for slot in LiveSlot.objects.all():
        slot.call_id = uuid.uuid4()
        slot.lease_until = timezone.now() + timedelta(minutes=1)
        slot.save()


@pytest.mark.parametrize("why", ["no worker", "busy", "draining", "silent"])
def test_without_a_free_slot_the_token_keeps(acme, ready, why):
    if why == "no worker":
        LiveWorker.objects.all().delete()
    elif why == "busy":
        make_busy()
    elif why == "draining":
        LiveWorker.objects.update(draining=True)
    else:
        LiveWorker.objects.update(heartbeat_at=Now() - timedelta(seconds=7))
    token = acme.token()
    for wish in (None, {"drillKey": "no-such-drill"}):
        answer = redeem(token, wish)
        assert (answer.status_code, code(answer)) == (503, "SERVICE_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
    assert not consumed(acme)
    assert calls_of(acme) == []
    make_worker()
    assert redeem(token).status_code == 200


def test_a_slot_whose_lease_ran_out_is_free_again(acme):
    make_drill()
    make_worker(slots=1)
    make_busy()
    LiveSlot.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert redeem(acme.token()).status_code == 200
    assert LiveSlot.objects.get().call_id == calls_of(acme)[0].pk


def test_calls_spread_over_the_workers(acme):
    make_drill()
    make_worker(2)
    make_worker(2)
    for _ in range(2):
        redeem(acme.token())
    workers = LiveSlot.objects.exclude(call_id=None).values_list("worker_id", flat=True)
    assert len(set(workers)) == 2


# --- once ----------------------------------------------------------------------------------------


def test_a_second_use_is_refused(acme, ready):
    token = acme.token()
    assert redeem(token).status_code == 200
    answer = redeem(token)
    assert (answer.status_code, code(answer)) == (401, "TOKEN_ALREADY_USED")
    assert len(calls_of(acme)) == taken_slots() == 1


def test_the_database_decides_when_a_token_is_too_old(acme, ready):
    token = acme.token()
    with tenant_scope(acme.tenant.pk):
        SessionToken.objects.update(expires_at=Now() - timedelta(seconds=1))
    assert code(redeem(token)) == "TOKEN_EXPIRED"
    assert not consumed(acme)


def test_a_fault_of_ours_spends_the_token_and_takes_the_call_back(acme, ready):
    make_drill("broken", persona={"voice": "af_heart"})  # nameless
    token = acme.token()
    answer = redeem(token, {"drillKey": "broken"})
    assert (answer.status_code, code(answer)) == (500, "INTERNAL_ERROR")
    assert calls_of(acme) == []
    assert taken_slots() == 0
    answer = redeem(token)
    assert (answer.status_code, code(answer)) == (401, "TOKEN_ALREADY_USED")


def test_a_database_that_goes_away_meanwhile_leaves_the_token_unspent(acme, ready, monkeypatch):
    def gone(*values):
        raise OperationalError("the connection is lost")

    token = acme.token()
    with monkeypatch.context() as during:
        during.setattr("calls.services.tokens._call_create", gone)
        answer = redeem(token)
    assert (answer.status_code, code(answer)) == (503, "SERVICE_UNAVAILABLE")
    assert not consumed(acme)
    assert redeem(token).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_64_racers_on_one_token_make_one_call():
    acme = make_integrator()
    make_drill()
    make_worker(slots=8)
    token = acme.token()
    start = threading.Barrier(64)
    answers: list[tuple[int, str]] = []

    def race() -> None:
        try:
            start.wait(timeout=30)
            answer = redeem(token)
            answers.append((answer.status_code, answer.json().get("error", {}).get("code", "")))
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(answers) == 64
    assert answers.count((200, "")) == 1
    # a crowded pool may refuse within its second; that is a 503 and spends nothing
    others = {answer for answer in answers if answer != (200, "")}
    assert (401, "TOKEN_ALREADY_USED") in others
    assert others <= {(401, "TOKEN_ALREADY_USED"), (503, "SERVICE_UNAVAILABLE")}
    assert len(calls_of(acme)) == taken_slots() == 1


@pytest.mark.django_db(transaction=True)
def test_more_tokens_than_slots_at_once_fill_every_slot_and_no_more():
    acme = make_integrator()
    make_drill()
    make_worker(slots=3)
    tokens = [acme.token(f"rep{n}") for n in range(8)]
    statuses: list[int] = []

    def race(token: str) -> None:
        try:
            statuses.append(redeem(token).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(statuses) == [200] * 3 + [503] * 5
    assert len(calls_of(acme)) == taken_slots() == 3
    with tenant_scope(acme.tenant.pk):
        assert SessionToken.objects.exclude(consumed_at=None).count() == 3


# --- browsers ------------------------------------------------------------------------------------


def cors(answer):
    return {
        k.lower(): v for k, v in answer.headers.items() if k.lower().startswith("access-control")
    }


ANY_ORIGIN = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "X-Athos-Request-Id",
}


def test_preflight():
    answer = Client().options(
        f"{API}/roleplay/session",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert cors(answer) == ANY_ORIGIN | {
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "Authorization, Content-Type",
        "access-control-max-age": "7200",
    }
    assert answer.headers["X-Athos-Request-Id"].startswith("req_")


def test_every_answer_of_redeem_may_be_read_by_any_site(acme, ready):
    path = f"{API}/roleplay/session"
    client = Client(headers={"Origin": ORIGIN})
    token = acme.token()
    answers = [
        (200, redeem(token, Origin=ORIGIN)),
        (401, redeem(token, Origin=ORIGIN)),
        (401, client.post(path)),
        (400, redeem(acme.token(), "{", Origin=ORIGIN)),
        (400, redeem(acme.token(), {"drillKey": "none"}, Origin=ORIGIN)),
        (405, client.get(path)),
        (413, redeem(acme.token(), " " * (1024 * 1024 + 1), Origin=ORIGIN)),
        (415, client.post(path, "x", content_type="text/plain",
                          headers={"Authorization": f"Bearer {acme.token()}"})),
    ]  # fmt: skip
    for status, answer in answers:
        assert answer.status_code == status
        assert cors(answer) == ANY_ORIGIN


def test_no_other_address_answers_browsers(acme):
    path = f"{API}/session"
    client = Client(headers={"Origin": ORIGIN})
    preflight = {"Access-Control-Request-Method": "POST"}
    for answer in (
        client.options(path, headers=preflight),
        client.post(path),
        acme.post("/session", {"externalUserId": "r"}, Origin=ORIGIN),
        client.get(f"{API}/nothing-here"),
    ):
        assert cors(answer) == {}
    assert client.options(path, headers=preflight).status_code == 405


def test_a_tenants_own_list_of_sites(acme, ready):
    with tenant_scope(acme.tenant.pk):
        Tenant.objects.update(browser_origins=[ORIGIN])
    token = acme.token()
    answer = redeem(token, Origin="https://evil.example")
    assert (answer.status_code, cors(answer)) == (400, {})
    assert redeem(token, Origin=ORIGIN).status_code == 200
