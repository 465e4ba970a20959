"""From an ended call to its transcript, recording, score and event, with the real engines."""

import io
import json

import av
import jiwer
import numpy as np
import pytest
from django.core.files.storage import default_storage

from calls.after_call.belief import plain
from calls.models import Call, HeardChunk, Recording, TranscriptLine
from calls.tasks import score_due, transcribe_due
from calls.tests.after_call import Channel, lines_of, live_call, silence, spoken
from calls.tests.making import make_integrator
from calls.tests.media import best_match
from scoring.models import Scorecard
from scoring.services import rubric_create
from scoring.tests.making import check_content, rubric_content
from tenants.isolation import CATALOGUE, tenant_scope
from tests.speech_process import models_folder
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
RUBRIC = rubric_content(
    check_content("greets", rule={"yes": {"say": ["my name is"]}}),
    check_content("asks", examples=["Which doctors do you see?"], rule={"yes": {"similar": 0.5}}),
)
CUT_IN = "I understand. Let me put your mind at ease about that."


@pytest.fixture(scope="module")
def voices(speech_socket):
    """Every line spoken once: (role, text) -> sound."""
    lines = [*SCRIPT, ("assistant", LONG_LINE), ("user", CUT_IN)]
    return {
        line: spoken(line[1], speech_socket, REP if line[0] == "user" else PERSONA)
        for line in lines
    }


@pytest.fixture
def engines(speech_socket, settings, tmp_path, bells):
    settings.SPEECH_URL = f"http+unix://{speech_socket}"
    settings.MODELS_DIR = models_folder()
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
    return conversation_make(voices, rubric="small")


def conversation_make(voices, **pack):
    call = live_call(hints=["Carol", "Doctor Patel"], **pack)
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
    stranger = make_integrator("Stranger")
    with tenant_scope(stranger.tenant.pk):
        assert not TranscriptLine.objects.exists() and not Recording.objects.exists()


# --- nobody spoke


def coloured(seconds, power, level, seed):
    """Noise whose spectrum falls with frequency to that power; `level` is its RMS."""
    rng = np.random.default_rng(seed)
    length = round(seconds * 48_000)
    spectrum = np.fft.rfft(rng.normal(size=length))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** power
    spectrum[0] = 0
    sound = np.fft.irfft(spectrum, length)
    return (sound / np.sqrt(np.mean(sound**2)) * level * 32768).clip(-32768, 32767).astype(np.int16)


def bursts(seconds, every, length, level, seed):
    """Short noises: keys, clicks, a chair, a breath."""
    sound = np.zeros(round(seconds * 48_000))
    rng = np.random.default_rng(seed)
    shape = np.hanning(round(length * 48_000))
    for at in np.arange(0.3, seconds - length - 1.0 - every / 3, every):
        begin = round((at + rng.uniform(0, every / 3)) * 48_000)
        sound[begin : begin + len(shape)] += shape * rng.normal(size=len(shape)) * level * 32768
    return sound.clip(-32768, 32767).astype(np.int16)


def tones(seconds, hertz, level):
    """A hum, a ring, hold music."""
    at = np.arange(round(seconds * 48_000)) / 48_000
    sound = sum(np.sin(2 * np.pi * f * at) for f in hertz) / len(hertz)
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 0.5 * at)
    return (sound * swell * level * 32768).astype(np.int16)


def no_speech_at_all():
    """Six minutes in which nobody speaks."""
    return np.concatenate(
        [
            silence(60),
            coloured(45, 0.0, 0.003, 1),
            coloured(45, 0.5, 0.02, 2),
            coloured(30, 0.5, 0.1, 3),
            coloured(30, 1.0, 0.05, 4),
            tones(30, [60, 120, 180], 0.1),
            tones(30, [262, 330, 392], 0.2),
            bursts(30, 0.25, 0.02, 0.3, 5),
            bursts(30, 2.0, 0.15, 0.3, 6),
            bursts(30, 4.0, 0.8, 0.05, 7),
        ]
    )


@pytest.mark.prove
def test_silence_and_noise_make_no_sentence(engines, bells):
    call = live_call(hints=["Carol Whitaker", "Eliquis", "Medicare Advantage"])
    sound = no_speech_at_all()
    seconds = len(sound) / 48_000
    assert seconds >= 300
    call.said("user", "Thank you for watching.", 130.0, 133.0)  # what the live call made of it
    call.record(rep=sound)
    call.end(seconds)
    transcribe_due()
    assert lines_of(call.now()) == []
    after = call.now()
    assert (after.stage, after.failure) == (Call.Stage.FAILED, Call.Failure.REP_NEVER_SPOKE)
    assert after.due_at is None
    assert told(after) == ("REP_NEVER_SPOKE", False)
    assert "score" not in bells
    with tenant_scope(after.tenant_id):
        assert Recording.objects.get().duration == pytest.approx(seconds, abs=0.05)


def told(call):
    """The one event of the call: reason and success."""
    with tenant_scope(call.tenant_id):
        body = json.loads(bytes(Event.objects.get().body))
    assert body["callId"] == call.public_id and body["externalUserId"] == call.external_user_id
    return body.get("reason"), body["success"]


def test_a_call_in_which_nothing_was_recorded_fails(engines):
    call = live_call()
    call.end(3.0)
    transcribe_due()
    assert call.now().failure == Call.Failure.REP_NEVER_SPOKE
    with tenant_scope(call.owned.tenant_id):
        assert not Recording.objects.exists()


# --- what a call may have gone through


def test_lost_parts_cost_their_words_and_nothing_else(engines, voices):
    """The rep's second line was recorded and its files are gone; the third was never recorded."""
    call = live_call()
    rep, persona, turns, seconds = hold_conversation(voices)
    lost, missing = turns[3], turns[5]
    for role, text, start, end in turns:
        call.said(role, text, start, end)
    call.record(rep=rep[: round(missing[2] * 48_000)], persona=persona[: round(seconds * 48_000)])
    call.end(seconds)
    with tenant_scope(call.owned.tenant_id):
        parts = call.now().recording_parts.filter(channel="rep")
        for part in parts.filter(offset__gt=lost[2] - 5, offset__lt=lost[3]):
            default_storage.delete(part.file.name)
    transcribe_due()
    lines = lines_of(call.now())
    assert [line.text for line in lines if line.role == "assistant"] == [
        text for role, text, *_ in turns if role == "assistant"
    ]
    rep_lines = [line for line in lines if line.role == "user"]
    assert "James" in rep_lines[0].text
    assert rep_lines[-1].text == missing[1]
    assert rep_lines[-1].start_time == pytest.approx(missing[2], abs=0.01)


def test_a_call_carried_by_two_workers_is_one_call(engines, voices):
    """The first worker was cut off in the persona's second line and never wrote that turn."""
    call = live_call()
    rep, persona, turns, seconds = hold_conversation(voices)
    over = round((turns[2][2] + 2.0) * 50) / 50
    at = round(over * 48_000)
    call.record(rep=rep[: at + 48_000], persona=persona[: at + 48_000])
    for role, text, start, end in turns[:2]:
        call.said(role, text, start, end)
    call.taken_over()
    until = round(seconds * 48_000)
    call.record(rep=rep[at:until], persona=persona[at:until], at=over)
    for role, text, start, end in turns[3:]:
        call.said(role, text, start, end)
    call.end(seconds)
    transcribe_due()
    lines = lines_of(call.now())
    assert [line.role for line in lines] == [role for role, *_ in turns]
    for line, (_, text, start, end) in zip(lines, turns, strict=True):
        assert wer(text, line.text) <= 0.35
        assert start - 0.4 <= line.start_time <= line.end_time <= end + 0.4


def test_a_speech_server_that_is_away_costs_a_wait(conversation, settings, speech_socket, bells):
    call = conversation[0]
    settings.SPEECH_URL = "http+unix:///nowhere.sock"
    transcribe_due()
    waiting = call.now()
    assert (waiting.stage, waiting.last_error) == (Call.Stage.ENDED, "SPEECH_UNAVAILABLE")
    assert waiting.failures == 1
    settings.SPEECH_URL = f"http+unix://{speech_socket}"
    change(call, lease_until=None)
    transcribe_due()
    assert call.now().stage == Call.Stage.TRANSCRIBED


def change(call, **values):
    with tenant_scope(call.owned.tenant_id):
        Call.objects.filter(pk=call.owned.id).update(**values)


@pytest.mark.parametrize("kind", ["transcribe", "score"])
def test_work_given_up_tells_the_customer_once(conversation, settings, kind, bells):
    call = conversation[0]
    stage = Call.Stage.ENDED
    if kind == "score":
        transcribe_due()
        stage = Call.Stage.TRANSCRIBED
    settings.SPEECH_URL = "http+unix:///nowhere.sock"
    change(call, failures=19)
    (transcribe_due if kind == "transcribe" else score_due)()
    parked = call.now()
    assert parked.parked_at is not None
    assert (parked.stage, parked.failure) == (stage, Call.Failure.SCORING_INCOMPLETE)
    assert told(parked) == ("SCORING_INCOMPLETE", False)


def test_a_call_unparked_is_scored_after_all(conversation, settings, speech_socket, bells):
    call = conversation[0]
    settings.SPEECH_URL = "http+unix:///nowhere.sock"
    change(call, failures=19)
    transcribe_due()
    settings.SPEECH_URL = f"http+unix://{speech_socket}"
    change(call, parked_at=None, failures=0)
    transcribe_due()
    score_due()
    assert (call.now().stage, call.now().failure) == (Call.Stage.SCORED, "")


def test_a_call_without_a_rubric_waits_for_a_person(engines, voices, bells):
    call = conversation_make(voices, rubric="none-such")[0]
    transcribe_due()
    score_due()
    assert call.now().last_error == "RUBRIC_MISSING"
    assert told(call.now()) == ("SCORING_INCOMPLETE", False)
