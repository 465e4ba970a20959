"""Opus, resampling and the Ogg container."""

import asyncio
import io

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample

from calls.live import codec
from calls.sound import libopus, ogg
from calls.sound.opus import resampling_decoder
from calls.tests.media import best_match, frames, speechlike


def test_speech_survives_the_codec_one_encoder_delay_later():
    speech = speechlike(2.0)
    decoder = codec.OpusDecoder()
    heard = np.concatenate([decoder.decode(p) for p in codec.encode_clip(speech)])
    lag, likeness = best_match(speech[4800:90_000], heard)
    assert lag - 4800 == pytest.approx(codec.ENCODER_DELAY, abs=2)
    assert likeness > 0.9


def test_the_end_of_a_clip_is_not_cut_off():
    """The encoder holds back 6.5 ms: without padding a full last frame would lose its end."""
    speech = speechlike(0.96)  # 48 whole frames
    packets = codec.encode_clip(speech)
    decoder = codec.OpusDecoder()
    heard = np.concatenate([decoder.decode(p) for p in packets])
    assert len(heard) >= len(speech) + codec.ENCODER_DELAY
    end = heard[len(speech) : len(speech) + codec.ENCODER_DELAY]
    assert np.abs(end).max() > 500


@pytest.mark.parametrize("samples", [1, 959, 960, 961, 4321])
async def test_speech_in_pieces_gives_the_same_packets(samples):
    speech = speechlike(1.0)
    encoder = codec.ClipEncoder()
    packets = []
    for start in range(0, len(speech), samples):
        packets += await encoder.feed(speech[start : start + samples])
    assert packets + encoder.finish() == codec.encode_clip(speech)


async def test_encoding_on_the_loop_lets_others_run():
    ran = 0

    async def count() -> None:
        nonlocal ran
        while True:
            ran += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    packets = await codec.encode_clip_gently(speechlike(2.0))
    other.cancel()
    assert len(packets) == 101
    assert ran >= 9


def test_no_sound_is_no_packet():
    assert codec.encode_clip(np.zeros(0, np.int16)) == []


def test_the_silent_packet_is_silent_and_20_ms():
    assert codec.packet_samples(codec.SILENT_PACKET) == 960
    assert np.abs(codec.OpusDecoder().decode(codec.SILENT_PACKET)).max() <= 2


def test_silence_follows_speech_without_a_noise():
    """The cached silent packet comes from another encoder than the speech before it."""
    decoder = codec.OpusDecoder()
    for packet in codec.encode_clip(speechlike(0.5)):
        decoder.decode(packet)
    after = [np.abs(decoder.decode(codec.SILENT_PACKET)).max() for _ in range(5)]
    assert max(after[2:]) < 50


@pytest.mark.parametrize("milliseconds", [10, 20, 40, 60])
def test_the_length_of_a_packet_is_read_from_its_head(milliseconds):
    context = av.CodecContext.create("libopus", "w")
    context.format, context.layout, context.sample_rate = "s16", "mono", 48_000
    context.options = {"frame_duration": str(milliseconds)}
    samples = milliseconds * 48
    frame = av.AudioFrame.from_ndarray(
        speechlike(samples / 48_000).reshape(1, -1), format="s16", layout="mono"
    )
    frame.sample_rate = 48_000
    (packet,) = context.encode(frame)
    assert codec.packet_samples(bytes(packet)) == samples
    assert len(codec.OpusDecoder().decode(bytes(packet))) == samples


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data):
    decoder = codec.OpusDecoder()
    try:
        samples = codec.packet_samples(data)
        assert 0 < samples <= codec.MAX_PACKET_SAMPLES
        assert len(decoder.decode(data)) <= codec.MAX_PACKET_SAMPLES
    except codec.CodecError:
        pass
    # The decoder still works for what follows.
    assert len(decoder.decode(codec.SILENT_PACKET)) == 960


@pytest.mark.parametrize("shape", [(959,), (1, 960), (0,)])
def test_the_encoder_takes_whole_frames_only(shape):
    with pytest.raises(ValueError, match="960"):
        codec.OpusEncoder().encode(np.zeros(shape, np.int16))


def test_each_frame_gives_320_samples_at_16_khz():
    resampler = codec.Resampler48to16()
    assert {len(resampler.resample(f)) for f in frames(speechlike(1.0))} == {320}


def test_what_the_speech_models_hear_is_the_decoded_sound_at_16_khz():
    """By libopus itself and by FFmpeg's resampler, which passes it on a millisecond later."""
    packets = codec.encode_clip(speechlike(2.0))
    assert libopus.decoder(16_000) is not None, "PyAV ships libopus elsewhere now"
    speech, resampled = codec.SpeechDecoder().decode, resampling_decoder()
    heard = np.concatenate([speech(packet, 960) for packet in packets]).astype(float)
    beside = np.concatenate([resampled(packet) for packet in packets]).astype(float)
    assert len(heard) == len(beside) == 320 * len(packets)
    finely, beside_finely = (resample(sound, 8 * len(sound)) for sound in (heard, beside))
    lag, likeness = best_match(finely[12_800:200_000], beside_finely)
    assert likeness > 0.999
    assert lag - 12_800 == pytest.approx(8 * 15.3, abs=8)  # the resampler's millisecond
    assert heard.std() == pytest.approx(beside.std(), rel=0.05)


def test_without_the_library_ffmpeg_decodes(monkeypatch):
    monkeypatch.setattr(libopus, "_library", lambda: None)
    packets = codec.encode_clip(speechlike(0.5))
    speech, beside = codec.SpeechDecoder().decode, resampling_decoder()
    for packet in packets:
        np.testing.assert_array_equal(speech(packet, 960), beside(packet))


@given(st.binary(max_size=200))
def test_libopus_decodes_any_bytes_or_refuses_them(data):
    speech = codec.SpeechDecoder().decode
    assert len(speech(data, 960)) <= 1920
    assert len(speech(codec.SILENT_PACKET, 960)) == 320  # and goes on


@pytest.mark.parametrize("packet", [None, b"", b"\xff\xff\xff no Opus"])
def test_a_packet_that_is_lost_or_none_keeps_its_time(packet):
    speech = codec.SpeechDecoder().decode
    assert len(speech(packet, 960)) == 320 and not speech(packet, 1920).any()


def test_resampling_keeps_speech_and_drops_what_16_khz_cannot_hold():
    seconds = np.arange(48_000) / 48_000
    low = (8000 * np.sin(2 * np.pi * 1000 * seconds)).astype(np.int16)
    high = (8000 * np.sin(2 * np.pi * 11_000 * seconds)).astype(np.int16)
    levels = []
    for tone in (low, high):
        resampler = codec.Resampler48to16()
        out = np.concatenate([resampler.resample(f) for f in frames(tone)])
        levels.append(out[1600:].astype(float).std())
    assert levels[0] == pytest.approx(8000 / np.sqrt(2), rel=0.02)
    assert levels[1] < levels[0] / 100


def test_an_ogg_file_gives_its_packets_back_and_plays_elsewhere():
    packets = codec.encode_clip(speechlike(3.0))
    data = ogg.write(packets, [960] * len(packets), serial=1)
    assert ogg.read(data) == packets
    with av.open(io.BytesIO(data)) as file:  # ffmpeg's own demuxer
        (stream,) = file.streams.audio
        assert stream.codec_context.name == "opus"
        assert file.duration == pytest.approx(len(packets) * 20_000, abs=1)
        assert sum(frame.samples for frame in file.decode(audio=0)) == len(packets) * 960


@pytest.mark.parametrize("sizes", [[254, 255, 256, 510, 0 + 1], [1275] * 300, [1] * 1000])
def test_packets_of_any_size_survive_the_pages(sizes):
    packets = [bytes([n % 251 + 1]) * size for n, size in enumerate(sizes)]
    assert ogg.read(ogg.write(packets, [960] * len(packets), serial=2**32 - 1)) == packets


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_file_is_refused(place, flip):
    packets = codec.encode_clip(speechlike(0.2))
    data = bytearray(ogg.write(packets, [960] * len(packets), serial=1))
    data[place % len(data)] ^= flip
    with pytest.raises(ogg.OggError):
        ogg.read(bytes(data))


@pytest.mark.parametrize("end", [0, 10, 27, 60, -1])
def test_a_truncated_file_is_refused(end):
    packets = codec.encode_clip(speechlike(0.2))
    data = ogg.write(packets, [960] * len(packets), serial=1)
    with pytest.raises(ogg.OggError):
        ogg.read(data[:end])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_file_or_refused(data):
    with pytest.raises(ogg.OggError):
        ogg.read(b"OggS" + data)
