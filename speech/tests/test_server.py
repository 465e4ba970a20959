"""The real server with the real models, over its socket."""

import asyncio
import io
import socket
import stat
import subprocess
import sys
import tempfile
import time
import wave
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import jiwer
import numpy as np
import psutil
import pytest
from scipy.signal import resample_poly

from speech.__main__ import CannotServe, bound_socket
from tests.speech_process import models_folder

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

LINE = "We already have a vendor for that, and honestly it works fine for the team right now."
REASONS = (
    "our budget was cut in half this spring, so nothing new is coming in before October.",
    "the last tool we bought took six months to set up and nobody opened it again.",
    "my director wants to see numbers from somebody our size, not from a bank.",
    "security reviews take us about eight weeks, and that is when everything goes well.",
)
SECONDS = 150  # for one request on a busy machine


@pytest.fixture
async def server(speech_socket):
    """Shorthand for requests to the running server."""
    connector = aiohttp.UnixConnector(str(speech_socket))
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession("http://speech", connector=connector, timeout=timeout) as http:
        yield SimpleNamespace(http=http, speak=_speaker(http), transcribe=_transcriber(http))


def _speaker(http):
    async def speak(text: str, voice="heart", model="hibari", headers=None, **more) -> bytes:
        body = {"model": model, "voice": voice, "input": text, **more}
        async with http.post("/v1/audio/speech", json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            return await response.read()

    return speak


def _transcriber(http):
    async def transcribe(data: bytes, model="whisper-base-live", headers=None, **fields):
        form = aiohttp.FormData()
        form.add_field("file", data, filename=fields.pop("filename", "speech.wav"))
        form.add_field("model", model)
        form.add_field("response_format", "verbose_json")
        for name, value in fields.items():
            form.add_field(name, value)
        async with http.post("/v1/audio/transcriptions", data=form, headers=headers) as response:
            return SimpleNamespace(status=response.status, answer=await response.json())

    return transcribe


def heard(pcm24: bytes) -> bytes:
    """A voice's samples as the WAV that Whisper takes."""
    samples = np.frombuffer(pcm24, "<i2").astype(np.float64)
    return as_wav(resample_poly(samples, 2, 3).clip(-32768, 32767).astype("<i2").tobytes())


def as_wav(pcm: bytes, rate: int = 16_000) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return target.getvalue()


def silence(seconds: float) -> bytes:
    return as_wav(b"\0\0" * int(16_000 * seconds))


def word_errors(said: str, written: str) -> float:
    plain = jiwer.Compose(
        [
            jiwer.ToLowerCase(),
            jiwer.RemovePunctuation(),
            jiwer.Strip(),
            jiwer.ReduceToListOfListOfWords(),
        ]
    )
    return jiwer.wer(said, written, reference_transform=plain, hypothesis_transform=plain)


# --- words ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("model", "voice"), [("hibari", "heart"), ("kokoro", "am_michael")])
async def test_what_a_voice_says_is_heard_again(server, model, voice):
    wav = heard(await server.speak(LINE, model=model, voice=voice))
    live = await server.transcribe(wav)
    assert word_errors(LINE, live.answer["text"]) <= 0.15


async def test_the_full_path_brings_the_time_of_every_word(server):
    wav = heard(await server.speak(LINE))
    full = await server.transcribe(wav, model="whisper-base", headers={"X-Athos-Priority": "batch"})
    words = full.answer["words"]
    assert word_errors(LINE, full.answer["text"]) <= 0.15
    assert [word["word"] for word in words] == full.answer["text"].split()
    assert all(word["start"] <= word["end"] for word in words)
    assert all(one["start"] <= two["start"] for one, two in pairwise(words))
    assert words[-1]["end"] <= full.answer["duration"]


async def test_audio_of_two_blocks_keeps_its_time_line(server):
    spoken = np.frombuffer(heard(await server.speak(LINE))[44:], "<i2")
    long = np.zeros(16_000 * 150, "<i2")
    for at in (5, 130):
        long[at * 16_000 : at * 16_000 + len(spoken)] = spoken
    full = await server.transcribe(
        as_wav(long.tobytes()), model="whisper-base", headers={"X-Athos-Priority": "batch"}
    )
    starts = [word["start"] for word in full.answer["words"] if word["word"].lower() == "we"]
    assert starts == pytest.approx([5, 130], abs=0.6)


async def test_a_name_to_expect_is_spelled_as_given(server):
    wav = heard(await server.speak("Hi Dana, this is Alex from Pitchwise."))
    named = await server.transcribe(wav, prompt="Dana Whitfield, Alex, Pitchwise.")
    assert "Dana" in named.answer["text"]
    assert "Pitchwise" in named.answer["text"]


async def test_raw_samples_are_taken_too(server):
    wav = heard(await server.speak("Sure, go ahead."))
    raw = await server.transcribe(wav[44:], filename="speech.pcm")
    assert raw.answer["text"] == (await server.transcribe(wav)).answer["text"] != ""


@pytest.mark.parametrize("model", ["whisper-base-live", "whisper-base"])
async def test_nothing_is_heard_in_silence(server, model):
    found = await server.transcribe(silence(3.0), model=model)
    assert (found.status, found.answer["text"], found.answer["words"]) == (200, "", [])


@pytest.mark.parametrize("level", [0.002, 0.01, 0.05])
async def test_nothing_is_heard_in_noise(server, level):
    noise = np.random.default_rng(3).normal(0.0, level * 32768, 16_000 * 3)
    found = await server.transcribe(as_wav(noise.clip(-32768, 32767).astype("<i2").tobytes()))
    assert found.answer["text"] == ""


# --- voices -----------------------------------------------------------------------------------
async def test_the_first_clause_comes_before_the_last(server):
    body = {"model": "kokoro", "voice": "am_onyx", "input": f"Well, Alex, {LINE} {LINE}"}
    arrivals = []
    async with server.http.post("/v1/audio/speech", json=body) as response:
        assert response.headers["X-Sample-Rate"] == "24000"
        async for _ in response.content.iter_any():
            arrivals += [time.monotonic()]
    assert arrivals[-1] - arrivals[0] > 0.3


async def test_voices_sound_different_and_the_same_voice_the_same(server):
    async def sound(voice: str) -> np.ndarray:
        return np.frombuffer(await server.speak("Sure, go ahead.", voice, "kokoro"), "<i2")

    low, high, again = await sound("am_onyx"), await sound("af_heart"), await sound("am_onyx")
    assert np.array_equal(low, again)
    assert _pitch(low) < _pitch(high) - 30


def _pitch(samples: np.ndarray) -> float:
    """Median fundamental in Hz, by autocorrelation of the louder 40 ms pieces."""
    pieces = samples[: len(samples) // 960 * 960].reshape(-1, 960).astype(float)
    loud = pieces[np.std(pieces, axis=1) > np.std(samples)]
    found = []
    for piece in loud:
        likeness = np.correlate(piece, piece, "full")[959:]
        found.append(24_000 / (60 + np.argmax(likeness[60:400])))
    return float(np.median(found))


async def test_every_voice_speaks_at_once(server):
    async with server.http.get("/v1/models") as response:
        models = {model["id"]: model for model in (await response.json())["data"]}
    voices = models["kokoro"]["voices"]
    assert len(voices) == 28
    for voice in voices[::5]:
        samples = np.frombuffer(await server.speak("Yes.", voice, "kokoro"), "<i2")
        loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 0.1)
        assert loud[0] / 24_000 < 0.12, voice


async def test_a_wav_file_is_to_be_had_as_well(server):
    data = await server.speak("Sure, go ahead.", response_format="wav")
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels()) == (24_000, 1)
        assert file.getnframes() > 12_000


# --- vectors ----------------------------------------------------------------------------------
async def test_vectors_have_length_one_and_tell_meanings_apart(server):
    texts = ["What does it cost?", "How much is it?", "My dog sleeps all day."]
    body = {"model": "minilm", "input": texts}
    async with server.http.post("/v1/embeddings", json=body) as response:
        data = (await response.json())["data"]
    vectors = np.array([item["embedding"] for item in data])
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > 0.3 > vectors[0] @ vectors[2]


async def test_a_vector_does_not_depend_on_its_neighbours(server):
    async def first(*texts: str) -> list[float]:
        body = {"model": "minilm", "input": list(texts)}
        async with server.http.post("/v1/embeddings", json=body) as response:
            return (await response.json())["data"][0]["embedding"]

    assert await first("What does it cost?") == await first("What does it cost?", LINE, "No.")


# --- words --------------------------------------------------------------------------------------
async def complete(server, text: str) -> float:
    async with server.http.post("/v1/completeness", json={"text": text}) as response:
        assert response.status == 200
        return (await response.json())["complete"]


@pytest.mark.parametrize(
    ("open_", "closed"),
    [
        ("The plan I have in mind.", "The plan I have in mind is cheap."),
        ("So what I hear is that the price.", "So what I hear is that the price is too high."),
        ("What would happen?", "What would happen tomorrow?"),
        ("The difference between the two.", "The difference between the two is small."),
    ],
)
async def test_words_that_want_more_are_told_from_a_sentence(server, open_, closed):
    assert 0.0 <= await complete(server, open_) < 0.4 < await complete(server, closed) <= 1.0


async def test_the_marks_behind_the_words_do_not_count(server):
    bare = await complete(server, "The plan I have in mind")
    assert await complete(server, " The plan I have in mind...") == bare


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({"text": " "}, "invalid_request"),
        ({"text": "Hi.", "language": 1}, "invalid_request"),
        ({"text": "Hi.", "language": "xx"}, "language_unknown"),
        ({"text": "a " * 1001}, "text_too_long"),
    ],
)
async def test_odd_words_are_refused_with_a_code(server, body, code):
    async with server.http.post("/v1/completeness", json=body) as response:
        assert (await response.json())["error"]["code"] == code


# --- refusals ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "fields", "status", "code"),
    [
        (b"garbage", {}, 400, "audio_format"),
        (as_wav(b"\0\0" * 44_100, rate=44_100), {}, 400, "audio_format"),
        (silence(1), {"filename": "speech.mp3"}, 400, "audio_format"),
        (silence(29), {}, 413, "audio_too_long"),
        (silence(1), {"model": "whisper-huge"}, 404, "model_not_found"),
        (b"\x01\x10" * 16_000, {"filename": "a.pcm", "language": "tlh"}, 400, "language_unknown"),
        (silence(1), {"prompt": "a" * 1001}, 413, "text_too_long"),
        (silence(1), {"headers": {"X-Athos-Priority": "urgent"}}, 400, "invalid_request"),
        (silence(1), {"headers": {"X-Athos-Deadline-Ms": "-5"}}, 400, "invalid_request"),
    ],
)
async def test_odd_audio_is_refused_with_a_code(server, data, fields, status, code):
    refused = await server.transcribe(data, **fields)
    assert (refused.status, refused.answer["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"input": "a" * 1001}, 413, "text_too_long"),
        ({"input": " "}, 400, "invalid_request"),
        ({"speed": 9}, 400, "invalid_request"),
        ({"voice": "af_nobody"}, 400, "voice_not_found"),
        ({"model": "tts-9"}, 404, "model_not_found"),
        ({"response_format": "mp3"}, 400, "response_format"),
        ({"input": "Hi.", "padding": "a" * 300_000}, 413, "too_large"),
    ],
)
async def test_odd_texts_are_refused_with_a_code(server, body, status, code):
    sound = {"model": "kokoro", "voice": "af_heart", "input": "Hi."}
    async with server.http.post("/v1/audio/speech", json=sound | body) as response:
        refused = await response.json()
    assert (response.status, refused["error"]["code"]) == (status, code)


async def test_what_is_neither_a_form_nor_json_is_refused(server):
    paths = ("audio/transcriptions", "audio/speech", "embeddings", "completeness")
    for path in (f"/v1/{path}" for path in paths):
        async with server.http.post(path, data=b"{") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (
                400,
                "invalid_request",
            )


async def test_a_full_queue_refuses_at_once_and_serves_the_others(server):
    body = {"model": "kokoro", "voice": "am_onyx", "input": "Sure."}
    batch = {"X-Athos-Priority": "batch"}

    async def one() -> tuple[int, str]:
        async with server.http.post("/v1/audio/speech", json=body, headers=batch) as response:
            if response.status == 200:
                await response.read()
                return 200, ""
            return response.status, (await response.json())["error"]["code"]

    answers = await asyncio.gather(*(one() for _ in range(16)))
    assert answers.count((200, "")) >= 8
    assert answers.count((503, "overloaded")) >= 1
    assert len(set(answers)) == 2


async def test_late_work_is_refused(server):
    body = {"model": "kokoro", "voice": "am_onyx", "input": LINE}
    occupied = asyncio.create_task(server.speak(LINE, "am_onyx", "kokoro"))
    await asyncio.sleep(0.05)
    async with server.http.post(
        "/v1/audio/speech", json=body, headers={"X-Athos-Deadline-Ms": "20"}
    ) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (
            504,
            "deadline_exceeded",
        )
    await occupied


async def test_who_hangs_up_leaves_the_queue(server):
    """Eight batch jobs fill the queue; when they hang up there is room for another at once."""
    batch = {"X-Athos-Priority": "batch"}
    tasks = [
        asyncio.create_task(server.speak(LINE * 5, "am_onyx", "kokoro", headers=batch))
        for _ in range(8)
    ]
    await asyncio.sleep(0.3)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await asyncio.sleep(0.1)
    await server.speak("Sure.", "am_onyx", "kokoro", headers=batch)  # a ninth would be refused


async def test_a_live_piece_overtakes_long_work(server):
    spoken = heard(await server.speak(LINE))
    others = [
        heard(await server.speak(f"Reason {n}: {reason}")) for n, reason in enumerate(REASONS)
    ]
    long = as_wav(b"".join(wav[44:] for wav in (spoken, *others)) * 3)
    task = asyncio.create_task(
        server.transcribe(long, model="whisper-base", headers={"X-Athos-Priority": "batch"})
    )
    await asyncio.sleep(0.2)
    live = await server.transcribe(spoken)
    assert live.status == 200
    assert not task.done()
    assert (await task).status == 200


# --- the process ------------------------------------------------------------------------------
async def test_health_and_readiness(server):
    for path in ("/healthz", "/readyz"):
        async with server.http.get(path) as response:
            assert response.status == 200
    async with server.http.get("/nowhere") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "not_found")


def test_the_socket_is_for_its_owner_only(speech_socket):
    assert stat.S_IMODE(speech_socket.stat().st_mode) == 0o600


def test_a_second_server_on_the_same_socket_is_refused(speech_socket):
    command = [sys.executable, "-m", "speech", "--socket", str(speech_socket), "--models", "."]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "Another speech server" in second.stderr
    assert speech_socket.is_socket()


def test_a_socket_left_behind_is_replaced_and_removed_at_the_end():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        with bound_socket(path) as listener:
            listener.listen()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
        assert not path.exists()


def test_a_file_in_the_place_of_the_socket_is_left_alone():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        path.write_text("mine")
        with pytest.raises(CannotServe), bound_socket(path):
            pass
        assert path.read_text() == "mine"


def test_missing_models_end_the_server():
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "speech", "--socket", f"{folder}/s", "--models", folder]
        failed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert failed.returncode == 1
    assert "python -m speech.assemble" in failed.stderr


def test_the_server_dies_with_its_parent():
    """A shell starts a server and is killed: nothing is left."""
    with tempfile.TemporaryDirectory() as folder:
        models = models_folder()
        server = f"{sys.executable} -m speech --socket {folder}/s --models {models}"
        script = f"{server} --die-with-parent & echo $!; wait"
        shell = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
        child = psutil.Process(int(shell.stdout.readline()))
        for _ in range(200):
            if Path(folder, "s").is_socket():
                break
            time.sleep(0.1)
        shell.kill()
        shell.wait(timeout=10)
        shell.stdout.close()
        child.wait(timeout=15)  # raises when it lives on, even if it was still loading
        assert not child.is_running()
