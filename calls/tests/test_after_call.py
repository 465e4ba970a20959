"""From an ended call to its transcript, recording, score and event, with the real engines."""

import io

import av
import jiwer
import numpy as np
import pytest
from django.core.files.storage import default_storage

from calls.after_call.belief import plain
from calls.models import Call, HeardChunk, Recording, TranscriptLine
from calls.tasks import score_due, transcribe_due
from calls.tests import after_call
from calls.tests.after_call import Channel, lines_of, live_call, speech_server, spoken
from calls.tests.media import best_match
from scoring.models import Scorecard
from scoring.services import rubric_create
from scoring.tests.making import check_content, rubric_content
from tenants.isolation import CATALOGUE, tenant_scope
from webhooks.models import Event

pytestmark = [pytest.mark.models, pytest.mark.django_db(transaction=True)]

REP, PERSONA = "am_adam", "af_bella"
SCRIPT = [
    ("assistant", "Hello, this is Carol."),
    ("user", "Good morning Carol, my name is James and I am calling about the card you sent us."),
    ("assistant", "Oh yes, I remember that card. I sent it back last week."),
    ("user", "Great. Which doctors do you see, and how important are they to you?"),
    ("assistant", "I see Doctor Patel. I would never want to lose her."),
    ("user", "That makes sense. She is in the network, so you can keep seeing her as before."),
]
LONG_LINE = (
    "Well, I have to say that my neighbor changed her plan last year, "
    "and then her doctor was not covered any more, and she was very unhappy about all of that."
)
RUBRIC = rubric_content(check_content("greets", rule={"yes": {"say": ["my name is"]}}))
CUT_IN = "I understand. Let me put your mind at ease about that."


@pytest.fixture(scope="module")
def socket(tmp_path_factory):
    with speech_server(tmp_path_factory.mktemp("speech")) as path:
        yield path


@pytest.fixture(scope="module")
def voices(socket):
    """Every line spoken once: (role, text) -> sound."""
    lines = [*SCRIPT, ("assistant", LONG_LINE), ("user", CUT_IN)]
    return {line: spoken(line[1], socket, REP if line[0] == "user" else PERSONA) for line in lines}


@pytest.fixture
def engines(socket, settings, tmp_path, bells):
    settings.SPEECH_URL = f"http+unix://{socket}"
    settings.MODELS_DIR = after_call.MODELS
    settings.MEDIA_ROOT = str(tmp_path / "recordings")
    with tenant_scope(CATALOGUE):
        rubric_create(tenant_id=CATALOGUE, content=RUBRIC)


def hold_conversation(voices, script=SCRIPT):
    """Both channels and the turns of a polite conversation, half a second between turns."""
    rep, persona = Channel(60), Channel(60)
    at, turns = 0.5, []
    for role, text in script:
        channel = rep if role == "user" else persona
        end = channel.lay(at, voices[role, text])
        turns.append((role, text, at, end))
        at = end + 0.5
    return rep.sound, persona.sound, turns, at


@pytest.fixture
def conversation(engines, voices):
    call = live_call(hints=["Carol", "Doctor Patel"], rubric="small")
    rep, persona, turns, seconds = hold_conversation(voices)
    for role, text, start, end in turns:
        latency = {"total": 500.0} if role == "assistant" else {}
        # what the live recogniser believed stands in the turn, and must not matter
        call.said(role, text if role == "assistant" else "blah", start, end, latency=latency)
    length = round(seconds * 48_000)
    call.record(rep=rep[:length], persona=persona[:length])
    call.end(seconds)
    return call, rep, persona, turns, seconds


def wer(said: str, heard: str) -> float:
    return jiwer.wer(plain(said), plain(heard))


def test_a_call_becomes_a_transcript_and_a_stereo_file(conversation, bells):
    call, rep, persona, turns, seconds = conversation
    transcribe_due()
    assert call.now().stage == Call.Stage.TRANSCRIBED
    assert bells == ["transcribe", "score"]
    lines = lines_of(call.now())
    assert [line.role for line in lines] == [role for role, *_ in turns]
    for line, (role, text, start, end) in zip(lines, turns, strict=True):
        if role == "assistant":
            assert line.text == text
        assert start - 0.3 <= line.start_time <= line.end_time <= end + 0.3
        times = [word["s"] for word in line.words] + [word["e"] for word in line.words]
        assert line.start_time <= min(times) and max(times) <= line.end_time
        assert [word["s"] for word in line.words] == sorted(word["s"] for word in line.words)
    said = " ".join(text for role, text, *_ in turns if role == "user")
    heard = " ".join(line.text for line in lines if line.role == "user")
    print(f"\nWER {wer(said, heard):.3f}: {heard}")
    assert wer(said, heard) <= 0.15
    assert [line.lag for line in lines if line.role == "assistant"] == [0.5] * 3
    with tenant_scope(call.owned.tenant_id):
        assert not HeardChunk.objects.exists()
        recording = Recording.objects.get()
    check_stereo(recording, rep, persona, turns, seconds)


def check_stereo(recording, rep, persona, turns, seconds):
    with default_storage.open(recording.file.name) as file:
        data = file.read()
    assert len(data) == recording.size == pytest.approx(8000 * seconds, abs=400)
    assert recording.duration == pytest.approx(seconds, abs=0.05)
    decoded = av.open(io.BytesIO(data), format="mp3").decode(audio=0)
    sound = np.concatenate([frame.to_ndarray() for frame in decoded], axis=1)
    assert sound.shape == (2, round(recording.duration * 24_000))
    for role, _, start, _ in turns:
        side = sound[0 if role == "user" else 1]
        source = (rep if role == "user" else persona)[::2]
        begin = round(start * 24_000)
        clip = source[begin : begin + 36_000].astype(float)
        window = side[max(0, begin - 4800) : begin + 36_000 + 4800]
        place, likeness = best_match(clip, window)
        moved = (place - min(begin, 4800)) / 24_000
        assert likeness > 0.8 and abs(moved) < 0.02
        silent_side = sound[1 if role == "user" else 0][begin : begin + 36_000]
        assert np.abs(silent_side).max() < 0.02


def test_a_transcript_becomes_a_score_and_one_event(conversation, bells):
    call = conversation[0]
    transcribe_due()
    score_due()
    after = call.now()
    assert (after.stage, after.failure) == (Call.Stage.SCORED, "")
    assert after.scored_at is not None and after.due_at is None
    transcribe_due()
    score_due()
    with tenant_scope(after.tenant_id):
        assert Scorecard.objects.get().call_id == after.pk
        body = bytes(Event.objects.get().body)
    assert b'"success":true' in body and after.public_id.encode() in body
    assert b"Carol" not in body


def test_an_interrupted_line_ends_where_it_was_cut(engines, voices):
    call = live_call()
    rep, persona = Channel(20), Channel(20)
    whole = voices["assistant", LONG_LINE]
    cut = round(3.0 * 48_000)
    persona.lay(1.0, whole[:cut])
    end = rep.lay(3.6, voices["user", CUT_IN])
    heard = "Well, I have to say that my neighbor changed her plan"
    call.said("assistant", heard, 1.0, 4.0, interrupted=True)
    call.said("user", "x", 3.6, end)
    call.record(rep=rep.sound, persona=persona.sound)
    call.end(20.0)
    transcribe_due()
    first, second = lines_of(call.now())
    assert (first.role, first.text, first.interrupted) == ("assistant", heard, True)
    assert first.end_time <= 4.01
    assert second.role == "user" and wer(CUT_IN, second.text) <= 0.2
    assert second.start_time < first.end_time


def test_a_stranger_sees_neither_transcript_nor_recording(conversation, bells):
    transcribe_due()
    stranger = after_call.make_integrator("Stranger")
    with tenant_scope(stranger.tenant.pk):
        assert not TranscriptLine.objects.exists() and not Recording.objects.exists()
