"""Reading Opus: packets, recorded parts, resampling. All audio is mono int16."""

from collections.abc import Callable, Iterable, Iterator

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from calls.ports import SPEECH_RATE, Pcm
from calls.sound import libopus, ogg

WIRE_RATE = 48_000  # Hz, Opus over WebRTC
FRAME_SAMPLES = 960  # 20 ms
MAX_PACKET_BYTES = 1275 * 3 + 7  # 120 ms at Opus's highest rate
MAX_PACKET_SAMPLES = 5760

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
        return _joined(self.frames(packet))

    def frames(self, packet: bytes) -> list[AudioFrame]:
        """The same as FFmpeg has it, for its next step."""
        packet_samples(packet)  # refuses an empty packet, which would end the decoder for good
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.FFmpegError as cause:
            raise CodecError("the decoder refused a packet") from cause
        if not frames:
            raise CodecError("the decoder gave nothing")
        return frames


class Resampler48to16:
    """48 kHz to 16 kHz, one stream. 960 samples in, 320 out; the sound comes 1 ms later."""

    def __init__(self) -> None:
        self._resampler = AudioResampler(format="s16", layout="mono", rate=SPEECH_RATE)
        self.resample(np.zeros(48, np.int16))  # fills its filter, so that each frame gives 320

    def resample(self, pcm: Pcm) -> Pcm:
        return self.resample_frames([audio_frame(pcm, WIRE_RATE)])

    def resample_frames(self, frames: list[AudioFrame]) -> Pcm:
        """Of a decoder, without a copy."""
        found = [made for frame in frames for made in self._resampler.resample(frame)]
        return _joined(found) if found else np.zeros(0, np.int16)


class SpeechDecoder:
    """One stream straight to what speech models hear: 16 kHz, 320 samples for 20 ms."""

    def __init__(self) -> None:
        self._decode = libopus.decoder(SPEECH_RATE) or resampling_decoder()

    def decode(self, packet: bytes | None, samples: int) -> Pcm:
        """Silence of `samples` at 48 kHz where the packet was lost, or is no Opus."""
        if packet is not None:
            try:
                packet_samples(packet)
                return self._decode(packet)
            except (CodecError, libopus.Refused):
                pass
        return np.zeros(samples * SPEECH_RATE // WIRE_RATE, np.int16)


def resampling_decoder() -> Callable[[bytes], Pcm]:
    """One stream at 16 kHz by FFmpeg, where libopus can't be asked itself. Raises CodecError."""
    decoder, resampler = OpusDecoder(), Resampler48to16()
    return lambda packet: resampler.resample_frames(decoder.frames(packet))


def _joined(frames: list[AudioFrame]) -> Pcm:
    """The samples of mono frames, in a third of the time of `to_ndarray`."""
    first, *others = (np.frombuffer(bytes(f.planes[0]), np.int16, f.samples) for f in frames)
    return np.concatenate((first, *others)) if others else first


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


def audio_frame(pcm: Pcm, rate: int) -> AudioFrame:
    """Mono samples as FFmpeg takes them."""
    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm))
    frame.planes[0].update(pcm.tobytes())
    frame.sample_rate = rate
    return frame
