"""The optional second recogniser: its weights, what is said without it, and both side by side."""

import io
import json
import struct
import sys
import time
import wave

import jiwer
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from scipy.signal import resample_poly

from calls.after_call import engines
from calls.after_call.belief import plain
from calls.ports import ProviderRefused, ProviderUnavailable
from calls.providers import openai_whisper
from calls.providers.openai_whisper import OpenAIWhisperTranscriber, transcript_of
from calls.providers.registry import FULL_TRANSCRIBERS
from calls.providers.speech_client import SpeechClient
from calls.providers.transcriber import OpenAITranscriber
from calls.providers.whisper_weights import (
    SOURCE_FOLDER,
    WeightsRefused,
    alignment_heads,
    convert,
    ct2_read,
    dimensions,
    openai_state,
)
from tests.clips import human, spoken
from tests.speech_process import models_folder

STATE, MELS, VOCABULARY = 64, 3, 7  # of the tiny model
LINE = "We already have a vendor for that, and honestly it works fine for the team right now."
MOST_WRONG = 0.15  # share of words


# --- a tiny model in CTranslate2's form
def tiny_tensors() -> dict[str, np.ndarray]:
    """One layer on each side; every number is random, so that a mixed-up name shows."""
    chance = np.random.default_rng(7)

    def made(*shape):
        return chance.normal(size=shape).astype(np.float16)

    found = {
        "encoder/conv1/weight": made(STATE, MELS, 3),
        "encoder/conv2/weight": made(STATE, STATE, 3),
        "encoder/position_encodings/encodings": made(10, STATE),
        "decoder/position_encodings/encodings": made(5, STATE),
        "decoder/embeddings/weight": made(VOCABULARY, STATE),
    }
    found |= {f"encoder/conv{n}/bias": made(STATE) for n in (1, 2)}
    norms = ["encoder/layer_norm", "decoder/layer_norm"]
    rows = {"self_attention/linear_0": 3, "self_attention/linear_1": 1}
    rows |= {"ffn/linear_0": 4, "ffn/linear_1": 1}
    cross = {"attention/linear_0": 1, "attention/linear_1": 2, "attention/linear_2": 1}
    for side, parts in (("encoder", rows), ("decoder", rows | cross)):
        layer = f"{side}/layer_0"
        norms += [f"{layer}/{part}/layer_norm" for part in {p.rpartition("/")[0] for p in parts}]
        for part, times in parts.items():
            width = 4 * STATE if part == "ffn/linear_1" else STATE
            found[f"{layer}/{part}/weight"] = made(times * STATE, width)
            found[f"{layer}/{part}/bias"] = made(times * STATE)
        found[f"{layer}/self_attention/linear_0/bias"][STATE : 2 * STATE] = 0
    found["decoder/layer_0/attention/linear_1/bias"][:STATE] = 0
    for norm in norms:
        found |= {f"{norm}/gamma": made(STATE), f"{norm}/beta": made(STATE)}
    return found


def ct2_file(tensors, *, aliases=(), specification="WhisperSpec") -> bytes:
    def text(name):
        return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"

    kinds = {"float32": 0, "int8": 1, "float16": 4}
    content = struct.pack("<I", 6) + text(specification) + struct.pack("<II", 3, len(tensors))
    for name, tensor in tensors.items():
        content += text(name) + struct.pack("<B", tensor.ndim)
        content += struct.pack(f"<{tensor.ndim}I", *tensor.shape)
        content += struct.pack("<BI", kinds[str(tensor.dtype)], tensor.nbytes) + tensor.tobytes()
    content += struct.pack("<I", len(aliases))
    return content + b"".join(text(alias) + text(name) for alias, name in aliases)


@pytest.fixture
def read(tmp_path):
    def of(content: bytes):
        (tmp_path / "model.bin").write_bytes(content)
        return ct2_read(tmp_path / "model.bin")

    return of


def test_tensors_and_aliases_come_back_as_they_were_written(read):
    made = {"a/weight": np.arange(6, dtype=np.float16).reshape(2, 3), "flag": np.int8(1)}
    made["b"] = np.linspace(0, 1, 4, dtype=np.float32)
    found = read(ct2_file(made, aliases=[("c", "a/weight")]))
    assert sorted(found) == ["a/weight", "b", "c", "flag"]
    np.testing.assert_array_equal(found["a/weight"], made["a/weight"])
    np.testing.assert_array_equal(found["b"], made["b"])
    np.testing.assert_array_equal(found["c"], made["a/weight"])


def test_a_file_that_breaks_off_anywhere_is_refused(read):
    whole = ct2_file({"a": np.ones((2, 2), np.float16)}, aliases=[("b", "a")])
    for size in range(len(whole)):
        with pytest.raises(WeightsRefused, match="breaks off"):
            read(whole[:size])
    assert len(read(whole)) == 2


def test_what_is_no_plain_whisper_is_refused_by_name(read):
    with pytest.raises(WeightsRefused, match="not a Whisper model"):
        read(ct2_file({}, specification="TransformerSpec"))
    with pytest.raises(WeightsRefused, match="quantised"):
        read(ct2_file({"a": np.ones((2, 2), np.int8)}))
    wrong = ct2_file({"a": np.ones(4, np.float16)}).replace(
        struct.pack("<BIBI", 1, 4, 4, 8), struct.pack("<BIBI", 1, 5, 4, 8)
    )
    with pytest.raises(WeightsRefused, match="wrong size"):
        read(wrong)


def test_the_parts_of_a_fused_projection_find_their_places(read):
    tensors = tiny_tensors()
    state = openai_state(read(ct2_file(tensors)))
    fused = tensors["encoder/layer_0/self_attention/linear_0/weight"]
    np.testing.assert_array_equal(state["encoder.blocks.0.attn.key.weight"], fused[64:128])
    fused = tensors["decoder/layer_0/attention/linear_1/weight"]
    np.testing.assert_array_equal(state["decoder.blocks.0.cross_attn.value.weight"], fused[64:])
    assert "decoder.blocks.0.cross_attn.key.bias" not in state
    assert sum(part.size for part in state.values()) == (
        sum(part.size for part in tensors.values()) - 3 * STATE  # the keys' zeros
    )
    assert dimensions(state) == {
        "n_mels": MELS, "n_audio_ctx": 10, "n_audio_state": 64, "n_audio_head": 1,
        "n_audio_layer": 1, "n_vocab": VOCABULARY, "n_text_ctx": 5, "n_text_state": 64,
        "n_text_head": 1, "n_text_layer": 1,
    }  # fmt: skip


def test_a_key_with_a_bias_or_a_missing_tensor_is_refused():
    tensors = tiny_tensors()
    tensors["encoder/layer_0/self_attention/linear_0/bias"][STATE] = 1
    with pytest.raises(WeightsRefused, match="bias for its keys"):
        openai_state(tensors)
    tensors = tiny_tensors()
    del tensors["decoder/layer_0/ffn/linear_1/bias"]
    with pytest.raises(WeightsRefused, match="lack decoder/layer_0/ffn/linear_1/bias"):
        openai_state(tensors)


def test_alignment_heads_must_be_named(tmp_path):
    config = tmp_path / "config.json"
    for content in ("{}", '{"alignment_heads": []}', '{"alignment_heads": [[9, 0]]}', "torn"):
        config.write_text(content)
        with pytest.raises(WeightsRefused, match="alignment heads"):
            alignment_heads(config, layers=2, heads=2)
    config.write_text(json.dumps({"alignment_heads": [[1, 0]]}))
    assert alignment_heads(config, layers=2, heads=2)


# --- without the extra
@pytest.fixture
def no_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "whisper", None)
    openai_whisper.shared_model.cache_clear()


async def test_without_the_extra_the_refusal_names_what_to_run(no_extra, tmp_path):
    with pytest.raises(ProviderRefused, match="make openai-whisper"):
        await OpenAIWhisperTranscriber(tmp_path).full(np.zeros(16_000, np.int16))


def test_without_the_extra_the_command_names_what_to_run(no_extra, settings, tmp_path):
    settings.MODELS_DIR = tmp_path
    with pytest.raises(CommandError, match="make openai-whisper"):
        call_command("whisper_convert")


async def test_the_setting_chooses_who_hears(settings, tmp_path):
    settings.MODELS_DIR = tmp_path
    kinds = {"faster-whisper": OpenAITranscriber, "openai-whisper": OpenAIWhisperTranscriber}
    assert set(FULL_TRANSCRIBERS) == set(kinds)
    for name, kind in kinds.items():
        settings.TRANSCRIBER = name
        async with engines.full_transcriber() as transcriber:
            assert type(transcriber) is kind


async def test_sound_too_long_and_one_question_too_many_are_turned_away(tmp_path):
    transcriber = OpenAIWhisperTranscriber(tmp_path)
    with pytest.raises(ProviderRefused, match="longer"):
        await transcriber.full(np.zeros(31 * 16_000, np.int16))
    for _ in range(openai_whisper.WAITING):
        assert openai_whisper._places.acquire(blocking=False)
    try:
        with pytest.raises(ProviderUnavailable, match="Too many"):
            await transcriber.full(np.zeros(16_000, np.int16))
    finally:
        openai_whisper._places.release(openai_whisper.WAITING)


def test_no_word_ends_behind_the_sound():
    word = {"word": " Hello.", "start": 0.9, "end": 1.4, "probability": 0.8}
    part = {"text": " Hello.", "start": 0.0, "end": 30.0, "avg_logprob": -0.2}
    part |= {"no_speech_prob": 0.1, "words": [word]}
    found = transcript_of({"text": " Hello.", "segments": [part]}, seconds=1.0)
    assert [(w.text, w.start, w.end) for w in found.words] == [("Hello.", 0.9, 1.0)]
    assert (found.segments[0].end, found.confidence) == (1.0, -0.2)


# --- both engines, the same clips
def heard_as(wav: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(wav)) as file:
        rate, pcm = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    samples = resample_poly(pcm.astype(np.float64), 16_000, rate) if rate != 16_000 else pcm
    return np.clip(samples, -32768, 32767).astype(np.int16)


@pytest.mark.prove
@pytest.mark.models
async def test_both_engines_hear_people_and_voices_alike(speech_socket, tmp_path):
    (tmp_path / SOURCE_FOLDER).symlink_to(models_folder() / SOURCE_FOLDER)
    assert convert(tmp_path)
    assert not convert(tmp_path)
    clips = [*human(), spoken(LINE, speech_socket)]
    client = SpeechClient(f"http+unix://{speech_socket}")
    try:
        for name, make in FULL_TRANSCRIBERS.items():
            wrong, seconds = await errors_of(make(client, tmp_path), clips)
            print(f"{name}: {wrong:.1%} of words wrong, {seconds:.1f} s for {len(clips)} clips")
            assert wrong <= MOST_WRONG, name
    finally:
        await client.close()


async def errors_of(transcriber, clips) -> tuple[float, float]:
    """The share of wrong words, and the seconds it took after a first warm-up."""
    sounds = [heard_as(clip.wav) for clip in clips]
    await transcriber.full(sounds[0])
    found, started = [], time.monotonic()
    for sound in sounds:
        transcript = await transcriber.full(sound, hints=["Dana Whitfield"])
        times = [edge for word in transcript.words for edge in (word.start, word.end)]
        assert times == sorted(times) and 0.0 <= times[0] <= times[-1] <= len(sound) / 16_000
        assert plain(" ".join(w.text for w in transcript.words)) == plain(transcript.text)
        found.append(plain(transcript.text))
    seconds = time.monotonic() - started
    return jiwer.wer([plain(clip.text) for clip in clips], found), seconds
