"""The recording: two channels, one time line, parts that survive a crash."""

import io
from itertools import pairwise

import av
import numpy as np
import pytest

from calls.live import codec
from calls.live.recorder import Recorder
from calls.tests.media import best_match, click_times, clicks, speechlike


@pytest.fixture
def parts():
    return []


@pytest.fixture
def recorder(parts):
    return Recorder(parts.append, part_seconds=1.0)


def channel(parts, name):
    return [(p.offset, p.data) for p in parts if p.channel == name]


def decoded(parts, name):
    pieces = list(codec.decode_parts(channel(parts, name)))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def test_both_channels_come_back_in_time(recorder, parts):
    rep, persona = speechlike(4.0, seed=1), speechlike(4.0, seed=2)
    for n, (r, p) in enumerate(
        zip(codec.encode_clip(rep), codec.encode_clip(persona), strict=True)
    ):
        recorder.rep(0.5 + n * 0.02, r)
        recorder.persona(n * 0.02, p)
    recorder.close()
    for name, sound, start in (("rep", rep, 0.5), ("persona", persona, 0.0)):
        heard = decoded(parts, name)
        place, likeness = best_match(sound[24_000:168_000], heard)
        expected = start * 48_000 + 24_000 + codec.ENCODER_DELAY
        assert abs(place - expected) <= 5
        assert likeness > 0.9
        assert len(heard) == start * 48_000 + 201 * 960


def test_parts_are_numbered_whole_and_contiguous(recorder, parts):
    for n in range(170):
        recorder.rep(n * 0.02, codec.SILENT_PACKET)
    recorder.close()
    assert [p.number for p in parts] == [0, 1, 2, 3]
    assert [p.duration for p in parts] == pytest.approx([1.0, 1.0, 1.0, 0.4])
    assert [p.offset for p in parts] == pytest.approx([0.0, 1.0, 2.0, 3.0])


def test_a_part_plays_alone(recorder, parts):
    for n, packet in enumerate(codec.encode_clip(speechlike(1.5))):
        recorder.persona(n * 0.02, packet)
    recorder.close()
    for part in parts:
        pcm, samples = codec.read_part(part.data)
        assert samples == len(pcm) == round(part.duration * 48_000)
        with av.open(io.BytesIO(part.data)) as file:
            assert sum(f.samples for f in file.decode(audio=0)) == samples


def test_seams_between_parts_are_not_heard():
    """Decoded through one decoder, the parts give exactly what one long stream gives."""
    packets = codec.encode_clip(speechlike(3.0))
    parts = []
    recorder = Recorder(parts.append, part_seconds=0.5)
    for n, packet in enumerate(packets):
        recorder.rep(n * 0.02, packet)
    recorder.close()
    decoder = codec.OpusDecoder()
    assert np.array_equal(
        decoded(parts, "rep"), np.concatenate([decoder.decode(p) for p in packets])
    )


def test_lost_packets_keep_their_time(recorder, parts):
    packets = codec.encode_clip(clicks(4.0))  # a click in each 25 frames, in the sixth of them
    for n, packet in enumerate(packets):
        recorder.rep(n * 0.02, None if n % 25 in (0, 12, 13, 14, 20) else packet)
    recorder.close()
    heard = decoded(parts, "rep")
    assert len(heard) == len(packets) * 960
    expected = [0.1 + k * 0.5 + codec.ENCODER_DELAY / 48_000 for k in range(8)]
    assert click_times(heard) == pytest.approx(expected, abs=0.005)


def test_a_gap_nobody_reported_keeps_its_time(recorder, parts):
    """A reconnect: 0.6 s missing inside a part, then 2.3 s across several."""
    packets = codec.encode_clip(clicks(6.0))
    for n, packet in enumerate(packets):
        if not 60 <= n < 90 and not 110 <= n < 225:
            recorder.rep(n * 0.02, packet)
    recorder.close()
    heard = decoded(parts, "rep")
    assert len(heard) == len(packets) * 960
    last = click_times(heard)[-1]
    assert last == pytest.approx(5.6 + codec.ENCODER_DELAY / 48_000, abs=0.005)


@pytest.mark.parametrize("drift", [150e-6, -150e-6])
def test_a_drifting_sound_card_does_not_pull_the_channels_apart(drift):
    """Ten minutes at 0.15 per mille: 90 ms, were it not mended."""
    parts = []
    recorder = Recorder(parts.append)
    count = 50 * 600
    for n in range(count):
        recorder.rep(n * 0.02 * (1 + drift), codec.SILENT_PACKET)
    recorder.close()
    assert parts[-1].offset == pytest.approx(595 * (1 + drift), abs=0.1)
    for before, after in pairwise(parts):
        assert abs(after.offset - before.offset - before.duration) < 0.002
    samples = sum(len(pcm) for pcm in codec.decode_parts(channel(parts, "rep")))
    assert samples / 48_000 == pytest.approx(count * 0.02 * (1 + drift), abs=0.02)


def test_a_kill_costs_at_most_one_part(recorder, parts):
    speech = speechlike(3.7)
    for n, packet in enumerate(codec.encode_clip(speech)):
        recorder.rep(n * 0.02, packet)
    # The process dies here: nobody calls close.
    heard = decoded(parts, "rep")
    assert len(heard) == 3 * 48_000
    place, likeness = best_match(speech[48_000:96_000], heard)
    assert abs(place - 48_000 - codec.ENCODER_DELAY) <= 5
    assert likeness > 0.9


def test_two_connections_at_once_do_not_lengthen_time(recorder, parts):
    """While a new connection takes over, both deliver the same seconds."""
    for n in range(100):
        recorder.rep(n * 0.02, codec.SILENT_PACKET)
    for n in range(80, 150):
        recorder.rep(n * 0.02, codec.SILENT_PACKET)
    recorder.close()
    assert len(decoded(parts, "rep")) == pytest.approx(150 * 960, abs=960)


def test_what_is_no_opus_is_silence_of_its_length(recorder, parts):
    for n in range(20):
        recorder.rep(n * 0.02, b"" if n == 5 else b"\xff" if n == 6 else codec.SILENT_PACKET)
    recorder.close()
    assert len(decoded(parts, "rep")) == 20 * 960


def test_closing_twice_and_speaking_afterwards_is_harmless(recorder, parts):
    recorder.rep(0.0, codec.SILENT_PACKET)
    recorder.close()
    recorder.close()
    recorder.rep(0.02, codec.SILENT_PACKET)
    assert len(parts) == 1


@pytest.mark.parametrize("seconds", [0.0, -1.0, 61.0])
def test_parts_have_a_sensible_length(seconds):
    with pytest.raises(ValueError, match="part"):
        Recorder(lambda part: None, part_seconds=seconds)


def test_parts_that_overlap_lose_the_double(parts):
    packets = codec.encode_clip(clicks(2.0))
    first, second = Recorder(parts.append), Recorder(parts.append)
    for n, packet in enumerate(packets[:60]):
        first.rep(n * 0.02, packet)
    first.close()
    for n, packet in enumerate(packets[40:], start=40):  # another worker took the call over
        second.rep(n * 0.02, packet)
    second.close()
    heard = decoded(parts, "rep")
    assert len(heard) == len(packets) * 960
    assert click_times(heard)[-1] == pytest.approx(1.6 + codec.ENCODER_DELAY / 48_000, abs=0.005)
