"""Samples in and out: WAV, raw PCM, loudness, and the silence around speech."""

import io
import wave

import numpy as np
from numpy.typing import NDArray

from speech.errors import BadAudio

Samples = NDArray[np.float32]  # mono, -1..1

HEARD_RATE = 16_000  # Hz, what Whisper hears
SPOKEN_RATE = 24_000  # Hz, what the voices produce

_WINDOW = 0.01  # seconds, the grain at which silence is judged
_FADE = 0.004  # seconds at a cut edge, against clicks


def samples_from_wav(data: bytes) -> Samples:
    """The sound of a WAV file: mono, 16 bit, 16 kHz and nothing else."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            if form != (1, 2, HEARD_RATE):
                raise BadAudio
            return samples_from_pcm(file.readframes(file.getnframes()))
    except (wave.Error, EOFError) as problem:
        raise BadAudio from problem


def samples_from_pcm(data: bytes) -> Samples:
    """Little-endian 16-bit samples. A half sample at the end means that something was lost."""
    if len(data) % 2:
        raise BadAudio("Raw audio ends within a sample.")
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768.0


def pcm_from_samples(samples: Samples) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def wav_from_pcm(pcm: bytes, rate: int = SPOKEN_RATE) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return target.getvalue()


def loudness(samples: Samples, rate: int, window: float = _WINDOW) -> Samples:
    """RMS of each whole window."""
    size = int(rate * window)
    whole = samples[: len(samples) // size * size].reshape(-1, size)
    return np.sqrt(np.mean(whole * whole, axis=1, dtype=np.float32))


def trimmed(samples: Samples, *, before: float, after: float, rate: int = SPOKEN_RATE) -> Samples:
    """The speech with `before` seconds of its leading silence and `after` of silence behind.

    Silence is what lies 40 dB under the loudest window: whispered ends of words stay whole.
    """
    levels = loudness(samples, rate)
    if not len(levels) or levels.max() == 0.0:
        return samples[:0]
    loud = np.flatnonzero(levels > levels.max() * 0.01)
    start = max(0, int((loud[0] * _WINDOW - before) * rate))
    end = int(((loud[-1] + 1) * _WINDOW + after) * rate)
    kept = samples[start:end].copy()
    fade = int(rate * _FADE)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    kept[:fade] *= ramp[: len(kept)]
    kept[-fade:] *= ramp[::-1][-len(kept) :]
    return np.pad(kept, (0, max(0, end - start - len(kept))))
