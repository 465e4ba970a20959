"""The whole call as one file that every browser plays: MP3, the rep left, the persona right.

MP3 because Chromium without licensed codecs, Firefox on Linux and every Safari play it, which is
true of neither AAC (a matter of the system's codecs) nor Ogg Opus (Safari since 18.4 only). The
bit rate is constant and nothing is borrowed between frames, so a second is 8 000 bytes anywhere:
players seek by range requests without an index, and the length shows before all is loaded.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import IO, Any

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from calls.ports import Pcm

RATE = 24_000  # Hz: speech has little above 12 kHz, and our voices nothing
BIT_RATE = 64_000
FRAME_SAMPLES = 576
FRAME_BYTES = 192
_DELAY = 1105  # samples from what goes in to what a decoder gives out (LAME 576, decoder 529)
_DROPPED = 3  # frames at the start; silence before makes up what is missing to a whole number
_BLOCK = RATE  # samples encoded at once
PICTURED = 800  # stretches of a picture at most: as many as a wide window has room for
_STRETCH = 2_400  # samples at 48 kHz, 50 ms

Sides = Iterator[tuple[Pcm, Pcm]]  # left and right at 48 kHz, equally long


class Peaks:
    """How loud both channels are in equal stretches, for a picture of the whole call."""

    def __init__(self) -> None:
        self._short: list[NDArray[np.int16]] = []  # the loudest sample of each short stretch
        self._rest = np.zeros((2, 0), np.int16)

    def add(self, sound: NDArray[np.int16]) -> None:
        """Samples of both channels, as many as there are."""
        sound = np.concatenate((self._rest, sound), axis=1)
        whole = sound.shape[1] // _STRETCH * _STRETCH
        self._rest = sound[:, whole:]
        if whole:
            self._short.append(_loudest(sound[:, :whole].reshape(2, -1, _STRETCH)))

    def bytes(self) -> bytes:
        """At most PICTURED bytes (0..255) of the first channel, then as many of the second."""
        rest = [_loudest(self._rest[:, None, :])] if self._rest.shape[1] else []
        if not self._short and not rest:
            return b""
        short = np.concatenate([*self._short, *rest], axis=1)
        each = -(-short.shape[1] // PICTURED)
        padded = np.pad(short, ((0, 0), (0, -short.shape[1] % each)))
        loud = padded.reshape(2, -1, each).max(axis=2)
        return bytes((loud.astype(np.int32) * 255 // 32_767).astype(np.uint8).tobytes())


def _loudest(stretches: NDArray[np.int16]) -> NDArray[np.int16]:
    """Of the last axis, without its sign; the lowest sample has none of its own."""
    lowest = np.maximum(stretches.min(axis=2), -32_767)
    loud: NDArray[np.int16] = np.maximum(stretches.max(axis=2), -lowest).astype(np.int16)
    return loud


def stereo_write(
    left: Iterator[Pcm],
    right: Iterator[Pcm],
    file: IO[bytes],
    *,
    between: Callable[[], None],
    peaks: Peaks | None = None,
) -> float:
    """Write both channels to `file`; the seconds written. `between` runs after each piece."""
    encoder = _Encoder(file)
    resampler = AudioResampler(format="s16p", layout="stereo", rate=RATE)
    for rep, persona in _in_step(left, right):
        sound = np.stack((rep, persona))
        encoder.add(_resampled(resampler, sound))
        if peaks is not None:
            peaks.add(sound)
        between()
    encoder.add(_resampled(resampler, None))
    return encoder.finish() / RATE


class _Encoder:
    """Samples in, whole frames out; the first frames and the surplus at the end are dropped."""

    def __init__(self, file: IO[bytes]) -> None:
        context = av.CodecContext.create("libmp3lame", "w")
        assert isinstance(context, AudioCodecContext)
        context.bit_rate = BIT_RATE
        context.sample_rate = RATE
        context.layout = "stereo"
        context.format = "s16p"
        context.time_base = Fraction(1, RATE)
        # level 7: nearer to the wave than the default, and a third faster
        context.options = {"reservoir": "0", "joint_stereo": "0", "compression_level": "7"}
        self._context = context
        self._file = file
        self._pending = [np.zeros((2, _DROPPED * FRAME_SAMPLES - _DELAY), np.int16)]
        self._held = self._pending[0].shape[1]
        self._given = 0  # samples of sound
        self._encoded = 0  # samples handed to the codec
        self._frames = -_DROPPED  # written

    def add(self, sound: NDArray[np.int16]) -> None:
        self._given += sound.shape[1]
        self._append(sound)
        if self._held >= _BLOCK:
            self._encode(self._held // FRAME_SAMPLES * FRAME_SAMPLES)

    def finish(self) -> int:
        """Write the rest. Returns the samples of sound in the file."""
        wanted = -(-self._given // FRAME_SAMPLES)
        self._append(np.zeros((2, 4 * FRAME_SAMPLES), np.int16))  # pushes the last sound out
        self._encode(self._held // FRAME_SAMPLES * FRAME_SAMPLES)
        self._write(_bytes(self._context.encode(None)), wanted)
        if self._frames < wanted:
            raise RuntimeError("the MP3 encoder kept frames back")
        return wanted * FRAME_SAMPLES

    def _append(self, sound: NDArray[np.int16]) -> None:
        self._pending.append(sound)
        self._held += sound.shape[1]

    def _encode(self, samples: int) -> None:
        sound = np.concatenate(self._pending, axis=1)
        self._pending = [sound[:, samples:]]
        self._held -= samples
        frame = _frame(sound[:, :samples], RATE)
        frame.pts = self._encoded
        frame.time_base = Fraction(1, RATE)
        self._encoded += samples
        # Never more frames than sound was given: the last ones only pushed it out.
        self._write(_bytes(self._context.encode(frame)), -(-self._given // FRAME_SAMPLES))

    def _write(self, packets: Sequence[bytes], most: int) -> None:
        for packet in packets:
            if 0 <= self._frames < most:
                self._file.write(packet)
            if self._frames < most:
                self._frames += 1


def _bytes(packets: Sequence[Any]) -> list[bytes]:
    return [bytes(packet) for packet in packets]


def _in_step(left: Iterator[Pcm], right: Iterator[Pcm]) -> Sides:
    """Both sides in equal pieces; the shorter one ends in silence."""
    rep, persona = np.zeros(0, np.int16), np.zeros(0, np.int16)
    while True:
        rep = rep if len(rep) else next(left, rep)
        persona = persona if len(persona) else next(right, persona)
        length = min(len(rep), len(persona)) or max(len(rep), len(persona))
        if not length:
            return
        yield _padded(rep[:length], length), _padded(persona[:length], length)
        rep, persona = rep[length:], persona[length:]


def _padded(pcm: Pcm, length: int) -> Pcm:
    return np.concatenate((pcm, np.zeros(length - len(pcm), np.int16)))


def _resampled(resampler: AudioResampler, sound: NDArray[np.int16] | None) -> NDArray[np.int16]:
    frame = None if sound is None else _frame(sound, 48_000)
    frames = resampler.resample(frame)
    if not frames:
        return np.zeros((2, 0), np.int16)
    return np.concatenate([made.to_ndarray() for made in frames], axis=1)


def _frame(sound: NDArray[np.int16], rate: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="s16p", layout="stereo")
    frame.sample_rate = rate
    return frame
