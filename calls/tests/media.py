"""Sounds and measures shared by the media tests."""

import numpy as np
from scipy.signal import correlate, find_peaks

from calls.live.events import FRAME_SAMPLES, WIRE_RATE, Pcm


def speechlike(seconds: float, seed: int = 0) -> Pcm:
    """Noise shaped like speech: 200 to 3500 Hz, syllables, and no two moments alike."""
    rng = np.random.default_rng(seed)
    length = round(seconds * WIRE_RATE)
    spectrum = np.fft.rfft(rng.normal(size=length))
    hertz = np.fft.rfftfreq(length, 1 / WIRE_RATE)
    spectrum[(hertz < 200) | (hertz > 3500)] = 0
    sound = np.fft.irfft(spectrum, length)
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(length) / WIRE_RATE)
    return (sound / np.abs(sound).max() * syllables * 16_000).astype(np.int16)


def best_match(reference: Pcm, recorded: Pcm) -> tuple[int, float]:
    """Where in `recorded` the reference lies best (samples), and how well (correlation, 0..1)."""
    a, b = reference.astype(float), recorded.astype(float)
    scores = correlate(b, a, mode="valid", method="fft")
    energy = np.cumsum(np.concatenate(([0.0], b * b)))
    norms = np.sqrt((energy[len(a) :] - energy[: -len(a)]) * np.dot(a, a))
    scores = scores / np.maximum(norms, 1.0)
    best = int(np.argmax(scores))
    return best, float(scores[best])


def clicks(seconds: float, every: float = 0.5) -> Pcm:
    """Short bursts of 1 kHz, 10 ms long, one each `every` seconds, the first at 0.1 s."""
    sound = np.zeros(round(seconds * WIRE_RATE), np.int16)
    burst = (12_000 * np.sin(2 * np.pi * 1000 * np.arange(480) / WIRE_RATE)).astype(np.int16)
    for start in np.arange(0.1, seconds - 0.02, every):
        at = round(start * WIRE_RATE)
        sound[at : at + len(burst)] = burst
    return sound


def click_times(pcm: Pcm) -> list[float]:
    """When the bursts of `clicks` sound, in seconds."""
    level = np.convolve(np.abs(pcm.astype(float)), np.ones(480) / 480, mode="full")
    peaks, _ = find_peaks(level, height=3000, distance=4800)
    return [float((peak - 479) / WIRE_RATE) for peak in peaks]


def frames(pcm: Pcm) -> list[Pcm]:
    """Whole frames of 20 ms; a rest is dropped."""
    count = len(pcm) // FRAME_SAMPLES
    return list(pcm[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES))
