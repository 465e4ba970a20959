"""Calls for test keys: asked for by REST, made from a script as rows, files and an ended call."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from calls.models import Call, LiveSlot, RecordingPart, SandboxCall, Turn
from calls.ports import ProviderRefused, ProviderUnavailable
from calls.sandbox import making
from calls.sandbox.ahead import lines_tried_first
from calls.sandbox.api import LINE_LONGEST, LINES_MAX
from calls.sandbox.scripts import scripts
from calls.sandbox.services import UNFINISHED_AT_ONCE
from calls.selectors import minutes_used
from calls.services.outcomes import call_succeed
from calls.sound import ogg
from calls.tasks import connect_due, lost_due, sandbox_due
from calls.tests.director_help import shipped
from calls.tests.making import API, Integrator, code, make_drill, make_integrator
from tenants.isolation import tenant_scope
from tenants.models import Agency, Rep, Tenant
from tenants.services import api_key_create
from webhooks.models import Delivery, Event
from webhooks.services import endpoint_create

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bells")]

BODY = {"drillKey": "ma-full-sale", "externalUserId": "rep_8842"}
OWN_LINES = ["Hi, is this Carol?", "Which doctors do you see?"]

ODD = [
    ({"drillKey": " "}, "drillKey"),
    ({"externalUserId": None}, "externalUserId"),
    ({"externalAgencyId": 7}, "externalAgencyId"),
    ({"difficulty": "Hard"}, "difficulty"),
    ({"script": "great"}, "script"),
    ({"script": ["good"]}, "script"),
    ({"webhook": "slow"}, "webhook"),
    ({"webhookDelaySeconds": 5}, "webhookDelaySeconds"),
    ({"webhook": "late", "webhookDelaySeconds": 0}, "webhookDelaySeconds"),
    ({"webhook": "late", "webhookDelaySeconds": 601}, "webhookDelaySeconds"),
    ({"webhook": "late", "webhookDelaySeconds": True}, "webhookDelaySeconds"),
    ({"webhook": "late", "webhookDelaySeconds": 1.5}, "webhookDelaySeconds"),
    ({"repLines": []}, "repLines"),
    ({"repLines": "Hi."}, "repLines"),
    ({"repLines": OWN_LINES, "script": "good"}, "repLines"),
    ({"repLines": ["Hi."] * (LINES_MAX + 1)}, "repLines"),
    ({"repLines": ["x" * LINE_LONGEST] * 14}, "repLines"),
    ({"repLines": ["Hi.", "x" * (LINE_LONGEST + 1)]}, "repLines[1]"),
    ({"repLines": ["Hi.", 3]}, "repLines[1]"),
    ({"repLines": ["…"]}, "repLines[0]"),
    ({"repLines": ["Hi\u0000"]}, "repLines[0]"),
]


class FakeEmbedder:
    """A vector of its own for each text. Fails from the `fails_from`th request on."""

    def __init__(self, fails_from: int | None = None) -> None:
        self._fails_from, self._asked = fails_from, 0

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        self._asked += 1
        if self._fails_from is not None and self._asked >= self._fails_from:
            raise ProviderUnavailable("away")
        rows = np.zeros((len(texts), 384), np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 384] = 1.0
        return rows


class FakeVoice:
    """A hum, the longer the longer the line. `problem` is raised instead."""

    version = "hum/1"

    def __init__(self, problem: Exception | None = None) -> None:
        self.said: list[tuple[str, str]] = []
        self.problem = problem

    async def speak(self, text, *, voice, speed=1.0):
        if self.problem is not None:
            raise self.problem
        self.said.append((voice, text))
        seconds = len(text) / 14
        time = np.arange(round(seconds * 48_000)) / 48_000
        yield (8000 * np.sin(2 * np.pi * 220 * time)).astype(np.int16)


@pytest.fixture
def engines(monkeypatch, settings, tmp_path):
    """The engines of the next calls; a test puts others in."""
    settings.VAR_DIR = tmp_path
    settings.VECTORS_DIR = tmp_path / "vectors"
    settings.MEDIA_ROOT = str(tmp_path / "recordings")
    there = {"embedder": FakeEmbedder(), "voice": FakeVoice()}

    @asynccontextmanager
    async def given():
        yield there["embedder"], there["voice"]

    monkeypatch.setattr(making, "engines", given)
    return there


@pytest.fixture
def acme() -> Integrator:
    """A tenant with a test key, and a drill that the director can play."""
    make_drill(**{key: value for key, value in shipped().items() if key != "key"})
    return make_integrator("Acme", mode="test")


@pytest.fixture
def stranger(acme) -> Integrator:
    return make_integrator("Stranger", mode="test")


def begin(who: Integrator, **body: object) -> Call:
    answer = who.post("/sandbox/calls", BODY | body)
    assert answer.status_code == 202, answer.content
    with tenant_scope(who.tenant.pk):
        return Call.objects.get(public_id=answer.json()["callId"])


def now(call: Call) -> Call:
    with tenant_scope(call.tenant_id):
        return Call.objects.select_related("sandbox").get(pk=call.pk)


def made_of(call: Call) -> tuple[list[tuple], list[tuple]]:
    """The turns and the sound of a call; Ogg's random serials left out."""
    with tenant_scope(call.tenant_id):
        turns = list(call.turns.values_list("role", "text", "start_time", "end_time", "director"))
        parts = [
            (part.channel, part.number, part.offset, part.duration, packets(str(part.file)))
            for part in call.recording_parts.order_by("channel", "number")
        ]
    return turns, parts


def packets(name: str) -> list[bytes]:
    with default_storage.open(name) as file:
        return ogg.read(file.read())


def get(who: Integrator, path: str) -> tuple[int, dict]:
    answer = Client().get(API + path, headers={"Authorization": f"Bearer {who.secret}"})
    return answer.status_code, answer.json()


def lease_over(call: Call) -> None:
    with tenant_scope(call.tenant_id):
        SandboxCall.objects.filter(call=call).update(lease_until=timezone.now())


# --- asking for one ------------------------------------------------------------------------------


def test_a_test_key_begins_a_call_without_a_live_slot(acme, bells):
    answer = acme.post("/sandbox/calls", BODY | {"externalAgencyId": "agency_chicago"})
    assert answer.status_code == 202
    body = answer.json()
    assert set(body) == {"callId", "sessionId", "status"}
    assert body["status"] == "live"
    assert bells == ["sandbox"]
    assert get(acme, f"/calls/{body['callId']}/status") == (200, {"status": "live"})
    with tenant_scope(acme.tenant.pk):
        call = Call.objects.get(public_id=body["callId"])
    assert (call.mode, call.session_id, call.difficulty) == ("test", body["sessionId"], "Advanced")
    assert not LiveSlot.objects.exists()
    connect_due()  # neither swept away as one that nobody connected to
    lost_due()
    assert now(call).stage == Call.Stage.CREATED


def test_a_live_key_is_told_to_take_a_test_key(acme):
    live = make_integrator("Live")
    answer = live.post("/sandbox/calls", BODY)
    assert (answer.status_code, code(answer)) == (403, "TEST_KEY_REQUIRED")
    with tenant_scope(live.tenant.pk):
        assert not Call.objects.exists()
        assert not Rep.objects.exists()


def test_odd_wishes_are_refused_by_name(acme):
    for odd, field in ODD:
        answer = acme.post("/sandbox/calls", BODY | odd)
        assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST"), odd
        assert answer.json()["error"]["details"] == {"field": field}
    with tenant_scope(acme.tenant.pk):
        assert not Call.objects.exists()


def test_unknown_fields_are_tolerated_and_null_is_left_out(acme):
    call = begin(acme, script=None, repLines=None, webhook=None, seed=7)
    assert now(call).sandbox.script == "good"


def test_a_strangers_drill_is_no_drill(acme, stranger):
    make_drill("their-own", owner=stranger.tenant.pk)
    answer = acme.post("/sandbox/calls", BODY | {"drillKey": "their-own"})
    assert (answer.status_code, code(answer)) == (400, "DRILL_NOT_FOUND")


def test_only_so_many_are_made_at_once_for_one_tenant(acme, stranger):
    first, *_ = [begin(acme) for _ in range(UNFINISHED_AT_ONCE)]
    answer = acme.post("/sandbox/calls", BODY)
    assert (answer.status_code, code(answer)) == (429, "RATE_LIMITED")
    assert answer.headers["Retry-After"] == "5"
    begin(stranger)
    with tenant_scope(acme.tenant.pk):
        Call.objects.filter(pk=first.pk).update(stage=Call.Stage.FAILED)
    begin(acme)


def test_a_key_limited_to_agencies_begins_calls_of_their_reps_only(acme):
    begin(acme, externalAgencyId="agency_chicago")
    begin(acme, externalAgencyId="agency_boston")
    with tenant_scope(acme.tenant.pk):
        chicago = Agency.objects.get(external_id="agency_chicago")
    _, secret = api_key_create(
        tenant=acme.tenant, name="Chicago", mode="test", agencies=[chicago.pk]
    )
    limited = Integrator(acme.tenant, acme.key, secret)
    begin(limited, externalAgencyId="agency_chicago")  # its rep was last seen elsewhere
    for other in ({"externalAgencyId": "agency_boston"}, {}):
        answer = limited.post("/sandbox/calls", BODY | other)
        assert (answer.status_code, code(answer)) == (403, "INSUFFICIENT_SCOPE")


def test_no_test_moves_a_real_rep_to_another_agency(acme):
    live = Integrator(acme.tenant, acme.key, api_key_create(tenant=acme.tenant, name="Live")[1])
    with tenant_scope(acme.tenant.pk):
        home = Agency.objects.create(tenant=acme.tenant, external_id="agency_chicago")
        Rep.objects.create(tenant=acme.tenant, external_id="rep_8842", agency=home)
    call = begin(acme, externalAgencyId="agency_boston")
    with tenant_scope(acme.tenant.pk):
        assert Rep.objects.get(external_id="rep_8842").agency_id == home.pk
    assert get(live, f"/calls/{call.public_id}/status")[0] == 404


def test_a_used_up_allowance_stops_no_tests(acme):
    with tenant_scope(acme.tenant.pk):
        Tenant.objects.filter(pk=acme.tenant.pk).update(monthly_minutes=0)
    live = Integrator(acme.tenant, acme.key, api_key_create(tenant=acme.tenant, name="Live")[1])
    assert code(live.post("/session", {"externalUserId": "r"})) == "TENANT_QUOTA_EXCEEDED"
    assert acme.token("r")
    begin(acme)


# --- making it -----------------------------------------------------------------------------------


def test_a_script_becomes_an_ended_call_as_a_live_worker_leaves_one(acme, engines, bells):
    before = timezone.now()
    call = begin(acme, script="poor")
    sandbox_due()
    call = now(call)
    assert (call.stage, call.end_reason) == (Call.Stage.ENDED, Call.EndReason.REP_ENDED)
    assert before <= call.ended_at <= timezone.now()
    assert bells == ["sandbox", "transcribe"]
    turns, parts = made_of(call)
    said = [text for role, text, *_ in turns if role == "user"]
    assert said == list(scripts()["poor"].lines["ma-full-sale"])
    assert turns[0][0] == "assistant"
    assert all(director["cues"] for role, *_, director in turns if role == "assistant")
    ends = [end for *_, end, _ in turns]
    starts = [start for _, _, start, _, _ in turns]
    assert all(0.4 < start - end < 0.7 for end, start in zip(ends, starts[1:], strict=False))
    seconds = (call.ended_at - call.started_at).total_seconds()
    for channel in ("rep", "persona"):
        mine = [part for part in parts if part[0] == channel]
        assert sum(len(part[4]) for part in mine) * 0.02 == pytest.approx(seconds, abs=0.01)
    assert {voice for voice, _ in engines["voice"].said} == {"heart", "af_bella"}
    assert not LiveSlot.objects.exists()
    sandbox_due()  # nothing is left to be done
    assert made_of(now(call)) == (turns, parts)


def test_the_same_script_makes_the_same_call(acme, stranger, engines):
    calls = [begin(who, script="medium", difficulty="Elite") for who in (acme, stranger, acme)]
    sandbox_due()
    first, *others = [made_of(now(call)) for call in calls]
    assert others == [first, first]
    other = begin(acme, script="medium", difficulty="Beginner")
    sandbox_due()
    assert made_of(now(other))[0] != first[0]


def test_lines_of_ones_own_are_said_and_forgotten(acme, engines, tmp_path):
    call = begin(acme, repLines=OWN_LINES)
    sandbox_due()
    turns, _ = made_of(call)
    assert [text for role, text, *_ in turns if role == "user"] == OWN_LINES
    sandbox = now(call).sandbox
    assert (sandbox.rep_lines, sandbox.due_at) == ([], None)
    again = begin(acme, repLines=OWN_LINES)
    engines["voice"].said.clear()
    sandbox_due()
    assert now(again).stage == Call.Stage.ENDED
    assert engines["voice"].said == [("heart", line) for line in OWN_LINES]  # hers were kept


def test_the_persona_asks_a_silent_rep_twice(acme, engines):
    call = begin(acme, script="silent")
    sandbox_due()
    turns, parts = made_of(call)
    assert [role for role, *_ in turns] == ["assistant"] * 3
    assert turns[1][2] - turns[0][3] == pytest.approx(8.0)
    assert len({packet for part in parts if part[0] == "rep" for packet in part[4]}) == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [("no-show", "NEVER_CONNECTED"), ("unscorable", "SCORING_INCOMPLETE")],
)
def test_calls_that_fail_are_told_to_the_endpoints_for_tests(
    acme, stranger, engines, script, reason
):
    for who in (acme, stranger):
        for mode in ("live", "test"):
            endpoint_create(tenant=who.tenant, url="https://hooks.example.com/", mode=mode)
    call = begin(acme, script=script, webhook="fail")
    sandbox_due()
    expected = (200, {"status": "failed", "reason": reason})
    assert get(acme, f"/calls/{call.public_id}/status") == expected
    with tenant_scope(acme.tenant.pk):
        (delivery,) = Delivery.objects.select_related("endpoint", "event")
        assert (delivery.endpoint.mode, delivery.rehearsal) == ("test", "fail")
        body = json.loads(bytes(delivery.event.body))
    assert (body["success"], body["reason"], body["mode"]) == (False, reason, "test")
    with tenant_scope(stranger.tenant.pk):
        assert not Event.objects.exists()


def test_a_late_webhook_waits_as_long_as_was_asked(acme, engines):
    endpoint_create(tenant=acme.tenant, url="https://hooks.example.com/", mode="test")
    call = begin(acme, webhook="late", webhookDelaySeconds=120)
    sandbox_due()
    with tenant_scope(acme.tenant.pk):
        call_succeed(call=Call.objects.get(pk=call.pk), overall=80)
        wait = Delivery.objects.get().due_at - timezone.now()
    assert timedelta(seconds=100) < wait <= timedelta(seconds=120)


def test_what_was_made_is_read_with_a_test_key_and_counts_toward_nothing(acme, stranger, engines):
    call = begin(acme, script="poor")
    sandbox_due()
    with tenant_scope(acme.tenant.pk):
        call_succeed(call=Call.objects.get(pk=call.pk), overall=80)
        assert minutes_used(tenant=acme.tenant) == 0
    live = Integrator(acme.tenant, acme.key, api_key_create(tenant=acme.tenant, name="Live")[1])
    status, body = get(acme, f"/calls/{call.public_id}")
    assert (status, body["id"]) == (200, call.public_id)
    for other in (live, stranger):
        assert get(other, f"/calls/{call.public_id}")[0] == 404
        assert get(other, "/calls?from=2020-01-01")[1]["data"] == []
    assert len(get(acme, "/calls?from=2020-01-01")[1]["data"]) == 1


# --- engines that fail, workers that die ---------------------------------------------------------


@pytest.mark.parametrize("which", ["voice", "embedder"])
def test_engines_that_are_away_delay_a_call_and_never_change_it(acme, engines, which):
    first = begin(acme, script="poor")
    sandbox_due()
    away = {
        "voice": FakeVoice(ProviderUnavailable("away")),
        "embedder": FakeEmbedder(fails_from=1),  # in the middle of the conversation
    }
    working, engines[which] = engines[which], away[which]
    call = begin(acme, script="poor", externalUserId="rep_9")
    late_one = begin(acme, repLines=["Nobody has said that yet."])  # no sound of it is kept
    sandbox_due()
    assert now(late_one).stage == Call.Stage.CREATED
    assert now(late_one).sandbox.last_error == "SPEECH_UNAVAILABLE"
    engines[which] = working
    for late in (call, late_one):
        lease_over(late)
    sandbox_due()
    assert made_of(now(call)) == made_of(now(first))
    assert now(late_one).stage == Call.Stage.ENDED


def test_a_call_that_cannot_be_spoken_is_given_up_and_told(acme, engines):
    engines["voice"] = FakeVoice(ProviderRefused("no such voice"))
    call = begin(acme, repLines=OWN_LINES)
    sandbox_due()
    assert now(call).sandbox.last_error == "SPEECH_REFUSED"
    expected = (200, {"status": "failed", "reason": "SCORING_INCOMPLETE"})
    assert get(acme, f"/calls/{call.public_id}/status") == expected
    with tenant_scope(acme.tenant.pk):
        assert Event.objects.filter(subject_id=call.pk).count() == 1


def test_a_worker_that_lost_its_lease_keeps_nothing_and_the_next_makes_it_whole(acme, engines):
    call = begin(acme, script="poor")

    class Stolen(FakeVoice):
        """While it speaks another worker takes the row, as after a suspension."""

        async def speak(self, text, *, voice, speed=1.0):
            def steal():
                with tenant_scope(call.tenant_id):
                    SandboxCall.objects.filter(call=call).update(lease_token=None)

            await asyncio.to_thread(steal)
            async for chunk in FakeVoice.speak(self, text, voice=voice, speed=speed):
                yield chunk

    engines["voice"] = Stolen()
    sandbox_due()
    with tenant_scope(acme.tenant.pk):
        assert not Turn.objects.exists()
        assert not RecordingPart.objects.exists()
    assert now(call).stage == Call.Stage.CREATED
    engines["voice"] = FakeVoice()
    lease_over(call)
    sandbox_due()
    turns, parts = made_of(now(call))
    assert len(turns) > 5
    assert parts


async def test_the_lines_made_ahead_are_those_of_the_call_that_is_tried_first(
    acme, engines, tmp_path
):
    packs = [{"key": "another"}, shipped()]
    lines = await lines_tried_first(packs, FakeEmbedder(), folder=tmp_path / "vectors")
    call = await asyncio.to_thread(begin, acme)
    await asyncio.to_thread(sandbox_due)
    said = sorted(engines["voice"].said)
    assert sorted({(line.voice, line.text) for line in lines}) == said
    assert (await asyncio.to_thread(now, call)).stage == Call.Stage.ENDED


def test_each_script_can_be_played_in_any_drill():
    for script in scripts().values():
        assert script.title
        if script.fails:
            assert script.fails in Call.Failure.values
            continue
        for drill in (*script.lines, "any-other-drill"):
            lines = script.lines_for(drill)
            assert len(lines) <= LINES_MAX
            assert all(line.isascii() and len(line) <= LINE_LONGEST for line in lines)
            assert bool(lines) == (script.name != "silent")
