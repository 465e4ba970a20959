"""The persona in the microphone: found by its sound, and not found where the rep speaks."""

import numpy as np
import pytest

from calls.live.codec import OpusDecoder, OpusEncoder, Resampler48to16
from calls.live.echo import EchoGuard
from calls.live.events import FRAME_SAMPLES, FRAME_SECONDS

RATE = 48_000


def voice(seed: int, seconds: float = 2.0) -> np.ndarray:
    """Something like speech: a pitch that never rests, overtones, breath, syllables. -1..1."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE)
    steps = np.linspace(0, 1, 60)
    pitch = np.interp(np.linspace(0, 1, count), steps, random.uniform(90, 240, 60))
    phase = np.cumsum(pitch) / RATE * 2 * np.pi
    tone = sum(np.sin(k * phase + random.uniform(0, 6)) / k for k in range(1, 14))
    syllables = np.clip(np.sin(np.arange(count) / RATE * 2 * np.pi * random.uniform(3, 5)), 0.05, 1)
    breath = np.convolve(random.normal(0, 1, count), np.ones(16) / 16, "same")
    return (0.1 * tone + 0.2 * breath) * syllables


def pcm(sound: np.ndarray) -> np.ndarray:
    return (np.clip(sound, -1, 1) * 32767).astype(np.int16)


def louder(sound: np.ndarray, decibels: float) -> np.ndarray:
    return sound * 10 ** (decibels / 20)


def later(sound: np.ndarray, seconds: float) -> np.ndarray:
    count = round(seconds * RATE)
    return np.concatenate([np.zeros(count), sound])[: len(sound)]


def share_taken_for_echo(played: np.ndarray, microphone: np.ndarray) -> float:
    """Of the moments after the first half second."""
    guard, encoder, thin = EchoGuard(OpusDecoder().decode), OpusEncoder(), Resampler48to16()
    verdicts = []
    for number in range(len(played) // FRAME_SAMPLES):
        part = slice(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES)
        guard.played(number * FRAME_SECONDS, encoder.encode(pcm(played[part])))
        guard.hear((number + 1) * FRAME_SECONDS, thin.resample(pcm(microphone[part])))
        verdicts.append(guard.hears_persona())
    return float(np.mean(verdicts[25:]))


@pytest.mark.parametrize("delay", [0.05, 0.18, 0.4])
@pytest.mark.parametrize("decibels", [-12, -30])
def test_what_was_played_comes_back(delay, decibels):
    persona = voice(1)
    noise = np.random.default_rng(3).normal(0, 0.0003, len(persona))
    assert share_taken_for_echo(persona, later(louder(persona, decibels), delay) + noise) > 0.95


def test_a_room_does_not_hide_it():
    persona, random = voice(1), np.random.default_rng(4)
    taps = random.normal(0, 0.03, RATE // 10) * np.exp(-np.arange(RATE // 10) / (RATE / 50))
    taps[0] = 1.0
    heard = np.convolve(later(louder(persona, -18), 0.15), taps)[: len(persona)]
    assert share_taken_for_echo(persona, heard) > 0.8


@pytest.mark.parametrize("seed", range(2, 6))
def test_a_rep_who_speaks_over_the_persona_is_no_echo(seed):
    assert share_taken_for_echo(voice(1), voice(seed)) < 0.1


def test_a_rep_who_speaks_over_an_echo_is_heard():
    persona = voice(1)
    assert share_taken_for_echo(persona, voice(2) + later(louder(persona, -18), 0.15)) < 0.2


def test_while_the_persona_is_silent_nothing_is_an_echo():
    guard = EchoGuard(OpusDecoder().decode)
    for number in range(100):
        guard.played(number * FRAME_SECONDS, None)
        guard.hear((number + 1) * FRAME_SECONDS, np.full(320, 1000, np.int16))
        assert not guard.hears_persona()
