"""Sounds of a call other than words: rooms, coughs, keys. Float32 at 48 kHz, from a seed alone."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfilt

RATE = 48_000
HOP = RATE // 100  # 10 ms
AUDIBLE = 0.00316  # RMS, -50 dBFS
OF_LOUDEST = 0.06  # what is this far below the loudest 10 ms is no speech

Sound = NDArray[np.float32]  # mono, -1..1
Random = np.random.Generator


def seconds_of(sound: Sound) -> float:
    return len(sound) / RATE


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE), np.float32)


def at_rate(sound: Sound, rate: int) -> Sound:
    """From `rate` to 48 kHz."""
    return resample_poly(sound, RATE, rate).astype(np.float32)


def levels(sound: Sound) -> Sound:
    """RMS of each 10 ms."""
    blocks = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    return np.sqrt(np.mean(blocks * blocks, axis=1, dtype=np.float32))


def sounding(sound: Sound) -> NDArray[np.bool_]:
    """Which 10 ms hold sound, by the ledger's own rule (`calls.live.vad.acoustic_end`)."""
    found = levels(sound)
    loudest = float(found.max()) if len(found) else 0.0
    return found > max(AUDIBLE, OF_LOUDEST * loudest)


def extent(sound: Sound) -> tuple[float, float]:
    """Seconds at which its sound begins and ends. Raises ValueError when there is none."""
    hops = np.flatnonzero(sounding(sound))
    if not len(hops):
        raise ValueError("the sound is silent")
    return float(hops[0]) / 100, float(hops[-1] + 1) / 100


def loudness(sound: Sound) -> float:
    """RMS of the parts that sound."""
    found = levels(sound)[sounding(sound)]
    return float(np.sqrt(np.mean(found * found))) if len(found) else 0.0


def louder(sound: Sound, decibels: float) -> Sound:
    return sound * np.float32(10 ** (decibels / 20))


def set_loudness(sound: Sound, decibels: float) -> Sound:
    """With an RMS of `decibels` below full scale while it sounds, peaks kept below full scale."""
    scaled = louder(sound, decibels - 20 * np.log10(max(loudness(sound), 1e-6)))
    return scaled * np.float32(min(1.0, 0.95 / max(float(np.abs(scaled).max()), 1e-6)))


def band(sound: Sound, low: float, high: float) -> Sound:
    """Only what lies between `low` and `high` Hz."""
    return sosfilt(butter(2, (low, high), "bandpass", fs=RATE, output="sos"), sound).astype(
        np.float32
    )


# --- rooms: endless, to be laid under speech -----------------------------------------------------


def room(random: Random, seconds: float) -> Sound:
    """Pink noise, as of a fan and a street far away."""
    size = round(seconds * RATE)
    spectrum = np.fft.rfft(random.normal(size=size))
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / RATE), 20.0)
    return np.fft.irfft(spectrum / np.sqrt(hertz), size).astype(np.float32)


def office(random: Random, seconds: float) -> Sound:
    """A hum of the mains under typing at eight keys a second."""
    t = np.arange(round(seconds * RATE)) / RATE
    hum = sum(np.sin(2 * np.pi * 60 * n * t) / n for n in (1, 2, 3)).astype(np.float32)
    sound = 0.02 * hum
    for at in np.sort(random.uniform(0, max(seconds - 0.05, 0.01), int(8 * seconds))):
        _add(sound, key(random), round(at * RATE))
    return sound


def babble(voices: list[Sound], random: Random, seconds: float) -> Sound:
    """Other people talking: each voice again and again from a place of its own."""
    size = round(seconds * RATE)
    sound = np.zeros(size, np.float32)
    for voice in voices:
        shift = int(random.integers(len(voice)))
        sound += np.resize(np.roll(set_loudness(voice, -26), shift), size)
    return band(sound, 150, 6000)


# --- noises: short, of a person or a desk --------------------------------------------------------


def cough(random: Random) -> Sound:
    """Two or three bursts: a sharp start, a broad and falling noise behind it."""
    return np.concatenate(
        [_burst(random, 0.22, (300, 4000), 0.06) for _ in range(int(random.integers(2, 4)))]
    )


def throat(random: Random) -> Sound:
    """Somebody clears it: a low buzz that swells and falls, twice."""
    t = np.arange(round(0.3 * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 95 * n * t + n) / n for n in range(1, 12)).astype(np.float32)
    swell = np.sin(np.pi * t / 0.3).astype(np.float32)
    breath = random.normal(size=len(t)).astype(np.float32)
    once = (band(buzz + 0.7 * breath, 90, 1500) * swell).astype(np.float32)
    return np.concatenate((once, silence(0.08), once))


def breath(random: Random) -> Sound:
    """Into the microphone."""
    t = np.arange(round(0.7 * RATE)) / RATE
    swell = (np.sin(np.pi * t / 0.7) ** 2).astype(np.float32)
    return band(random.normal(size=len(t)).astype(np.float32), 400, 3000) * swell


def door(random: Random) -> Sound:
    return _burst(random, 0.5, (40, 400), 0.09)


def key(random: Random) -> Sound:
    return _burst(random, 0.03, (1500, 6000), 0.006)


def chair(random: Random) -> Sound:
    """A squeak that slides."""
    t = np.arange(round(0.4 * RATE)) / RATE
    pitch = random.uniform(500, 900) * (1 + 0.5 * np.sin(2 * np.pi * 2.5 * t))
    tone = np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    return (tone * np.sin(np.pi * t / 0.4)).astype(np.float32)


NOISES: dict[str, Callable[[Random], Sound]] = {
    "cough": cough,
    "throat": throat,
    "breath": breath,
    "door": door,
    "chair": chair,
}


def _burst(random: Random, seconds: float, hertz: tuple[float, float], decay: float) -> Sound:
    """Noise with a start of 3 ms and an end that falls by e each `decay` seconds."""
    t = np.arange(round(seconds * RATE)) / RATE
    shape = np.minimum(t / 0.003, 1.0) * np.exp(-t / decay)
    return band(random.normal(size=len(t)).astype(np.float32), *hertz) * shape.astype(np.float32)


def _add(sound: Sound, other: Sound, at: int) -> None:
    end = min(len(sound), at + len(other))
    sound[at:end] += other[: end - at]
