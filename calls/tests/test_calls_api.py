"""GET /calls and GET /calls/{callId}: what an integrator's backend reads."""

import random
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from calls.models import Call
from calls.tests.making import API, code, make_drill, make_integrator
from calls.tests.making_calls import (
    LINES,
    add_recording,
    add_scorecard,
    add_transcript,
    make_call,
)
from tenants.isolation import tenant_scope
from tenants.models import Agency, ApiKey
from tenants.services import api_key_create

pytestmark = pytest.mark.django_db

LONG_AGO = "2020-01-01T00:00:00Z"
ROW = {
    "id", "source", "externalUserId", "externalAgencyId", "drillKey", "startedAt", "endedAt",
    "durationSec", "scoredAt",
}  # fmt: skip


@pytest.fixture(autouse=True)
def drill(db):
    return make_drill()


@pytest.fixture
def acme():
    return make_integrator("Acme")


@pytest.fixture
def stranger():
    return make_integrator("Stranger")


def get(integrator, path, **query):
    return Client().get(
        f"{API}{path}", query, headers={"Authorization": f"Bearer {integrator.secret}"}
    )


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["data"]]


def walk(integrator, between=lambda: None, **query):
    """All pages, with something happening between them."""
    rows, cursor = [], {}
    while True:
        answer = get(integrator, "/calls", **query, **cursor)
        assert answer.status_code == 200, answer.content
        rows += answer.json()["data"]
        if answer.json()["nextCursor"] is None:
            return rows
        assert len(answer.json()["data"]) == query.get("limit", 50)
        cursor = {"cursor": answer.json()["nextCursor"]}
        between()


# --- the list ------------------------------------------------------------------------------------


def test_a_row_has_every_key_in_the_published_form(acme):
    ended = datetime(2026, 6, 5, 14, 40, 17, 536_999, UTC)
    call = make_call(acme.tenant, ended_at=ended, seconds=37.241)
    answer = get(acme, "/calls", **{"from": "2026-06-01T00:00:00.000Z"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers
    body = answer.json()
    assert set(body) == {"data", "nextCursor"}
    assert body["nextCursor"] is None
    assert body["data"] == [
        {
            "id": call.public_id,
            "source": "roleplay",
            "externalUserId": "rep_8842",
            "externalAgencyId": None,
            "drillKey": "ma-full-sale",
            "startedAt": "2026-06-05T14:39:40.295Z",
            "endedAt": "2026-06-05T14:40:17.536Z",
            "durationSec": 37,
            "scoredAt": "2026-06-05T14:40:57.536Z",
        }
    ]


def test_only_own_scored_calls_are_listed_newest_first(acme, stranger):
    base = timezone.now() - timedelta(days=1)
    old = make_call(acme.tenant, ended_at=base)
    new = make_call(acme.tenant, ended_at=base + timedelta(hours=1))
    make_call(stranger.tenant, ended_at=base)
    for stage in ("created", "live", "ended", "transcribed", "failed"):
        make_call(acme.tenant, stage=stage)
    make_call(acme.tenant, mode=ApiKey.Mode.TEST)
    assert ids(get(acme, "/calls", **{"from": LONG_AGO})) == [new.public_id, old.public_id]
    assert len(ids(get(stranger, "/calls", **{"from": LONG_AGO}))) == 1


def test_a_test_key_reads_the_calls_of_the_sandbox_only(acme):
    make_call(acme.tenant)
    practice = make_call(acme.tenant, mode=ApiKey.Mode.TEST)
    _, secret = api_key_create(tenant=acme.tenant, name="Sandbox", mode=ApiKey.Mode.TEST)
    sandbox = type(acme)(acme.tenant, acme.key, secret)
    assert ids(get(sandbox, "/calls", **{"from": LONG_AGO})) == [practice.public_id]
    assert get(acme, f"/calls/{practice.public_id}").status_code == 404


def test_no_internal_id_leaves(acme):
    call = make_call(acme.tenant, agency="chicago")
    make_call(acme.tenant)
    add_recording(call, b"x" * 10)
    answers = [
        get(acme, "/calls", limit=1, **{"from": LONG_AGO}),
        get(acme, f"/calls/{call.public_id}"),
    ]
    for answer in answers:
        for internal in (call.pk, call.tenant_id, call.rep_id, call.agency_id, call.drill_id):
            assert str(internal) not in answer.text
            assert internal.hex not in answer.text


def test_from_and_to_are_inclusive_to_the_millisecond_shown(acme):
    ended = datetime(2026, 6, 5, 14, 40, 17, 536_789, UTC)
    call = make_call(acme.tenant, ended_at=ended)
    shown = get(acme, f"/calls/{call.public_id}").json()["endedAt"]
    assert shown == "2026-06-05T14:40:17.536Z"
    for query, found in [
        ({"from": shown, "to": shown}, True),
        ({"from": "2026-06-05T14:40:17.537Z"}, False),
        ({"from": LONG_AGO, "to": "2026-06-05T14:40:17.535Z"}, False),
        ({"from": "2026-06-05", "to": "2026-06-05"}, True),  # a date is the whole day
        ({"from": LONG_AGO, "to": "2026-06-04"}, False),
        ({"from": "2026-06-05T09:40:17.536-05:00"}, True),
        ({"from": "2026-06-05T16:40:17.536+02:00"}, True),
        ({"from": "2026-06-05T16:40:17.536 02:00"}, True),  # a + that nobody escaped
        ({"from": "2026-06-05T14:40:17"}, True),  # without a zone: UTC
        ({"from": "2026-06-06", "to": "2026-06-05"}, False),
    ]:
        assert bool(ids(get(acme, "/calls", **query))) is found, query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "from"),
        ({"from": ""}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-13-01"}, "from"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "from"),
        ({"from": "1780675200"}, "from"),
        ({"from": LONG_AGO, "to": "never"}, "to"),
        ({"from": LONG_AGO, "to": "9999-12-31"}, "to"),
        ({"from": LONG_AGO, "scoredFrom": "x"}, "scoredFrom"),
        ({"from": LONG_AGO, "source": "phone"}, "source"),
        ({"from": LONG_AGO, "externalUserId": " "}, "externalUserId"),
        ({"from": LONG_AGO, "externalUserId": "r" * 201}, "externalUserId"),
        *(({"from": LONG_AGO, "limit": odd}, "limit")
          for odd in ("0", "101", "-1", "1.5", "", "ten", "1e1", "٣", "99999999")),
        *(({"from": LONG_AGO, "cursor": odd}, "cursor") for odd in ("", "x", "é", "A" * 2000)),
    ],
)  # fmt: skip
def test_odd_parameters_are_refused_by_name(acme, query, field):
    answer = get(acme, "/calls", **query)
    assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST")
    assert answer.json()["error"]["details"] == {"field": field}
    assert answer.json()["error"]["requestId"] == answer.headers["X-Athos-Request-Id"]


@pytest.mark.parametrize("name", ["from", "externalUserId", "externalAgencyId", "cursor"])
def test_a_nul_character_is_refused(acme, name):
    answer = get(acme, "/calls", **{"from": LONG_AGO} | {name: "2026-06-05\x00"})
    assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST")


def test_every_filter_narrows(acme, stranger):
    sam = make_call(acme.tenant, user="sam", agency="chicago")
    kim = make_call(acme.tenant, user="kim", agency="boston")
    lee = make_call(acme.tenant, user="lee")
    make_call(stranger.tenant, user="sam", agency="chicago")
    for query, expected in [
        ({"externalUserId": "sam"}, {sam}),
        ({"externalUserId": " sam "}, {sam}),
        ({"externalAgencyId": "boston"}, {kim}),
        ({"externalUserId": "sam", "externalAgencyId": "boston"}, set()),
        ({"externalUserId": "%"}, set()),
        ({"source": "roleplay"}, {sam, kim, lee}),
        ({"unknown": "ignored"}, {sam, kim, lee}),
    ]:
        found = set(ids(get(acme, "/calls", **{"from": LONG_AGO}, **query)))
        assert found == {call.public_id for call in expected}, query


# --- paging --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_pages_neither_repeat_nor_skip_while_calls_are_being_scored(acme, stranger, seed):
    """Between any two pages calls end and are scored anywhere on the time line."""
    chance = random.Random(seed)
    base = timezone.now() - timedelta(days=10)

    def ended():  # few moments, so that many calls share one
        return base + timedelta(minutes=chance.randrange(6))

    before = {make_call(acme.tenant, ended_at=ended()).public_id for _ in range(23)}
    waiting = [make_call(acme.tenant, ended_at=ended(), stage="transcribed") for _ in range(10)]

    def meanwhile():
        make_call(stranger.tenant, ended_at=ended())
        make_call(acme.tenant, ended_at=ended(), scored_at=timezone.now())
        late = waiting.pop() if waiting else None
        if late:
            with tenant_scope(acme.tenant.pk):
                Call.objects.filter(pk=late.pk).update(stage="scored", scored_at=timezone.now())

    rows = walk(acme, meanwhile, limit=chance.randint(1, 6), **{"from": LONG_AGO})
    found = [row["id"] for row in rows]
    assert len(found) == len(set(found))
    assert set(found) == before
    assert [row["endedAt"] for row in rows] == sorted((r["endedAt"] for r in rows), reverse=True)


def test_a_last_page_that_is_full_has_no_cursor(acme):
    for _ in range(4):
        make_call(acme.tenant)
    answer = get(acme, "/calls", limit=4, **{"from": LONG_AGO})
    assert (len(answer.json()["data"]), answer.json()["nextCursor"]) == (4, None)


def test_a_cursor_is_good_for_its_own_list_only(acme, stranger):
    for tenant in (acme.tenant, stranger.tenant):
        for _ in range(3):
            make_call(tenant)
    cursor = get(acme, "/calls", limit=1, **{"from": LONG_AGO}).json()["nextCursor"]
    same = {"from": "2020-01-01T00:00:00.000+00:00", "cursor": cursor}
    assert len(ids(get(acme, "/calls", limit=2, **same))) == 2  # the limit may change
    for other in [
        {"from": "2020-01-02", "cursor": cursor},
        {**same, "to": "2030-01-01"},
        {**same, "source": "roleplay"},
        {**same, "externalUserId": "rep_8842"},
        {**same, "externalAgencyId": "chicago"},
        {**same, "scoredFrom": LONG_AGO},
        {**same, "cursor": cursor[:60] + "-" * 9 + cursor[69:]},
        {**same, "cursor": cursor[:-4]},
    ]:
        answer = get(acme, "/calls", **other)
        assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST"), other
        assert answer.json()["error"]["details"] == {"field": "cursor"}
    assert get(stranger, "/calls", **same).status_code == 400


def test_the_default_page_has_fifty_rows(acme):
    for _ in range(51):
        make_call(acme.tenant)
    answer = get(acme, "/calls", **{"from": LONG_AGO})
    assert len(ids(answer)) == 50
    assert answer.json()["nextCursor"]
    assert len(ids(get(acme, "/calls", limit=100, **{"from": LONG_AGO}))) == 51


# --- pollers -------------------------------------------------------------------------------------


def test_a_poller_by_time_of_scoring_meets_a_call_that_was_scored_late(acme, stranger):
    now = timezone.now()
    first = make_call(acme.tenant, scored_at=now - timedelta(hours=3))
    second = make_call(acme.tenant, scored_at=now - timedelta(hours=2))
    make_call(stranger.tenant)
    rows = walk(acme, limit=1, scoredFrom=LONG_AGO)
    assert [row["id"] for row in rows] == [first.public_id, second.public_id]
    # it ended long before the others, and was scored after the poller had read them
    late = make_call(
        acme.tenant, ended_at=now - timedelta(days=30), scored_at=now - timedelta(hours=1)
    )
    rows = walk(acme, scoredFrom=rows[-1]["scoredAt"])
    assert [row["id"] for row in rows] == [second.public_id, late.public_id]
    narrow = {"scoredFrom": LONG_AGO, "from": (now - timedelta(days=1)).isoformat()}
    assert len(ids(get(acme, "/calls", **narrow))) == 2


@pytest.mark.django_db(transaction=True)
def test_a_poller_waits_for_a_scoring_that_has_not_committed():
    """Its scoredAt will lie before those of calls that are already visible."""
    import threading

    from django.db import connection
    from django.db.models.functions import Now

    acme = make_integrator()
    slow, quick = (make_call(acme.tenant, stage="transcribed") for _ in range(2))
    began, go_on = threading.Event(), threading.Event()

    def score_slowly():
        try:
            with tenant_scope(acme.tenant.pk):
                Call.objects.filter(pk=slow.pk).update(stage="scored", scored_at=Now())
                began.set()
                assert go_on.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=score_slowly)
    thread.start()
    try:
        assert began.wait(20)
        with tenant_scope(acme.tenant.pk):
            Call.objects.filter(pk=quick.pk).update(stage="scored", scored_at=Now())
        thread.join(0.5)  # past the margin
        assert ids(get(acme, "/calls", scoredFrom=LONG_AGO)) == []
        assert ids(get(acme, "/calls", **{"from": LONG_AGO})) == [quick.public_id]
    finally:
        go_on.set()
        thread.join(20)
    connection.close()
    threading.Event().wait(0.4)
    assert ids(get(acme, "/calls", scoredFrom=LONG_AGO)) == [slow.public_id, quick.public_id]


# --- one call ------------------------------------------------------------------------------------


def test_a_scored_call_is_told_whole(acme):
    call = make_call(acme.tenant, agency="chicago")
    add_transcript(call)
    add_scorecard(call)
    add_recording(call, b"x" * 1000)
    answer = get(acme, f"/calls/{call.public_id}")
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert set(body) >= ROW | {
        "status", "transcript", "score", "audioUrl", "audioUrlExpiresAt", "waveform", "createdAt",
        "updatedAt",
    }  # fmt: skip
    assert body["status"] == "scored"
    assert body["waveform"] is None
    assert body["externalAgencyId"] == "chicago"
    told = [(line["role"], line["content"]) for line in body["transcript"]]
    assert told == LINES
    assert (body["transcript"][1]["startTime"], body["transcript"][1]["endTime"]) == (5.0, 9.2)
    assert body["score"]["overallScore"] == 82
    assert {"summary", "feedback", "criteria"} <= set(body["score"])
    evidence = body["score"]["criteria"][0]["evidence"]
    line = body["transcript"][evidence["turn"]]
    assert evidence["quote"] in line["content"]
    life = datetime.fromisoformat(body["audioUrlExpiresAt"]) - timezone.now()
    assert timedelta(minutes=59) < life <= timedelta(hours=1)
    assert body["updatedAt"] >= body["createdAt"]


def test_without_a_recording_there_is_no_link(acme):
    call = make_call(acme.tenant)
    body = get(acme, f"/calls/{call.public_id}").json()
    assert (body["audioUrl"], body["audioUrlExpiresAt"]) == (None, None)


@pytest.mark.parametrize("path", ["/calls/{}", "/calls/{}/status"])
def test_a_strangers_call_and_no_call_look_the_same(acme, stranger, path):
    theirs = make_call(stranger.tenant)
    unknown = "athos_call_" + "x" * 21
    answers = [get(acme, path.format(i)) for i in (theirs.public_id, unknown, "x", theirs.pk)]
    for answer in answers:
        assert (answer.status_code, code(answer)) == (404, "CALL_NOT_FOUND")
    messages = {answer.json()["error"]["message"] for answer in answers}
    assert len(messages) == 1
    assert get(stranger, path.format(theirs.public_id)).status_code == 200


@pytest.mark.parametrize("stage", ["created", "live", "ended", "transcribed", "failed"])
def test_a_call_that_is_not_scored_is_not_found(acme, stage):
    call = make_call(acme.tenant, stage=stage)
    assert code(get(acme, f"/calls/{call.public_id}")) == "CALL_NOT_FOUND"


@pytest.mark.parametrize(
    ("stage", "failure", "told"),
    [
        ("created", "", {"status": "live"}),
        ("live", "", {"status": "live"}),
        ("ended", "", {"status": "ended"}),
        ("transcribed", "", {"status": "transcribed"}),
        ("scored", "", {"status": "scored"}),
        ("failed", "rep_never_spoke", {"status": "failed", "reason": "REP_NEVER_SPOKE"}),
        ("ended", "scoring_incomplete", {"status": "failed", "reason": "SCORING_INCOMPLETE"}),
    ],
)
def test_the_status_is_told_at_every_stage(acme, stage, failure, told):
    call = make_call(acme.tenant, stage=stage, failure=failure)
    assert get(acme, f"/calls/{call.public_id}/status").json() == told


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_limited_to_agencies_sees_those_only(acme):
    chicago = make_call(acme.tenant, agency="chicago")
    boston = make_call(acme.tenant, user="kim", agency="boston")
    make_call(acme.tenant, user="lee")
    with tenant_scope(acme.tenant.pk):
        agency = Agency.objects.get(external_id="chicago")
        ApiKey.objects.filter(pk=acme.key.pk).update(agencies=[agency.pk])
    assert ids(get(acme, "/calls", **{"from": LONG_AGO})) == [chicago.public_id]
    assert ids(get(acme, "/calls", externalAgencyId="boston", **{"from": LONG_AGO})) == []
    for path in (f"/calls/{boston.public_id}", f"/calls/{boston.public_id}/status"):
        assert code(get(acme, path)) == "CALL_NOT_FOUND"


@pytest.mark.parametrize("path", ["/calls?from=2020-01-01", "/calls/x", "/calls/x/status"])
def test_a_key_without_the_scope_may_not_read(acme, path):
    with tenant_scope(acme.tenant.pk):
        ApiKey.objects.filter(pk=acme.key.pk).update(scopes=["sessions:write"])
    answer = Client().get(API + path, headers={"Authorization": f"Bearer {acme.secret}"})
    assert (answer.status_code, code(answer)) == (403, "INSUFFICIENT_SCOPE")
    assert code(Client().get(API + path)) == "INVALID_API_KEY"
    assert code(Client().post(API + path)) == "METHOD_NOT_ALLOWED"


def test_a_call_id_may_hold_any_text(acme):
    for odd in ("%00", "..", quote("é"), "a" * 3000):
        assert get(acme, f"/calls/{odd}").status_code == 404
