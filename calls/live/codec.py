"""Opus, resampling and reading of recorded parts. All audio is mono int16.

Everything here runs on the audio loop: encoding a frame takes about 0.1 ms, decoding 0.05 ms.
"""

import asyncio
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from calls.live import ogg
from calls.live.events import FRAME_SAMPLES, WIRE_RATE, Pcm

SPEECH_RATE = 16_000  # Hz, what detectors and transcribers hear
MAX_PACKET_BYTES = 1275 * 3 + 7  # 120 ms at Opus's highest rate
MAX_PACKET_SAMPLES = 5760
ENCODER_DELAY = 312  # samples by which decoded sound lags what was encoded

_TIME_BASE = Fraction(1, WIRE_RATE)
_FRAMES_A_SLICE = 10  # encoded before other calls get their turn: about 1 ms
_SILK_MILLISECONDS = (10, 20, 40, 60)
_CELT_SAMPLES = (120, 240, 480, 960)


class CodecError(ValueError):
    """A packet is no valid Opus."""


def packet_samples(packet: bytes) -> int:
    """The length of an Opus packet at 48 kHz, from its first two bytes (RFC 6716, 3.1)."""
    if not packet or len(packet) > MAX_PACKET_BYTES:
        raise CodecError("empty or oversized packet")
    configuration, code = packet[0] >> 3, packet[0] & 3
    if code == 3 and len(packet) < 2:
        raise CodecError("frame count is missing")
    count = (1, 2, 2, packet[1] & 63 if code == 3 else 0)[code]
    samples = count * _frame_samples(configuration)
    if not 0 < samples <= MAX_PACKET_SAMPLES:
        raise CodecError("packet of impossible length")
    return samples


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
        frame = _audio_frame(pcm, WIRE_RATE)
        frame.pts = self._samples
        frame.time_base = _TIME_BASE
        self._samples += FRAME_SAMPLES
        (packet,) = self._context.encode(frame)
        return bytes(packet)


class OpusDecoder:
    """One stream, decoded in order. Lost packets are the caller's: silence of their length."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "r")
        assert isinstance(context, AudioCodecContext)
        context.format = "s16"
        context.layout = "mono"
        context.sample_rate = WIRE_RATE
        self._context = context

    def decode(self, packet: bytes) -> Pcm:
        """The sound at 48 kHz, 960 samples for a packet of 20 ms."""
        packet_samples(packet)  # refuses an empty packet, which would end the decoder for good
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.FFmpegError as cause:
            raise CodecError("the decoder refused a packet") from cause
        if not frames:
            raise CodecError("the decoder gave nothing")
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])


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


class Resampler48to16:
    """48 kHz to 16 kHz, one stream. 960 samples in, 320 out; the sound comes 1 ms later."""

    def __init__(self) -> None:
        self._resampler = AudioResampler(format="s16", layout="mono", rate=SPEECH_RATE)
        self.resample(np.zeros(48, np.int16))  # fills its filter, so that each frame gives 320

    def resample(self, pcm: Pcm) -> Pcm:
        frames = self._resampler.resample(_audio_frame(pcm, WIRE_RATE))
        if not frames:
            return np.zeros(0, np.int16)
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def read_part(data: bytes) -> tuple[Pcm, int]:
    """The sound of one part alone at 48 kHz and its length in samples."""
    decoder = OpusDecoder()
    pieces = [_decoded(decoder, packet) for packet in ogg.read(data)]
    pcm = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    return pcm, len(pcm)


def decode_parts(parts: Iterable[tuple[float, bytes]]) -> Iterator[Pcm]:
    """One channel of a call from second 0 on, part after part, in pieces of bounded size.

    `parts` are (offset in seconds, file) in order of offset. One decoder runs through all of
    them, so that no seam is heard; gaps become silence; a part that begins before the last one
    ended loses its beginning.
    """
    decoder = OpusDecoder()
    position = 0
    for offset, data in parts:
        start = round(offset * WIRE_RATE)
        while position < start - _SEAM_SAMPLES:
            piece = np.zeros(min(start - position, WIRE_RATE), np.int16)
            position += len(piece)
            yield piece
        overlap = position - start if position - start > _SEAM_SAMPLES else 0
        for packet in ogg.read(data):
            pcm = _decoded(decoder, packet)[overlap:]
            overlap -= min(overlap, _samples_or_frame(packet))
            position += len(pcm)
            yield pcm


_SEAM_SAMPLES = 480  # parts that meet within 10 ms are one stream: clocks drift, samples do not


def _decoded(decoder: OpusDecoder, packet: bytes) -> Pcm:
    """A browser may send what our decoder refuses; the recording keeps its time."""
    try:
        return decoder.decode(packet)
    except CodecError:
        return np.zeros(_samples_or_frame(packet), np.int16)


def _samples_or_frame(packet: bytes) -> int:
    try:
        return packet_samples(packet)
    except CodecError:
        return FRAME_SAMPLES


def _frame_samples(configuration: int) -> int:
    if configuration < 12:
        return _SILK_MILLISECONDS[configuration % 4] * 48
    if configuration < 16:
        return (480, 960)[configuration % 2]
    return _CELT_SAMPLES[configuration % 4]


def _audio_frame(pcm: Pcm, rate: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    return frame


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
