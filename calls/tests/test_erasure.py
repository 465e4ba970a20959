"""What is left of a call and of a rep once they are erased: minutes, and a receipt."""

import io
import json
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client

from calls.erasure.carrying_out import erasure_carry_out
from calls.erasure.stores import ERASED
from calls.models import (
    Call,
    Comment,
    Dispute,
    ErasedCall,
    Erasure,
    HeardChunk,
    Recording,
    RecordingPart,
    Rescoring,
    SessionToken,
    TranscriptLine,
    Turn,
)
from calls.selectors import minutes_used
from calls.tests.making import API, Integrator, code, make_drill, make_integrator
from calls.tests.making_calls import add_recording, add_scorecard, add_transcript, make_call
from scoring.models import Override, Scorecard, Verdict
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, AuditEvent, Rep
from tenants.services import ALL_SCOPES, api_key_create
from webhooks.models import Attempt, Delivery, Endpoint, Event
from webhooks.services import endpoint_create, event_publish
from work.claims import claims
from work.drain import drain

pytestmark = pytest.mark.django_db


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


def full_call(integrator: Integrator, user: str = "rep_8842", **fields) -> Call:
    """A scored call with something of it in every place."""
    tenant = integrator.tenant
    call = make_call(tenant, user=user, **fields)
    add_transcript(call)
    add_recording(call, content=b"the whole recording")
    add_scorecard(call)
    folder = f"{tenant.pk}/{call.pk}"
    with tenant_scope(tenant.pk):
        if not Endpoint.objects.exists():
            endpoint_create(tenant=tenant, url="https://hooks.example.com/athos")
        mine = {"tenant_id": tenant.pk, "call": call}
        Turn.objects.create(
            **mine, number=1, role="user", text="Hi Dolores", start_time=0, end_time=1, epoch=1
        )
        part = default_storage.save(f"{folder}/0001-rep-00000.ogg", ContentFile(b"a part"))
        RecordingPart.objects.create(
            **mine, channel="rep", epoch=1, number=0, offset=0, duration=5, file=part, size=6
        )
        HeardChunk.objects.create(**mine, number=0, start=0, end=5)
        Comment.objects.create(**mine, line_number=1, text="Listen.", author_id=uuid.uuid4())
        said = {"check_key": "greets", "text": "I did.", "reply": "No.", "replied_at": Now()}
        Dispute.objects.create(**mine, scorecard_version=1, **said)
        actor = f"user:{uuid.uuid4()}"
        Rescoring.objects.create(**mine, actor=actor, requested_at=Now())
        card = Scorecard.objects.get(call=call)
        as_it_was = {
            name: getattr(card, name)
            for name in ("overall", "earned", "possible", "coverage", "sections", "hard_fails")
        }
        Override.objects.create(
            tenant_id=tenant.pk, scorecard=card, number=1, actor=actor, **as_it_was
        )
        SessionToken.objects.create(
            **mine,
            api_key=integrator.key,
            mode=call.mode,
            external_user_id=user,
            external_agency_id=call.external_agency_id,
            issued_at=Now(),
            expires_at=Now(),
        )
        event = event_publish(
            tenant_id=tenant.pk,
            type="call.scored",
            subject_id=call.pk,
            body={"success": True, "callId": call.public_id, "externalUserId": user},
        )
        Attempt.objects.create(
            tenant_id=tenant.pk,
            delivery=event.deliveries.first(),
            number=1,
            started_at=Now(),
            total_ms=3,
            response_body=f"thanks for {user}",
        )
    default_storage.save(f"{folder}/call-half-made.mp3", ContentFile(b"half of it"))
    return call


def delete(integrator: Integrator, path: str, secret: str = ""):
    headers = {"Authorization": f"Bearer {secret or integrator.secret}"}
    return Client().delete(API + path, headers=headers)


def get(integrator: Integrator, path: str, secret: str = ""):
    headers = {"Authorization": f"Bearer {secret or integrator.secret}"}
    return Client().get(API + path, headers=headers)


def carry_out() -> None:
    drain(Erasure, kind="erase", handle=erasure_carry_out)


def receipt(integrator: Integrator, answer) -> dict:
    assert answer.status_code == 202, answer.content
    found = get(integrator, f"/erasures/{answer.json()['erasureId']}")
    assert found.status_code == 200, found.content
    return found.json()


CONTENT = [
    *(Turn, TranscriptLine, HeardChunk, Recording, RecordingPart, SessionToken),
    *(Scorecard, Verdict, Event, Delivery, Attempt),
]


def rows_of(integrator: Integrator) -> dict[str, int]:
    with tenant_scope(integrator.tenant.pk):
        return {model.__name__: model.objects.count() for model in (Call, Rep, *CONTENT)}


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- one call ------------------------------------------------------------------------------------


def test_an_erased_call_is_gone_from_every_store(acme, storage):
    call = full_call(acme)
    answer = delete(acme, f"/calls/{call.public_id}")
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{API}/erasures/{answer.json()['erasureId']}"
    assert answer.json()["status"] == "pending" and answer.json()["signature"] is None
    assert code(get(acme, f"/calls/{call.public_id}")) == "CALL_NOT_FOUND"
    assert code(get(acme, f"/calls/{call.public_id}/status")) == "CALL_NOT_FOUND"
    carry_out()
    assert not any(number for name, number in rows_of(acme).items() if name != "Rep")
    assert files_in(storage) == []
    assert not (storage / str(acme.tenant.pk) / str(call.pk)).exists()
    done = receipt(acme, answer)
    assert done["status"] == "finished" and done["finishedAt"] and len(done["signature"]) == 64
    assert done["counts"] == {
        "calls": 1, "comments": 1, "disputes": 1, "files": 3, "heardChunks": 1, "overrides": 1,
        "recordingParts": 1, "recordings": 1, "rescorings": 1, "scorecards": 1,
        "sessionTokens": 1, "transcriptLines": 6,
        "transcriptWords": 1, "turns": 1, "verdicts": 3,
        "webhookAttempts": 1, "webhookDeliveries": 1, "webhookEvents": 1,
    }  # fmt: skip
    assert set(done["counts"]) <= {*ERASED.values(), "files"}


def test_erasing_twice_gives_the_same_receipt(acme):
    call = full_call(acme)
    first = delete(acme, f"/calls/{call.public_id}").json()["erasureId"]
    assert delete(acme, f"/calls/{call.public_id}").json()["erasureId"] == first
    carry_out()
    again = delete(acme, f"/calls/{call.public_id}")
    assert (again.status_code, again.json()["erasureId"]) == (202, first)
    assert again.json()["status"] == "finished"
    with tenant_scope(acme.tenant.pk):
        assert Erasure.objects.count() == 1
        assert AuditEvent.objects.filter(action="call.erase").count() == 1


def test_a_stranger_neither_erases_nor_sees_the_receipt(acme, stranger):
    call = full_call(acme)
    before = rows_of(acme)
    assert code(delete(stranger, f"/calls/{call.public_id}")) == "CALL_NOT_FOUND"
    assert code(delete(stranger, "/reps/rep_8842")) == "REP_NOT_FOUND"
    assert rows_of(acme) == before
    done = delete(acme, f"/calls/{call.public_id}").json()
    assert code(get(stranger, f"/erasures/{done['erasureId']}")) == "ERASURE_NOT_FOUND"
    assert code(delete(stranger, f"/calls/{call.public_id}")) == "CALL_NOT_FOUND"


def test_neighbours_are_left_alone(acme, stranger, storage):
    full_call(acme, "rep_2")
    full_call(stranger)
    before, theirs, files = rows_of(acme), rows_of(stranger), files_in(storage)
    call = full_call(acme)
    delete(acme, f"/calls/{call.public_id}")
    carry_out()
    assert rows_of(acme) == before | {"Rep": 2}
    assert (rows_of(stranger), files_in(storage)) == (theirs, files)


def test_usage_still_counts_erased_calls(acme, stranger):
    full_call(acme, seconds=180, agency="chicago")
    make_call(acme.tenant, seconds=60, stage="failed", failure="rep_never_spoke", scored_at=None)
    used = get(acme, "/usage?by=agency").json()
    spent = minutes(acme)
    assert spent == pytest.approx(4.0) and len(used["agencies"]) == 2
    delete(acme, "/reps/rep_8842")
    carry_out()
    assert minutes(acme) == pytest.approx(spent)
    assert get(acme, "/usage?by=agency").json() == used
    assert minutes(stranger) == 0
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.count() == 0
        for left in ErasedCall.objects.all():
            assert left.month.day == 1 and left.files == []


def minutes(integrator: Integrator) -> float:
    with tenant_scope(integrator.tenant.pk):
        return minutes_used(tenant=integrator.tenant)


@pytest.mark.parametrize("call_id", ["athos_call_000000000000000000000", "nonsense", "x" * 300])
def test_a_call_that_never_was_is_not_found(acme, call_id):
    assert code(delete(acme, f"/calls/{call_id}")) == "CALL_NOT_FOUND"


def test_the_scope_is_needed(acme):
    call = make_call(acme.tenant)
    _, reader = api_key_create(tenant=acme.tenant, name="Reader")
    for answer in (
        delete(acme, f"/calls/{call.public_id}", reader),
        delete(acme, "/reps/rep_8842", reader),
        get(acme, "/erasures/era_000000000000000000000", reader),
        get(acme, "/retention", reader),
    ):
        assert (answer.status_code, code(answer)) == (403, "INSUFFICIENT_SCOPE")
    _, eraser = api_key_create(tenant=acme.tenant, name="Eraser", scopes=["data:erase"])
    assert delete(acme, f"/calls/{call.public_id}", eraser).status_code == 202
    assert code(get(acme, f"/calls/{call.public_id}", eraser)) == "INSUFFICIENT_SCOPE"


# --- one rep -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)  # long enough for its lease to be renewed
def test_a_rep_is_erased_with_all_calls_and_tokens(acme, stranger, storage):
    calls = [full_call(acme) for _ in range(23)]  # more than a batch
    full_call(stranger)
    theirs = rows_of(stranger)
    acme.token("rep_8842")
    with tenant_scope(acme.tenant.pk):
        Rep.objects.update(name="Sam Carter", email="sam@example.com")
    answer = delete(acme, "/reps/rep_8842")
    carry_out()
    done = receipt(acme, answer)
    assert (done["subject"], done["counts"]["calls"], done["counts"]["reps"]) == ("rep", 23, 1)
    assert done["counts"]["sessionTokens"] == 24
    assert not any(rows_of(acme).values())
    assert rows_of(stranger) == theirs
    assert not any(str(call.pk) in name for call in calls for name in files_in(storage))


def test_a_long_erasure_goes_on_in_turns(acme, storage, monkeypatch):
    for _ in range(3):
        full_call(acme)
    answer = delete(acme, "/reps/rep_8842")
    monkeypatch.setattr("calls.erasure.carrying_out.BATCH", 1)
    monkeypatch.setattr("calls.erasure.carrying_out.TURN_SECONDS", -1.0)
    turns = 0
    while receipt(acme, answer)["status"] == "pending":
        with tenant_scope(acme.tenant.pk):
            Erasure.objects.update(due_at=Now())
        carry_out()
        turns += 1
        assert turns < 20
    assert turns > 3 and files_in(storage) == []
    assert receipt(acme, answer)["counts"]["files"] == 9


def test_a_rep_who_comes_back_can_be_erased_again(acme):
    full_call(acme)
    first = delete(acme, "/reps/rep_8842").json()["erasureId"]
    assert delete(acme, "/reps/rep_8842").json()["erasureId"] == first
    carry_out()
    assert delete(acme, "/reps/rep_8842").json()["erasureId"] == first  # nothing new came
    full_call(acme)
    second = delete(acme, "/reps/rep_8842").json()["erasureId"]
    assert second != first
    carry_out()
    assert rows_of(acme)["Call"] == 0


@pytest.mark.parametrize("name", ["a/b c", "Zoë ☎", "x?y#z", "%2F", "a//b"])
def test_any_name_of_a_rep_can_be_erased(acme, name):
    make_call(acme.tenant, user=name)
    assert delete(acme, f"/reps/{quote(name, safe='')}").status_code == 202
    carry_out()
    assert rows_of(acme)["Rep"] == 0


def test_a_rep_nobody_knows_is_not_found(acme):
    assert code(delete(acme, "/reps/nobody")) == "REP_NOT_FOUND"
    assert code(delete(acme, "/reps/" + "x" * 201)) == "INVALID_REQUEST"
    assert code(delete(acme, "/reps/%00")) == "INVALID_REQUEST"


def test_a_live_key_erases_live_data_and_a_test_key_test_data(acme):
    _, test_key = api_key_create(
        tenant=acme.tenant, name="Sandbox", mode=ApiKey.Mode.TEST, scopes=ALL_SCOPES
    )
    live, test = full_call(acme), full_call(acme, mode="test")
    assert code(delete(acme, f"/calls/{test.public_id}")) == "CALL_NOT_FOUND"
    assert code(delete(acme, f"/calls/{live.public_id}", test_key)) == "CALL_NOT_FOUND"
    with tenant_scope(acme.tenant.pk):
        Rep.objects.update(name="Sam Carter")
    erased = delete(acme, "/reps/rep_8842", test_key).json()
    carry_out()
    with tenant_scope(acme.tenant.pk):
        assert [call.pk for call in Call.objects.all()] == [live.pk]
        assert Rep.objects.get().name == "Sam Carter"
    assert code(get(acme, f"/erasures/{erased['erasureId']}")) == "ERASURE_NOT_FOUND"
    assert minutes(acme) > 0


def test_a_key_limited_to_agencies_erases_theirs_only(acme):
    mine, other = full_call(acme, agency="chicago"), full_call(acme, agency="boston")
    _, limited = api_key_create(
        tenant=acme.tenant, name="Chicago", scopes=ALL_SCOPES, agencies=[mine.agency_id]
    )
    assert code(delete(acme, f"/calls/{other.public_id}", limited)) == "CALL_NOT_FOUND"
    answer = delete(acme, "/reps/rep_8842", limited)
    carry_out()
    with tenant_scope(acme.tenant.pk):
        assert [call.pk for call in Call.objects.all()] == [other.pk]
    assert get(acme, f"/erasures/{answer.json()['erasureId']}", limited).status_code == 200
    whole = delete(acme, f"/calls/{other.public_id}").json()["erasureId"]
    assert code(get(acme, f"/erasures/{whole}", limited)) == "ERASURE_NOT_FOUND"
    assert code(get(acme, "/retention", limited)) == "INSUFFICIENT_SCOPE"


# --- the receipt ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"counts": {"calls": 2}}, {"signature": "0" * 64}, {"finished_at": Now()}]
)
def test_a_receipt_that_was_changed_is_not_shown(acme, change):
    call = full_call(acme)
    erasure_id = delete(acme, f"/calls/{call.public_id}").json()["erasureId"]
    carry_out()
    with tenant_scope(acme.tenant.pk):
        assert Erasure.objects.update(**change) == 1
    answer = Client(raise_request_exception=False).get(
        f"{API}/erasures/{erasure_id}", headers={"Authorization": f"Bearer {acme.secret}"}
    )
    assert (answer.status_code, code(answer)) == (500, "INTERNAL_ERROR")


def test_the_receipt_and_the_audit_name_nobody(acme):
    call = full_call(acme, "rep_very_secret")
    delete(acme, "/reps/rep_very_secret")
    carry_out()
    with tenant_scope(acme.tenant.pk):
        erasure = Erasure.objects.get()
        assert erasure.sealed_subject == ""
        events = list(AuditEvent.objects.filter(action__in=["rep.erase", "erasure.finish"]))
        assert [event.target for event in events] == [f"erasure:{erasure.public_id}"] * 2
        said = f"{vars(erasure)} {[vars(event) for event in events]}"
    assert "rep_very_secret" not in said and call.public_id not in said


def test_a_killed_worker_loses_and_counts_nothing_twice(acme, storage, monkeypatch):
    for _ in range(3):
        full_call(acme)
    answer = delete(acme, "/reps/rep_8842")
    deleted = []

    def killed(names):
        names = list(names)
        deleted.extend(names)
        for name in names:
            default_storage.delete(name)
        if len(deleted) > 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("calls.erasure.carrying_out.files_delete", killed)
        with pytest.raises(KeyboardInterrupt):
            for claim in claims(Erasure, kind="erase"):
                erasure_carry_out(claim)
    with tenant_scope(acme.tenant.pk):
        Erasure.objects.update(lease_until=Now())
    carry_out()
    done = receipt(acme, answer)
    assert (done["status"], done["counts"]["files"], done["counts"]["calls"]) == ("finished", 9, 3)
    assert files_in(storage) == []


def test_erasures_wait_for_a_storage_that_is_away(acme, storage, monkeypatch):
    call = full_call(acme)
    answer = delete(acme, f"/calls/{call.public_id}")

    def away(name):
        raise PermissionError(name)

    with monkeypatch.context() as patch:
        patch.setattr(default_storage, "delete", away)
        carry_out()
    with tenant_scope(acme.tenant.pk):
        assert Erasure.objects.get().last_error == "STORAGE_UNAVAILABLE"
        Erasure.objects.update(lease_until=None)
    carry_out()
    assert receipt(acme, answer)["status"] == "finished"


# --- nobody writes back --------------------------------------------------------------------------


def test_an_unused_id_means_nothing(acme):
    assert code(get(acme, f"/erasures/{uuid.uuid4()}")) == "ERASURE_NOT_FOUND"


def test_a_kept_receipt_can_be_checked(acme, tmp_path):
    call = full_call(acme)
    answer = delete(acme, f"/calls/{call.public_id}")
    carry_out()
    kept, out = tmp_path / "receipt.json", io.StringIO()
    done = receipt(acme, answer)
    kept.write_text(json.dumps(done, indent=2))
    call_command("receipt_check", str(kept), stdout=out)
    assert "genuine" in out.getvalue()
    for changed in (done | {"counts": {}}, done | {"signature": "é"}, [], {"signature": None}):
        kept.write_text(json.dumps(changed))
        with pytest.raises(CommandError):
            call_command("receipt_check", str(kept), stdout=out)
