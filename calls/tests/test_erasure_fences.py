"""An erasure while somebody is in the middle of the call: whoever goes on later writes nothing."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from calls.erasure.carrying_out import erasure_carry_out
from calls.models import Call, ErasedCall, Erasure, LiveSlot, LiveWorker, Recording, SandboxCall
from calls.ports import Segment, Transcript, Word
from calls.sandbox.services import SandboxWish, sandbox_call_add
from calls.services import live
from calls.tasks import connect_due, score_due, transcribe_due
from calls.tests.after_call import LiveCall, live_call
from calls.tests.making import code, make_drill, make_integrator, make_worker, redeem
from calls.tests.making_calls import add_transcript, make_call
from calls.tests.test_erasure import delete, files_in, full_call, get, rows_of
from scoring.ports import Answer, Judgement
from scoring.services import rubric_create
from scoring.tests.making import check_content, rubric_content
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import ApiKey, Rep
from tenants.services import ALL_SCOPES, api_key_create
from webhooks.models import Delivery, Rehearsal
from webhooks.outcomes import Outcome
from webhooks.recording import attempt_record
from work.claims import LeaseLost, claim_batch
from work.drain import drain

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bells")]
SECONDS = 20  # any wait of these tests ends after that


@pytest.fixture(autouse=True)
def storage(tmp_path, settings) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "recordings")
    return tmp_path / "recordings"


def carry_out() -> None:
    drain(Erasure, kind="erase", handle=erasure_carry_out)


def settle(tenant_id: uuid.UUID) -> None:
    """As if the time was over in which a worker may still be in the middle.

    Also the pause after a first look that met a worker's half-made file in the folder.
    """
    past = Now() - timedelta(seconds=1)
    with tenant_scope(tenant_id):
        ErasedCall.objects.update(settles_at=past)
        Erasure.objects.filter(finished_at=None).update(due_at=past, lease_until=None)
    carry_out()


def eraser(call: LiveCall):
    """The call's integrator with a key that may erase."""
    with tenant_scope(call.owned.tenant_id):
        ApiKey.objects.update(scopes=list(ALL_SCOPES))
    return call.integrator


def nothing_left(integrator, storage: Path) -> bool:
    rows = rows_of(integrator)
    return not files_in(storage) and not any(n for name, n in rows.items() if name != "Rep")


# --- the live worker -----------------------------------------------------------------------------


def test_a_live_call_is_cut_off(storage):
    call = live_call()
    acme = eraser(call)
    call.said("user", "Hello Dolores", 0.0, 1.0)
    call.record(rep=np.full(48_000, 900, np.int16))
    answer = delete(acme, f"/calls/{call.owned.public_id}")
    assert answer.status_code == 202
    with pytest.raises(live.CallNotOurs):
        call.said("user", "what I say now stays nowhere", 1.0, 2.0)
    with pytest.raises(live.CallNotOurs):
        call.record(rep=np.full(48_000, 900, np.int16), at=5.0)
    with pytest.raises(live.CallNotOurs):
        call.taken_over()
    live.call_end(call=call.owned, reason="rep_ended", seconds=2.0)
    assert live.worker_beat(worker_id=call.worker_id, calls=[call.owned.id]) == set()
    assert not LiveSlot.objects.exclude(call_id=None).exists()
    carry_out()
    receipt = get(acme, f"/erasures/{answer.json()['erasureId']}").json()
    assert receipt["status"] == "pending", "a file may still be on its way"
    assert nothing_left(acme, storage)
    settle(acme.tenant.pk)
    receipt = get(acme, f"/erasures/{answer.json()['erasureId']}").json()
    assert receipt["status"] == "finished" and receipt["counts"]["turns"] == 1
    with tenant_scope(acme.tenant.pk):
        assert ErasedCall.objects.get().seconds == pytest.approx(3600, abs=60)


def test_a_part_that_a_late_worker_wrote_goes_with_its_second_look(storage, monkeypatch):
    """The worker is killed between its file and its row, after the erasure went by."""
    call = live_call()
    acme = eraser(call)
    delete(acme, f"/calls/{call.owned.public_id}")
    carry_out()
    late = storage / str(acme.tenant.pk) / str(call.owned.id) / "0001-rep-00003.ogg"
    late.parent.mkdir(parents=True)
    late.write_bytes(b"OggS")
    settle(acme.tenant.pk)
    assert nothing_left(acme, storage) and not late.parent.exists()


def test_a_call_that_nobody_joined_yet_can_be_erased(storage):
    make_drill()
    make_worker(slots=1)
    acme = make_integrator(scopes=ALL_SCOPES)
    call_id = redeem(acme.token()).json()["callId"]
    assert delete(acme, f"/calls/{call_id}").status_code == 202
    assert not LiveSlot.objects.exclude(call_id=None).exists()
    connect_due()
    settle(acme.tenant.pk)
    assert nothing_left(acme, storage)


# --- the workers after the call ------------------------------------------------------------------


class Stopped:
    """A place in the middle of somebody's work where it waits until it is told to go on."""

    def __init__(self) -> None:
        self._reached, self._go_on = threading.Event(), threading.Event()

    def here(self) -> None:
        self._reached.set()
        assert self._go_on.wait(SECONDS)

    @contextmanager
    def while_in_the_middle(self, work: Callable[[], None]) -> Iterator[None]:
        """Run the work up to that place, then the block, then the rest of the work."""

        def run() -> None:
            try:
                work()
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert self._reached.wait(SECONDS)
            yield
        finally:
            self._go_on.set()
            thread.join(SECONDS)
            assert not thread.is_alive()


class Loud:
    """A detector for which everything that is not silence is speech."""

    def probability(self, frame) -> float:
        return float(np.abs(frame).max() > 100)


class StoppedTranscriber:
    def __init__(self, stopped: Stopped) -> None:
        self._stopped = stopped

    async def full(self, pcm, *, hints=()) -> Transcript:
        self._stopped.here()
        words = (Word("canary", 0.1, 0.6, 0.99), Word("bird", 0.7, 1.0, 0.99))
        segment = Segment("canary bird", 0.1, 1.0, -0.1, 0.01)
        return Transcript("canary bird", words, -0.1, (segment,))


def ended_call() -> LiveCall:
    call = live_call()
    tone = (8000 * np.sin(np.arange(4 * 48_000) / 20)).astype(np.int16)
    call.record(rep=tone, persona=tone // 3)
    call.said("assistant", "Hello, who is this?", 0.0, 2.0)
    call.end(4.0)
    return call


@pytest.fixture
def transcribing(monkeypatch) -> Stopped:
    stopped = Stopped()

    @asynccontextmanager
    async def transcriber():
        yield StoppedTranscriber(stopped)

    monkeypatch.setattr("calls.after_call.engines.speech_detector", Loud)
    monkeypatch.setattr("calls.after_call.engines.full_transcriber", transcriber)
    return stopped


def test_the_fakes_make_a_transcript(transcribing):
    """Otherwise the next test proves nothing."""
    call = ended_call()
    with transcribing.while_in_the_middle(transcribe_due):
        pass
    with tenant_scope(call.owned.tenant_id):
        assert call.now().stage == Call.Stage.TRANSCRIBED
        lines = call.now().transcript_lines.all()
        assert "canary bird" in " ".join(line.text for line in lines)
        assert Recording.objects.count() == 1


def test_a_transcription_that_goes_on_after_the_erasure_keeps_nothing(transcribing, storage):
    call = ended_call()
    acme = eraser(call)
    with transcribing.while_in_the_middle(transcribe_due):
        answer = delete(acme, f"/calls/{call.owned.public_id}")
        carry_out()
        assert answer.status_code == 202
    assert nothing_left(acme, storage)
    settle(acme.tenant.pk)
    assert nothing_left(acme, storage)
    receipt = get(acme, f"/erasures/{answer.json()['erasureId']}").json()
    assert receipt["status"] == "finished"
    transcribe_due()
    score_due()
    assert nothing_left(acme, storage)


class StoppedJudge:
    name = version = model = "stopped"

    def __init__(self, stopped: Stopped) -> None:
        self._stopped = stopped

    async def judge(self, transcript, rubric):
        self._stopped.here()
        return {"greets": Judgement(Answer.YES, quote="Hi Dolores", line=1)}


@pytest.mark.parametrize("erased", [False, True])
def test_a_scoring_that_goes_on_after_the_erasure_keeps_nothing(monkeypatch, storage, erased):
    stopped = Stopped()
    monkeypatch.setattr("calls.after_call.engines.judge", lambda: StoppedJudge(stopped))
    make_drill()
    acme = make_integrator(scopes=ALL_SCOPES)
    with tenant_scope(CATALOGUE):
        content = rubric_content(check_content("greets", examples=["Hello"]))
        rubric_create(tenant_id=CATALOGUE, content=content | {"key": "ma-full-sale"})
    call = make_call(acme.tenant, stage="transcribed", due_at=Now(), scored_at=None)
    add_transcript(call)
    with stopped.while_in_the_middle(score_due):
        if erased:
            delete(acme, f"/calls/{call.public_id}")
            carry_out()
    assert nothing_left(acme, storage) is erased
    assert rows_of(acme)["Scorecard"] == rows_of(acme)["Event"] == (0 if erased else 1)


def test_an_attempt_in_flight_is_not_written_down(storage):
    make_drill()
    acme = make_integrator(scopes=ALL_SCOPES)
    call = full_call(acme)
    (claim,) = claim_batch(Delivery, kind="deliver", size=5)
    delete(acme, f"/calls/{call.public_id}")
    carry_out()
    outcome = Outcome(started_at=call.ended_at, total_ms=5, status=200, response_body="canary")
    with pytest.raises(LeaseLost):
        attempt_record(claim=claim, outcome=outcome, chance=0.5)
    assert claim_batch(Delivery, kind="deliver", size=5) == []
    assert nothing_left(acme, storage)


# --- many at once --------------------------------------------------------------------------------


def pending(integrator, answer) -> bool:
    receipt = get(integrator, f"/erasures/{answer.json()['erasureId']}").json()
    return receipt["status"] == "pending"


@pytest.mark.slow
def test_a_hundred_calls_are_erased_while_others_are_written(storage):
    make_drill()
    acme, stranger = (make_integrator(name, scopes=ALL_SCOPES) for name in ("Acme", "Stranger"))
    for _ in range(100):
        full_call(acme, "rep_leaving")
    stop, written, problems = threading.Event(), [], []

    def write() -> None:
        try:
            while not stop.is_set():
                written.append(full_call(acme, f"rep_staying_{len(written) % 3}"))
                full_call(stranger, "rep_leaving")
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        began = time.monotonic()
        answer = delete(acme, "/reps/rep_leaving")
        while pending(acme, answer) and time.monotonic() < began + 180:
            carry_out()  # turn by turn
            time.sleep(0.1)
        seconds = time.monotonic() - began
    finally:
        stop.set()
        writer.join(SECONDS)
    assert problems == [] and not writer.is_alive()
    receipt = get(acme, f"/erasures/{answer.json()['erasureId']}").json()
    assert (receipt["status"], receipt["counts"]["calls"]) == ("finished", 100)
    assert receipt["counts"]["files"] == 300
    rows = rows_of(acme)
    assert rows["Call"] == len(written) and rows["TranscriptLine"] == 6 * len(written)
    assert rows_of(stranger)["Call"] > 0
    assert len(files_in(storage)) == 3 * (rows["Call"] + rows_of(stranger)["Call"])
    print(f"\n100 calls erased in {seconds:.1f} s while {2 * len(written)} others were written")


def test_a_rep_erased_while_a_call_is_begun_is_made_anew(monkeypatch):
    make_drill()
    make_worker()
    acme = make_integrator(scopes=ALL_SCOPES)
    make_call(acme.tenant, user="rep_8842")
    insert, times = QuerySet.bulk_create, []

    def insert_and_be_late(rows, objects, *args, **options):
        made = insert(rows, objects, *args, **options)
        if rows.model is Rep and not times:  # it was there; now it is gone
            times.append(1)
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM calls_call; DELETE FROM tenants_rep")
        return made

    monkeypatch.setattr(QuerySet, "bulk_create", insert_and_be_late)
    assert redeem(acme.token("rep_8842")).status_code == 200
    with tenant_scope(acme.tenant.pk):
        assert times and Rep.objects.get().external_id == "rep_8842"


@pytest.mark.slow
def test_a_rep_who_starts_calls_meanwhile_is_erased_without_a_fault(storage):
    make_drill()
    acme = make_integrator(scopes=ALL_SCOPES)
    make_worker(slots=200)
    LiveWorker.objects.update(heartbeat_at=Now() + timedelta(hours=1))  # it beats all the time
    answers, stop = [], threading.Event()

    def start_calls() -> None:
        try:
            while not stop.is_set() and len(answers) < 100:
                token = acme.post("/session", {"externalUserId": "rep_8842"}).json()["token"]
                answers.append(redeem(token))
        finally:
            connection.close()

    callers = [threading.Thread(target=start_calls) for _ in range(3)]
    for caller in callers:
        caller.start()
    receipts = set()
    try:
        while len(answers) < 40:
            answer = delete(acme, "/reps/rep_8842")
            if answer.status_code == 202:
                receipts.add(answer.json()["erasureId"])
            carry_out()
    finally:
        stop.set()
        for caller in callers:
            caller.join(SECONDS)
    assert {answer.status_code for answer in answers} <= {200, 401}, [
        answer.content for answer in answers if answer.status_code not in (200, 401)
    ]
    assert {code(a) for a in answers if a.status_code == 401} <= {"INVALID_TOKEN"}
    delete(acme, "/reps/rep_8842")
    settle(acme.tenant.pk)
    assert not any(rows_of(acme).values())
    assert receipts


def test_the_database_itself_refuses_rows_of_an_erased_call(storage):
    """The last line: whatever code forgets to ask, a foreign key does not."""
    make_drill()
    acme = make_integrator(scopes=ALL_SCOPES)
    call = full_call(acme)
    delete(acme, f"/calls/{call.public_id}")
    settings = connection.get_connection_params()
    with psycopg.connect(**{k: settings[k] for k in ("host", "port", "user", "dbname", "password")
                            if settings.get(k)}) as app:  # fmt: skip
        app.execute("SELECT set_config('app.tenant_id', %s, false)", [str(acme.tenant.pk)])
        app.execute(
            "INSERT INTO calls_turn (id, tenant_id, call_id, number, role, text, start_time,"
            " end_time, interrupted, words, latency, director, epoch, created_at)"
            " VALUES (gen_random_uuid(), %s, %s, 9, 'user', 'canary', 0, 1, false, '[]', '{}',"
            " '{}', 1, now())",
            [acme.tenant.pk, call.pk],
        )
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            app.commit()


def test_an_erasure_and_the_maker_of_a_sandbox_call_do_not_wait_for_each_other(storage):
    """The maker has locked what it makes, and locks the call while the erasure waits."""
    acme, drill = make_integrator("Acme", scopes=ALL_SCOPES), make_drill()
    _, secret = api_key_create(
        tenant=acme.tenant, name="Test", mode=ApiKey.Mode.TEST, scopes=list(ALL_SCOPES)
    )
    wish = SandboxWish(
        drill_key=drill.key,
        difficulty=Call.Difficulty.ADVANCED,
        external_user_id="rep_8842",
        external_agency_id=None,
        script="no-show",
        rep_lines=(),
        webhook=Rehearsal.NORMAL,
        webhook_delay=0,
    )
    with tenant_scope(acme.tenant.pk):
        call = sandbox_call_add(tenant=acme.tenant, drill=drill, wish=wish)
    answers = []

    def erase() -> None:
        answers.append(delete(acme, f"/calls/{call.public_id}", secret))
        connection.close()

    erasing = threading.Thread(target=erase)
    with tenant_scope(acme.tenant.pk):
        SandboxCall.objects.select_for_update().get(call=call)
        erasing.start()
        until = time.monotonic() + SECONDS
        while not waiting_for_a_lock():
            assert time.monotonic() < until
            time.sleep(0.02)
        assert Call.objects.select_for_update().get(pk=call.pk).pk == call.pk
    erasing.join(SECONDS)
    assert [answer.status_code for answer in answers] == [202]


def waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0] > 0
