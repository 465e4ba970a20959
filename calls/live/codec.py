"""Opus on the audio loop: encoding a frame takes about 0.1 ms, decoding 0.05 ms. Mono int16."""

import asyncio
from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from calls.live.events import FRAME_SAMPLES, WIRE_RATE, Pcm
from calls.sound.opus import (
    MAX_PACKET_SAMPLES,
    CodecError,
    OpusDecoder,
    Resampler48to16,
    SpeechDecoder,
    audio_frame,
    decode_parts,
    packet_samples,
    read_part,
)

__all__ = [
    "ENCODER_DELAY",
    "MAX_PACKET_SAMPLES",
    "SILENT_PACKET",
    "ClipEncoder",
    "CodecError",
    "OpusDecoder",
    "OpusEncoder",
    "Resampler48to16",
    "SpeechDecoder",
    "decode_parts",
    "encode_clip",
    "encode_clip_gently",
    "packet_samples",
    "read_part",
]

ENCODER_DELAY = 312  # samples by which decoded sound lags what was encoded

_TIME_BASE = Fraction(1, WIRE_RATE)
_FRAMES_A_SLICE = 10  # encoded before other calls get their turn: about 1 ms


class OpusEncoder:
    """One continuous stream of 20 ms packets. `bitrate` in bits per second."""

    def __init__(self, bitrate: int = 32_000) -> None:
        context = av.CodecContext.create("libopus", "w")
        assert isinstance(context, AudioCodecContext)
        context.bit_rate = bitrate
        context.format = "s16"
        context.layout = "mono"
        context.sample_rate = WIRE_RATE
        context.time_base = _TIME_BASE
        context.options = {"application": "voip", "compression_level": "5"}
        self._context = context
        self._samples = 0

    def encode(self, pcm: Pcm) -> bytes:
        """One packet of 960 samples at 48 kHz."""
        if pcm.shape != (FRAME_SAMPLES,) or pcm.dtype != np.int16:
            raise ValueError("a frame is 960 samples of int16")
        frame = audio_frame(pcm, WIRE_RATE)
        frame.pts = self._samples
        frame.time_base = _TIME_BASE
        self._samples += FRAME_SAMPLES
        (packet,) = self._context.encode(frame)
        return bytes(packet)


class ClipEncoder:
    """Encodes speech that arrives in pieces of any length into whole frames."""

    def __init__(self, bitrate: int = 32_000) -> None:
        self._encoder = OpusEncoder(bitrate)
        self._rest: Pcm = np.zeros(0, np.int16)
        self._begun = False

    async def feed(self, pcm: Pcm) -> list[bytes]:
        """The packets that became whole. Gives way to other calls about every millisecond."""
        self._begun |= len(pcm) > 0
        pcm = np.concatenate((self._rest, pcm))
        whole = len(pcm) // FRAME_SAMPLES
        self._rest = pcm[whole * FRAME_SAMPLES :]
        packets = []
        for index in range(whole):
            if index and index % _FRAMES_A_SLICE == 0:
                await asyncio.sleep(0)
            packets.append(self._encoder.encode(_frame(pcm, index)))
        return packets

    def finish(self) -> list[bytes]:
        """The last packets, padded with silence so that the encoder's delay cuts nothing off."""
        padded = _padded(self._rest) if self._begun else self._rest
        self._rest = np.zeros(0, np.int16)
        self._begun = False
        return [
            self._encoder.encode(_frame(padded, i)) for i in range(len(padded) // FRAME_SAMPLES)
        ]


def encode_clip(pcm: Pcm, bitrate: int = 32_000) -> list[bytes]:
    """All packets of a clip at once: about 6 ms a second of sound, so not on the loop."""
    encoder = OpusEncoder(bitrate)
    padded = _padded(pcm) if len(pcm) else pcm
    return [encoder.encode(_frame(padded, i)) for i in range(len(padded) // FRAME_SAMPLES)]


async def encode_clip_gently(pcm: Pcm, bitrate: int = 32_000) -> list[bytes]:
    """As `encode_clip`, on the loop, giving way to other calls about every millisecond."""
    encoder = ClipEncoder(bitrate)
    return await encoder.feed(pcm) + encoder.finish()


def _frame(pcm: Pcm, index: int) -> Pcm:
    return pcm[index * FRAME_SAMPLES : (index + 1) * FRAME_SAMPLES]


def _padded(pcm: Pcm) -> Pcm:
    """Whole frames that hold the sound and the encoder's delay."""
    length = -(-(len(pcm) + ENCODER_DELAY) // FRAME_SAMPLES) * FRAME_SAMPLES
    return np.concatenate((pcm, np.zeros(length - len(pcm), np.int16)))


def _silent_packet() -> bytes:
    encoder = OpusEncoder()
    silence = np.zeros(FRAME_SAMPLES, np.int16)
    return [encoder.encode(silence) for _ in range(5)][-1]


SILENT_PACKET = _silent_packet()  # one silent frame of 20 ms, sent whenever nobody speaks
