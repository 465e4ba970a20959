import numpy as np
import pytest

from speech.errors import BadAudio
from speech.sound import (
    SPOKEN_RATE,
    pcm_from_samples,
    samples_from_pcm,
    samples_from_wav,
    trimmed,
    wav_from_pcm,
)
from speech.whisper import blocks, loops


def tone(seconds: float, level: float = 0.3) -> np.ndarray:
    time = np.arange(int(seconds * SPOKEN_RATE)) / SPOKEN_RATE
    return (level * np.sin(2 * np.pi * 200 * time)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * SPOKEN_RATE), np.float32)


def test_the_silence_around_speech_is_cut_to_what_was_asked():
    sound = np.concatenate([silence(0.3), tone(0.5), silence(0.6)])
    kept = trimmed(sound, before=0.02, after=0.13)
    assert len(kept) / SPOKEN_RATE == pytest.approx(0.65, abs=0.011)
    assert np.abs(kept[: int(0.01 * SPOKEN_RATE)]).max() == 0.0


def test_missing_silence_behind_is_made():
    kept = trimmed(tone(0.5), before=0.02, after=0.25)
    assert len(kept) / SPOKEN_RATE == pytest.approx(0.75, abs=0.011)


def test_pure_silence_is_no_sound():
    assert len(trimmed(silence(1.0), before=0.02, after=0.1)) == 0
    assert len(trimmed(silence(0.0), before=0.02, after=0.1)) == 0


def test_samples_survive_the_way_through_wav():
    sound = tone(0.1)
    wav = wav_from_pcm(pcm_from_samples(sound), rate=16_000)
    assert np.abs(samples_from_wav(wav) - sound).max() < 1e-4


@pytest.mark.parametrize("data", [b"", b"RIFF", b"not a wav at all, but long enough to look at"])
def test_what_is_no_wav_is_refused(data):
    with pytest.raises(BadAudio):
        samples_from_wav(data)


def test_another_rate_is_refused():
    with pytest.raises(BadAudio):
        samples_from_wav(wav_from_pcm(b"\0\0" * 100, rate=44_100))


def test_half_a_sample_is_refused():
    with pytest.raises(BadAudio):
        samples_from_pcm(b"\0\0\0")


def test_long_audio_is_cut_where_it_is_quiet():
    sound = np.full(200 * 16_000, 0.1, np.float32)
    sound[110 * 16_000 : 111 * 16_000] = 0.0
    pieces = list(blocks(sound))
    assert pieces[0][0] == 0
    assert 110 <= pieces[1][0] / 16_000 <= 111
    assert sum(len(piece) for _, piece in pieces) == len(sound)


def test_a_phrase_three_times_over_is_a_loop():
    phrase = ["he", "was", "not"]
    assert loops(phrase * 3)
    assert not loops(phrase + phrase[:2])
