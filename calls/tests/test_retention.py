"""A tenant's time for its content: how it is set, and what is left when it is over."""

import io
import json
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from calls.erasure.carrying_out import erasure_carry_out
from calls.erasure.retention import retention_set
from calls.erasure.rounds import retention_round
from calls.models import Call, Erasure, Recording, RecordingPart, RetentionRound, Turn
from calls.tests.making import API, Integrator, code, make_drill, make_integrator
from calls.tests.test_call_pages import manager_of
from calls.tests.test_erasure import delete, files_in, full_call, get, rows_of
from scoring.models import Scorecard, Verdict
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, AuditEvent, Tenant
from tenants.services import ALL_SCOPES, api_key_create
from webhooks.models import Attempt, Delivery, Event
from webhooks.services import RECORDING_DELETED, endpoint_create
from work.drain import drain

pytestmark = pytest.mark.django_db
CONTENT = ("Turn", "TranscriptLine", "HeardChunk")
SOUND = ("Recording", "RecordingPart")


@pytest.fixture(autouse=True)
def storage(tmp_path, settings) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "recordings")
    return tmp_path / "recordings"


@pytest.fixture
def acme(bells) -> Integrator:
    make_drill()
    return make_integrator("Acme", scopes=ALL_SCOPES)


@pytest.fixture
def stranger(acme) -> Integrator:
    return make_integrator("Stranger", scopes=ALL_SCOPES)


def old_call(integrator: Integrator, days: float, **fields) -> Call:
    call = full_call(integrator, ended_at=timezone.now() - timedelta(days=days), **fields)
    with tenant_scope(integrator.tenant.pk):
        Event.objects.filter(subject_id=call.pk).update(created_at=call.ended_at)
        Delivery.objects.filter(event__subject_id=call.pk).update(
            state="delivered", due_at=None, ended_at=Now()
        )
    return call


def keep(integrator: Integrator, **days: int | None) -> None:
    everything = {"audio_days": None, "transcript_days": None, "webhook_payload_days": None}
    retention_set(tenant_id=integrator.tenant.pk, changes=everything | days)


def rounds() -> None:
    """The rounds of all tenants that are due."""
    drain(RetentionRound, kind="retain", handle=retention_round)


def patch(integrator: Integrator, body: object, secret: str = ""):
    return Client().patch(
        f"{API}/retention",
        data=json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret or integrator.secret}"},
    )


# --- the policy ----------------------------------------------------------------------------------


def test_a_new_tenant_has_the_documented_days(acme):
    assert get(acme, "/retention").json() == {
        "audioDays": 30, "transcriptDays": 180, "webhookPayloadDays": 30,
    }  # fmt: skip


def test_days_are_changed_one_by_one_and_written_down(acme, stranger, bells):
    bells.clear()
    answer = patch(acme, {"audioDays": 7, "transcriptDays": None, "more": "is ignored"})
    assert (answer.status_code, answer.json()) == (
        200, {"audioDays": 7, "transcriptDays": None, "webhookPayloadDays": 30},
    )  # fmt: skip
    assert get(acme, "/retention").json() == answer.json()
    assert get(stranger, "/retention").json()["audioDays"] == 30
    with tenant_scope(acme.tenant.pk):
        event = AuditEvent.objects.get(action="retention.set")
        assert event.actor.startswith("key:")
        assert event.details["before"] == {"audio_days": 30, "transcript_days": 180}
        assert RetentionRound.objects.get().due_at <= timezone.now()
    patch(acme, {"audioDays": 7})
    with tenant_scope(acme.tenant.pk):
        assert AuditEvent.objects.filter(action="retention.set").count() == 1


@pytest.mark.parametrize("days", [0, -1, 3651, 1.5, "7", True, [], 10**12])
def test_odd_days_are_refused(acme, days):
    answer = patch(acme, {"audioDays": days})
    assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST")
    assert answer.json()["error"]["details"] == {"field": "audioDays"}


def test_a_test_key_reads_and_does_not_change(acme):
    _, secret = api_key_create(
        tenant=acme.tenant, name="Sandbox", mode=ApiKey.Mode.TEST, scopes=ALL_SCOPES
    )
    assert get(acme, "/retention", secret).status_code == 200
    assert code(patch(acme, {"audioDays": 7}, secret)) == "INSUFFICIENT_SCOPE"


def test_the_command_shows_and_sets(acme):
    tenant_id = str(acme.tenant.pk)
    out = io.StringIO()
    call_command("retention", tenant_id, stdout=out)
    assert "transcript_days       180" in out.getvalue()
    call_command(
        "retention", tenant_id, "--audio-days", "5", "--transcript-days", "keep", stdout=out
    )
    assert get(acme, "/retention").json()["audioDays"] == 5
    assert get(acme, "/retention").json()["transcriptDays"] is None
    for odd in (["--audio-days", "0"], ["--audio-days", "soon"]):
        with pytest.raises(CommandError):
            call_command("retention", tenant_id, *odd, stdout=out)
    with pytest.raises(CommandError):
        call_command("retention", str(uuid.uuid4()), stdout=out)


def test_the_database_refuses_odd_days_too(acme):
    with pytest.raises(IntegrityError), tenant_scope(acme.tenant.pk):
        Tenant.objects.update(audio_days=0)


# --- audio ---------------------------------------------------------------------------------------


def test_old_audio_goes_and_the_rest_stays(acme, stranger, storage):
    old, young, theirs = old_call(acme, 31), old_call(acme, 29), old_call(stranger, 31)
    keep(acme, audio_days=30)
    keep(stranger)
    before = rows_of(acme)
    rounds()
    after = rows_of(acme)
    assert {name: before[name] - after[name] for name in before if before[name] != after[name]} == {
        "Recording": 1, "RecordingPart": 1,
    }  # fmt: skip
    assert not any(str(old.pk) in name for name in files_in(storage))
    assert sum(str(young.pk) in name for name in files_in(storage)) == 2
    assert sum(str(theirs.pk) in name for name in files_in(storage)) == 2
    shown = get(acme, f"/calls/{old.public_id}").json()
    assert (shown["audioUrl"], shown["audioUrlExpiresAt"]) == (None, None)
    assert len(shown["transcript"]) == 6
    assert get(acme, f"/calls/{young.public_id}").json()["audioUrl"]
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.get(pk=old.pk).audio_expired_at is not None
        assert Call.objects.get(pk=young.pk).audio_expired_at is None


def told_deleted(integrator: Integrator) -> list[dict]:
    with tenant_scope(integrator.tenant.pk):
        events = Event.objects.filter(type=RECORDING_DELETED).order_by("created_at")
        return [json.loads(bytes(event.body)) for event in events]


def listen_for_deletions(*integrators: Integrator) -> None:
    for integrator in integrators:
        url = "https://hooks.example.com/deleted"
        endpoint_create(tenant=integrator.tenant, url=url, event_types=[RECORDING_DELETED])


def test_who_asks_for_it_is_told_once_that_a_recording_went(acme, stranger, monkeypatch):
    old, theirs = old_call(acme, 31), old_call(stranger, 31)
    silent = old_call(acme, 31)  # nobody was ever recorded
    with tenant_scope(acme.tenant.pk):
        for model in (Recording, RecordingPart):
            model.objects.filter(call=silent).delete()
    listen_for_deletions(acme, stranger)
    keep(acme, audio_days=30)
    keep(stranger)
    with monkeypatch.context() as patch:  # killed between the telling and the commit
        patch.setattr(
            "calls.erasure.rounds.tell_recording_deleted", lambda *_: (_ for _ in ()).throw(OSError)
        )
        rounds()
    assert told_deleted(acme) == []
    for _ in range(2):
        with tenant_scope(acme.tenant.pk):
            RetentionRound.objects.update(lease_until=None, due_at=Now())
        rounds()
    (told,) = told_deleted(acme)
    assert told.items() >= {
        *(("event", "recording.deleted"), ("callId", old.public_id), ("source", "roleplay")),
        ("reason", "RETENTION"),
    }
    assert told.keys() - {"event", "callId", "source", "reason"} == {
        *("occurredAt", "requestId", "webhookId"),
    }
    assert told_deleted(stranger) == []
    delete(stranger, f"/calls/{theirs.public_id}")
    delete(acme, f"/calls/{old.public_id}")  # its recording went before
    assert [told["reason"] for told in told_deleted(stranger)] == ["CALL_ERASED"]
    assert len(told_deleted(acme)) == 1


def test_an_erased_reps_recordings_are_told_without_the_name(acme, stranger):
    calls = [full_call(acme, "rep Zoë"), full_call(acme, "rep Zoë"), full_call(acme, "another")]
    listen_for_deletions(acme, stranger)
    delete(acme, "/reps/rep%20Zo%C3%AB")
    drain(Erasure, kind="erase", handle=erasure_carry_out)
    delete(acme, "/reps/rep%20Zo%C3%AB")
    told = told_deleted(acme)
    assert {one["callId"] for one in told} == {call.public_id for call in calls[:2]}
    assert [one["reason"] for one in told] == ["REP_ERASED"] * 2
    written = json.dumps(told, ensure_ascii=False)
    assert "Zoë" not in written and "%C3%AB" not in written
    with tenant_scope(acme.tenant.pk):
        assert Delivery.objects.filter(event_type=RECORDING_DELETED, state="pending").count() == 2
        assert Event.objects.exclude(type=RECORDING_DELETED).count() == 1
    assert told_deleted(stranger) == []


def test_a_key_limited_to_agencies_has_it_told_too(acme):
    call = full_call(acme, agency="chicago")
    listen_for_deletions(acme)
    key = api_key_create(
        tenant=acme.tenant, name="chicago", scopes=ALL_SCOPES, agencies=[call.agency_id]
    )[1]
    assert delete(acme, f"/calls/{call.public_id}", key).status_code == 202
    (told,) = told_deleted(acme)
    assert (told["callId"], told["reason"]) == (call.public_id, "CALL_ERASED")


def test_a_call_that_is_worked_on_is_left_for_a_later_round(acme, storage):
    call = old_call(acme, 31, lease_token=uuid.uuid4(), lease_until=timezone.now() + timedelta(1))
    keep(acme, audio_days=30, transcript_days=30)
    files, rows = files_in(storage), rows_of(acme)
    rounds()
    assert (files_in(storage), rows_of(acme)) == (files, rows)
    with tenant_scope(acme.tenant.pk):
        Call.objects.filter(pk=call.pk).update(lease_until=Now() - timedelta(seconds=1))
        RetentionRound.objects.update(due_at=Now())
    rounds()
    assert files_in(storage) == []


def test_a_round_that_was_killed_is_done_again(acme, storage, monkeypatch):
    old_call(acme, 31)
    keep(acme, audio_days=30)
    with monkeypatch.context() as patch:
        patch.setattr("calls.erasure.rounds._lock", lambda *_: (_ for _ in ()).throw(MemoryError))
        rounds()
    with tenant_scope(acme.tenant.pk):
        assert Recording.objects.count() == 1 and not files_in(storage)
        RetentionRound.objects.update(lease_until=None)
    rounds()
    with tenant_scope(acme.tenant.pk):
        assert not Recording.objects.exists() and not RecordingPart.objects.exists()


# --- transcripts ---------------------------------------------------------------------------------


def test_an_old_transcript_goes_and_its_score_stays(acme, stranger):
    old, theirs = old_call(acme, 181), old_call(stranger, 181)
    before = get(acme, f"/calls/{old.public_id}").json()
    keep(acme, transcript_days=180)
    keep(stranger)
    rounds()
    answer = get(acme, f"/calls/{old.public_id}")
    shown = answer.json()
    assert answer.status_code == 200 and shown["transcript"] == [] and shown["audioUrl"]
    assert shown["score"]["summary"] == shown["score"]["feedback"] == ""
    for name in ("overallScore", "sections", "metrics", "hardFails", "coverage", "versions"):
        assert shown["score"][name] == before["score"][name]
    for now, then in zip(shown["score"]["criteria"], before["score"]["criteria"], strict=True):
        assert now["answer"] == then["answer"] and now["points"] == then["points"]
        assert now["evidence"].get("quote", "") == "" and now["reason"] == ""
        assert now["evidence"]["start"] == then["evidence"]["start"]
    assert "every plan" not in json.dumps(shown["score"]["criteria"][0]["evidence"])
    assert all(rows_of(acme)[name] == 0 for name in CONTENT)
    assert all(rows_of(acme)[name] == 1 for name in SOUND)
    assert get(stranger, f"/calls/{theirs.public_id}").json()["transcript"] != []
    row = get(acme, "/calls?from=2020-01-01").json()["data"]
    assert [call["id"] for call in row] == [old.public_id]


def test_the_dashboard_shows_what_is_left(acme):
    call = old_call(acme, 181)
    keep(acme, transcript_days=180, audio_days=180)
    client = manager_of(acme)
    assert '<button type="button" class="quote"' in client.get(f"/calls/{call.public_id}").text
    rounds()
    page = client.get(f"/calls/{call.public_id}")
    assert page.status_code == 200 and "82" in page.text
    assert "<q>" not in page.text and "<audio" not in page.text and "Transcript<" not in page.text


def test_quotes_of_the_persona_go_too(acme):
    call = old_call(acme, 200)
    with tenant_scope(acme.tenant.pk):
        card = Scorecard.objects.get(call=call)
        verdict = Verdict.objects.filter(scorecard=card).first()
        evidence = verdict.evidence | {"trigger": {"turn": 2, "quote": "I take warfarin."}}
        Verdict.objects.filter(pk=verdict.pk).update(evidence=evidence, reason="She said warfarin.")
    keep(acme, transcript_days=180)
    rounds()
    with tenant_scope(acme.tenant.pk):
        assert Verdict.objects.get(pk=verdict.pk).evidence["trigger"] == {"turn": 2, "quote": ""}
        assert "warfarin" not in str(list(Verdict.objects.values()))


# --- webhook payloads ----------------------------------------------------------------------------


def test_old_payloads_go_and_what_was_sent_stays_known(acme, stranger):
    old, young, theirs = old_call(acme, 31), old_call(acme, 5), old_call(stranger, 31)
    keep(acme, webhook_payload_days=30)
    keep(stranger)
    rounds()
    with tenant_scope(acme.tenant.pk):
        event = Event.objects.get(subject_id=old.pk)
        assert bytes(event.body) == b"" and event.body_expired_at is not None
        attempt = Attempt.objects.get(delivery__event=event)
        assert (attempt.response_body, attempt.request_headers, attempt.total_ms) == ("", {}, 3)
        assert Delivery.objects.get(event=event).state == "delivered"
        assert b"rep_8842" in bytes(Event.objects.get(subject_id=young.pk).body)
    with tenant_scope(stranger.tenant.pk):
        assert b"rep_8842" in bytes(Event.objects.get(subject_id=theirs.pk).body)


def test_a_payload_still_on_its_way_is_kept(acme):
    call = old_call(acme, 31)
    with tenant_scope(acme.tenant.pk):
        Delivery.objects.update(state="pending", due_at=Now() + timedelta(days=1), ended_at=None)
    keep(acme, webhook_payload_days=30)
    rounds()
    with tenant_scope(acme.tenant.pk):
        assert bytes(Event.objects.get(subject_id=call.pk).body) != b""


def test_the_log_of_what_was_sent_goes_after_90_days(acme, stranger):
    old, young, theirs = old_call(acme, 91), old_call(acme, 89), old_call(stranger, 91)
    keep(acme, webhook_payload_days=30)
    keep(stranger, webhook_payload_days=365)
    rounds()
    with tenant_scope(acme.tenant.pk):
        assert not Event.objects.filter(subject_id=old.pk).exists()
        assert Delivery.objects.get().event.subject_id == young.pk
        assert Attempt.objects.count() == 1
    with tenant_scope(stranger.tenant.pk):
        assert bytes(Event.objects.get(subject_id=theirs.pk).body) != b""


# --- the rounds ----------------------------------------------------------------------------------


def test_every_tenant_has_a_round_and_it_comes_again_in_an_hour(acme, stranger):
    rounds()
    for integrator in (acme, stranger):
        with tenant_scope(integrator.tenant.pk):
            row = RetentionRound.objects.get()
            assert timedelta(minutes=59) < row.due_at - timezone.now() <= timedelta(hours=1)
            assert row.lease_token is None and row.parked_at is None


def test_null_keeps_everything(acme, storage):
    old_call(acme, 3000)
    keep(acme)
    files, rows = files_in(storage), rows_of(acme)
    rounds()
    assert (files_in(storage), rows_of(acme)) == (files, rows)
    with tenant_scope(acme.tenant.pk):
        assert Turn.objects.exists()


def test_a_file_that_came_after_an_erasure_is_deleted(acme, storage):
    call = full_call(acme)
    delete(acme, f"/calls/{call.public_id}")
    drain(Erasure, kind="erase", handle=erasure_carry_out)
    late = storage / str(acme.tenant.pk) / str(call.pk) / "0001-rep-00009.ogg"
    late.parent.mkdir(parents=True)
    late.write_bytes(b"by a worker that woke up late and was killed at once")
    rounds()
    assert not late.parent.exists()
    assert default_storage.listdir("")[1] == []
