"""The engines behind the ports: against the real speech server, and when it is not as it should."""

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from calls.ports import ProviderRefused, ProviderUnavailable
from calls.providers.onnx import shared_session
from calls.providers.registry import EngineChoice, open_providers
from calls.providers.resample import Doubler
from calls.providers.silero import SileroDetector
from calls.providers.smart_turn import SmartTurnDetector, log_mel
from calls.providers.sound_stream import SoundStream
from calls.providers.speech_client import SpeechClient
from calls.providers.transcriber import OpenAITranscriber, prompt, transcript, wav
from calls.providers.voice import OpenAIVoice
from tests.speech_process import models_folder

LINE = "We already have a vendor for that, and honestly it works fine for the team right now."


# --- with the real server ---------------------------------------------------------------------
@pytest.fixture
async def providers(speech_socket):
    choice = EngineChoice(models=models_folder(), local_url=f"http+unix://{speech_socket}")
    async with open_providers(choice) as opened:
        yield opened


async def said(providers, text: str, voice: str = "heart") -> np.ndarray:
    """A voice's sound at 16 kHz, as the rep's side hears it."""
    chunks = [chunk async for chunk in providers.default.voice.speak(text, voice=voice)]
    samples = np.concatenate(chunks).astype(np.float64)
    samples = samples[: len(samples) // 3 * 3]
    return samples.reshape(-1, 3).mean(axis=1).astype(np.int16)


@pytest.mark.models
async def test_what_is_spoken_is_recognised(providers):
    heard = await said(providers, LINE)
    found = await providers.default.transcriber.live(heard, deadline=60)
    assert "already have a vendor" in found.text
    assert -1.0 < found.confidence < 0.0


@pytest.mark.models
async def test_the_record_has_the_time_of_every_word(providers):
    heard = await said(providers, LINE)
    found = await providers.default.transcriber.full(heard, hints=["Dana Whitfield"])
    starts = [word.start for word in found.words]
    assert len(found.words) == len(found.text.split())
    assert starts == sorted(starts)
    assert 0.0 <= starts[0] < found.words[-1].end <= len(heard) / 16_000 + 0.05


@pytest.mark.models
async def test_a_voice_comes_in_chunks_at_48_khz_without_leading_silence(providers):
    chunks = [
        c async for c in providers.default.voice.speak(f"Well, Alex, {LINE}", voice="am_onyx")
    ]
    sound = np.concatenate(chunks)
    loud = np.flatnonzero(np.abs(sound) > np.abs(sound).max() * 0.1)
    assert len(chunks) > 1
    assert sound.dtype == np.int16
    assert 3.0 < len(sound) / 48_000 < 12.0
    assert loud[0] / 48_000 < 0.1


@pytest.mark.models
async def test_an_unknown_voice_is_refused_for_good(providers):
    with pytest.raises(ProviderRefused, match="voice_not_found"):
        async for _ in providers.default.voice.speak("Hi.", voice="af_nobody"):
            pass


@pytest.mark.models
async def test_more_texts_than_a_request_takes_are_embedded_in_order(providers):
    texts = [f"Sentence number {number}." for number in range(130)]
    vectors = await providers.embedder.embed(texts)
    alone = await providers.embedder.embed(texts[129:])
    assert vectors.shape == (130, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.allclose(vectors[129], alone[0])


@pytest.mark.models
async def test_words_that_want_more_are_told_however_long_the_turn(providers):
    before = "It covers dental, vision and hearing. " * 60
    model = providers.sentence_model
    open_ = await model.complete(before + "The plan I have in mind.")
    assert open_ < 0.4 < await model.complete(before + "The plan is cheap.")


@pytest.mark.models
async def test_a_deadline_that_cannot_be_met_is_unavailable(providers):
    with pytest.raises(ProviderUnavailable):
        await providers.default.transcriber.live(np.full(16_000 * 20, 999, np.int16), deadline=0.01)


@pytest.mark.models
async def test_the_detector_hears_speech_and_not_noise(providers):
    heard = await said(providers, LINE)
    noise = np.random.default_rng(1).normal(0, 60, len(heard)).astype(np.int16)
    assert _share_of_speech(providers.speech_detector(), heard) > 0.7
    assert _share_of_speech(providers.speech_detector(), noise) < 0.05


def _share_of_speech(detector: SileroDetector, pcm: np.ndarray) -> float:
    windows = pcm[: len(pcm) // 512 * 512].reshape(-1, 512)
    return float(np.mean([detector.probability(window) > 0.5 for window in windows]))


@pytest.mark.models
async def test_a_finished_sentence_is_more_over_than_half_of_it(providers):
    heard = await said(providers, "What does it cost for a team of fifty people?")
    tail = np.zeros(3200, np.int16)
    whole = await providers.turn_detector.complete(np.concatenate([heard, tail]))
    half = await providers.turn_detector.complete(heard[: len(heard) // 2])
    assert whole > 0.5 > half


@pytest.mark.models
async def test_it_is_the_surer_of_two_that_listen_half_a_window_apart(providers):
    heard = (await said(providers, LINE))[: 512 * 60]
    later = np.concatenate([np.zeros(256, np.int16), heard[:-256]])
    one, other = _alone(heard), _alone(later)
    detector = providers.speech_detector()
    both = [detector.probability(window) for window in heard.reshape(-1, 512)]
    assert both == pytest.approx(np.maximum(one, other), abs=1e-4)
    assert (one > other).any() and (other > one).any()


def _alone(pcm: np.ndarray) -> np.ndarray:
    """What the model by itself makes of each window."""
    session = shared_session(models_folder() / "silero" / "silero_vad.onnx")
    state, before, found = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
    for window in pcm.reshape(-1, 512).astype(np.float32) / 32768:
        seen = np.concatenate([before, window])[None]
        chance, state = session.run(
            None, {"input": seen, "state": state, "sr": np.array(16_000, np.int64)}
        )
        before = window[-64:]
        found.append(float(chance[0, 0]))
    return np.array(found)


@pytest.mark.models
def test_two_calls_do_not_share_what_a_detector_remembers():
    one, two = (SileroDetector(models_folder()) for _ in range(2))
    window = np.random.default_rng(2).normal(0, 3000, 512).astype(np.int16)
    first = one.probability(window)
    one.probability(window)
    assert two.probability(window) == first


# --- without any model ------------------------------------------------------------------------
def test_features_are_those_the_turn_model_was_trained_on():
    from faster_whisper.feature_extractor import FeatureExtractor

    pcm = np.random.default_rng(4).normal(0, 2000, 50_000).astype(np.int16)
    samples = np.pad(pcm.astype(np.float32) / 32768, (128_000 - len(pcm), 0))
    samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    known = FeatureExtractor(feature_size=80, chunk_length=8)(samples, padding=0)[:, :800]
    assert np.abs(log_mel(pcm) - known).max() < 1e-4


@pytest.mark.parametrize("size", [1, 7, 480, 24_000])
def test_doubling_keeps_the_tone_whatever_the_chunks(size):
    time = np.arange(24_000) / 24_000
    tone = (9000 * np.sin(2 * np.pi * 3000 * time)).astype(np.int16)
    doubler = Doubler()
    chunks = [doubler.feed(tone[at : at + size]) for at in range(0, len(tone), size)]
    doubled = np.concatenate([*chunks, doubler.finish()]).astype(float)
    ideal = 9000 * np.sin(2 * np.pi * 3000 * np.arange(48_000) / 48_000)
    assert len(doubled) == 48_000
    assert np.abs(doubled[100:-100] - ideal[100:-100]).max() < 3


def test_hints_stand_before_what_was_said():
    assert prompt(["Dana", " ", "Pitchwise"], "I see.") == "Dana, Pitchwise. I see."
    assert prompt([], "") == ""
    assert len(prompt(["a" * 999], "b" * 999)) < 610


@pytest.mark.parametrize("answer", [{}, {"text": "hi", "words": [{"word": "hi"}]}])
def test_an_answer_of_another_form_is_unavailable(answer):
    with pytest.raises(ProviderUnavailable):
        transcript(answer)


def test_a_missing_model_file_is_unavailable(tmp_path):
    with pytest.raises(ProviderUnavailable, match=r"silero_vad\.onnx"):
        SileroDetector(tmp_path)
    with pytest.raises(ProviderUnavailable, match="smart-turn"):
        SmartTurnDetector(tmp_path)


async def test_no_server_at_all_is_unavailable(tmp_path):
    client = SpeechClient(f"http+unix://{tmp_path}/none.sock")
    with pytest.raises(ProviderUnavailable) as problem:
        await OpenAITranscriber(client).live(np.zeros(16_000, np.int16))
    assert problem.value.__cause__ is not None
    await client.close()


@pytest.fixture
async def serve():
    """Start a server that answers everything with one handler; gives a client of it."""
    opened = []

    async def start(handler) -> SpeechClient:
        app = web.Application()
        app.router.add_post("/v1/{rest:.*}", handler)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        client = SpeechClient(f"http://127.0.0.1:{port}/v1", "sk-secret")
        opened.append((client, runner))
        return client

    yield start
    for client, runner in opened:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ProviderRefused),
        (401, ProviderRefused),
        (404, ProviderRefused),
        (413, ProviderRefused),
        (302, ProviderRefused),
        (408, ProviderUnavailable),
        (429, ProviderUnavailable),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
async def test_a_refusal_tells_whether_a_retry_may_help(serve, status, error):
    async def handler(request):
        body = {"error": {"message": "secret words", "code": "the_code"}}
        return web.json_response(body, status=status, headers={"Location": "/v1/x"})

    client = await serve(handler)
    with pytest.raises(error, match="the_code") as problem:
        await OpenAITranscriber(client).live(np.zeros(1600, np.int16))
    assert "secret words" not in str(problem.value)
    assert "sk-secret" not in str(problem.value)


async def test_key_priority_and_deadline_are_sent(serve):
    seen = {}

    async def handler(request):
        seen.update(request.headers)
        await request.read()
        return web.json_response({"text": "hi"})

    await OpenAITranscriber(await serve(handler)).live(np.zeros(1600, np.int16), deadline=1.5)
    assert seen["Authorization"] == "Bearer sk-secret"
    assert (seen["X-Athos-Priority"], seen["X-Athos-Deadline-Ms"]) == ("live", "1500")


async def test_an_answer_that_is_no_json_is_unavailable(serve):
    async def handler(request):
        return web.Response(text="<html>")

    client = await serve(handler)
    with pytest.raises(ProviderUnavailable):
        await OpenAITranscriber(client).live(np.zeros(1600, np.int16))


async def test_sound_that_breaks_off_is_unavailable(serve):
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"\1\2" * 100)
        request.transport.abort()
        return response

    client = await serve(handler)
    with pytest.raises(ProviderUnavailable):
        async for _ in OpenAIVoice(client).speak("Hi.", voice="af_heart"):
            pass


async def test_half_a_sample_between_chunks_is_put_together(serve):
    samples = np.arange(1000, dtype="<i2").tobytes()

    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for part in (samples[:333], samples[333:]):
            await response.write(part)
            await asyncio.sleep(0.02)
        return response

    client = await serve(handler)
    chunks = [c async for c in OpenAIVoice(client).speak("Hi.", voice="af_heart")]
    assert np.array_equal(np.concatenate(chunks)[::2], np.arange(1000))


async def test_cancelling_closes_the_request(serve):
    gone = asyncio.Event()
    begun = asyncio.Event()

    async def handler(request):
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            gone.set()
            raise

    client = await serve(handler)
    task = asyncio.create_task(OpenAITranscriber(client).live(np.zeros(1600, np.int16), deadline=9))
    async with asyncio.timeout(30):
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()


async def test_leaving_a_voice_early_closes_the_request(serve):
    gone = asyncio.Event()

    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"\1\2" * 1000)
                await asyncio.sleep(0.01)
        except (asyncio.CancelledError, ConnectionError):
            gone.set()
            raise

    voice = OpenAIVoice(await serve(handler)).speak("Hi.", voice="af_heart")
    async with asyncio.timeout(30):
        await anext(voice)
        await voice.aclose()
        await gone.wait()


def test_the_worker_loads_no_transcription_engine():
    """The live worker's memory: detectors must not drag in what the speech process is for."""
    code = (
        "import sys, calls.providers.registry;"
        "sys.exit(any(m in sys.modules for m in ('faster_whisper', 'ctranslate2', 'speech')))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, timeout=60).returncode == 0


# --- sound that comes from anywhere -----------------------------------------------------------


def heard_of(data: bytes, block: int, rate: int = 24_000) -> np.ndarray:
    stream = SoundStream(rate)
    parts = [stream.feed(data[i : i + block]) for i in range(0, len(data), block)]
    return np.concatenate([*parts, stream.finish()])


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("block", [7, 100_000])
def test_a_wav_of_any_rate_is_understood_and_its_silence_cut(rate, block):
    silence, seconds = np.zeros(rate // 4, np.int16), 0.5
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
    found = heard_of(wav(np.concatenate([silence, tone.astype(np.int16)]), rate), block)
    assert len(found) / 48_000 == pytest.approx(seconds + 0.01, abs=0.012)
    spectrum = np.abs(np.fft.rfft(found))
    assert np.argmax(spectrum) * 48_000 / len(found) == pytest.approx(440, abs=3)


def test_sound_of_an_unknown_form_is_refused():
    stereo = bytearray(wav(np.zeros(100, np.int16)))
    stereo[22] = 2
    with pytest.raises(ProviderRefused, match="mono"):
        heard_of(bytes(stereo), 100)
    with pytest.raises(ProviderRefused, match="rate"):
        heard_of(b"\1\2" * 100, 100, rate=3)
    with pytest.raises(ProviderUnavailable):
        heard_of(b"\1\2\3\4\5", 100)  # half a sample is left
    with pytest.raises(ProviderUnavailable):
        SoundStream().finish()
