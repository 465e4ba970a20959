"""The jitter buffer and the sender's clock: order, holes and time out of any arrival order."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.live.jitter import (
    MAX_HOLE_SAMPLES,
    JitterBuffer,
    Piece,
    SenderClock,
    unpack_redundant,
)

FRAME = 960


def push(buffer: JitterBuffer, number: int, *, base: int = 0, at: float | None = None):
    """Packet `number` of a stream whose sequence numbers and timestamps start at `base`."""
    return buffer.push(
        (base + number) % 2**16,
        (base * 7919 + number * FRAME) % 2**32,
        f"{number}".encode(),
        FRAME,
        number * 0.02 if at is None else at,
    )


def feed(buffer: JitterBuffer, order: list[int], base: int = 0) -> list[Piece]:
    return [piece for number in order for piece in push(buffer, number, base=base)]


def numbers(pieces: list[Piece]) -> list[int | None]:
    return [None if p.payload is None else int(p.payload) for p in pieces]


def assert_gapless(pieces: list[Piece]) -> None:
    """Each piece begins where the one before ended."""
    for before, after in pairwise(pieces):
        assert after.position == before.position + before.samples


def test_nothing_waits_while_nothing_is_missing():
    buffer = JitterBuffer()
    for number in range(200):
        (piece,) = push(buffer, number)
        assert int(piece.payload) == number
        assert piece.position == number * FRAME


@given(base=st.integers(0, 2**16 - 1), seed=st.integers(0, 10_000))
def test_packets_shuffled_within_the_window_come_out_in_order(base, seed):
    rng = random.Random(seed)
    order = [0]
    for start in range(1, 300, 3):  # hold 2: three neighbours in any order
        order += rng.sample(range(start, start + 3), 3)
    pieces = feed(JitterBuffer(), order, base)
    assert numbers(pieces) == list(range(301))
    assert_gapless(pieces)


@given(
    base=st.integers(2**16 - 400, 2**16 - 1),
    kept=st.lists(st.booleans(), min_size=50, max_size=400),
)
def test_any_loss_keeps_time_across_the_wrap(base, kept):
    order = [0] + [n for n, keep in enumerate(kept, 1) if keep]
    buffer = JitterBuffer()
    pieces = feed(buffer, order, base)
    assert_gapless(pieces)
    for piece in pieces:
        assert piece.payload is None or piece.position == int(piece.payload) * FRAME
    delivered = [n for n in numbers(pieces) if n is not None]
    assert delivered == order[: len(delivered)]
    assert len(order) - len(delivered) <= 2  # those that still wait
    assert sum(p.payload is None for p in pieces) == buffer.lost


@given(seed=st.integers(0, 10_000))
def test_duplicates_change_nothing(seed):
    rng = random.Random(seed)
    order = [n for n in range(200) for _ in range(rng.choice((1, 1, 2, 3)))]
    buffer = JitterBuffer()
    assert numbers(feed(buffer, order)) == list(range(200))
    assert buffer.late == len(order) - 200


@pytest.mark.parametrize(("loss", "share"), [(0.001, 0.998), (0.01, 0.985), (0.03, 0.97)])
def test_what_arrives_is_delivered_soon(loss, share):
    """3000 packets, some lost, one in a hundred a packet late."""
    rng = random.Random(7)
    arrivals = [
        (n * 0.02 + (0.025 if rng.random() < 0.01 else 0.0), n)
        for n in range(3000)
        if n == 0 or rng.random() >= loss
    ]
    buffer = JitterBuffer()
    delivered, delays = 0, []
    for at, number in sorted(arrivals):
        for piece in push(buffer, number, at=at):
            if piece.payload is not None:
                delivered += 1
                delays.append(at - int(piece.payload) * 0.02)
    assert delivered >= 0.999 * len(arrivals)  # nothing that came is thrown away
    assert delivered >= share * 3000 - 15
    assert sorted(delays)[len(delays) // 2] == 0.0
    assert sorted(delays)[int(len(delays) * 0.999)] < 0.065
    assert max(delays) < 0.09


def test_a_hole_is_reported_with_its_length():
    pieces = feed(JitterBuffer(), [0, 4, 5, 6])
    assert numbers(pieces) == [0, None, None, None, 4, 5, 6]
    assert [p.samples for p in pieces] == [FRAME] * 7


def test_a_pause_without_packets_is_silence_but_no_loss():
    """A browser with discontinuous transmission sends nothing while nobody speaks."""
    buffer = JitterBuffer()
    buffer.push(1, 0, b"a", FRAME, 0.0)
    pieces = buffer.push(2, 5 * FRAME + 480, b"b", FRAME, 0.11)
    assert [p.samples for p in pieces if p.payload is None] == [FRAME] * 4 + [480]
    assert buffer.lost == 0


def test_eight_seconds_of_silence_on_the_line_are_one_hole():
    buffer = JitterBuffer()
    feed(buffer, list(range(10)))
    pieces = feed(buffer, list(range(410, 420)))
    assert sum(p.samples for p in pieces if p.payload is None) == 400 * FRAME
    assert buffer.lost == 400
    assert pieces[-1].position == 419 * FRAME


def test_another_source_continues_the_time_line_by_the_clock():
    buffer = JitterBuffer()
    feed(buffer, [0, 1, 2])
    buffer.restart()
    pieces = buffer.push(50_000, 123_456, b"9", FRAME, 2 * 0.02 + 1.0)  # one second later
    assert_gapless(pieces)
    assert pieces[-1].position == pytest.approx(2 * FRAME + 48_000, abs=2)


@pytest.mark.parametrize("jump", [2**31, 2**31 - 1, 2**32 - 2**30, MAX_HOLE_SAMPLES + 10 * FRAME])
def test_an_absurd_timestamp_does_not_make_hours_of_silence(jump):
    buffer = JitterBuffer()
    buffer.push(1, 0, b"a", FRAME, 0.0)
    pieces = buffer.push(2, jump % 2**32, b"b", FRAME, 0.02)
    assert [p.payload for p in pieces] == [b"b"]
    assert buffer.push(3, (jump + FRAME) % 2**32, b"c", FRAME, 0.04)[0].payload == b"c"


@given(
    st.lists(
        st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(120, 5760)),
        max_size=200,
    )
)
def test_hostile_numbers_cost_little_and_break_nothing(packets):
    buffer = JitterBuffer()
    total, position = 0, 0
    for index, (sequence, timestamp, samples) in enumerate(packets):
        pieces = buffer.push(sequence, timestamp, b"x", samples, index * 0.02)
        for piece in pieces:
            assert piece.position == position
            position += piece.samples
        total += len(pieces)
        assert len(buffer._waiting) <= 3
    assert total <= len(packets) * (MAX_HOLE_SAMPLES // FRAME + 2)


def test_the_clock_hides_jitter():
    rng = random.Random(3)
    clock = SenderClock()
    errors = []
    for number in range(3000):
        late = rng.choice((0.0, 0.001, 0.005, 0.03))
        clock.observe((number + 1) * FRAME, 100.0 + (number + 1) * 0.02 + late)
        errors.append(abs(clock.at(number * FRAME) - (100.0 + number * 0.02)))
    assert max(errors[50:]) < 0.001


@pytest.mark.parametrize("rate", [1 + 100e-6, 1 - 100e-6])
def test_the_clock_follows_a_drifting_sound_card(rate):
    """Half an hour at 0.1 per mille: 180 ms apart in the end, if nobody followed."""
    clock = SenderClock()
    for number in range(90_000):
        arrived_at = (number + 1) * 0.02 * rate
        clock.observe((number + 1) * FRAME, arrived_at)
        assert clock.at(number * FRAME) == pytest.approx(number * 0.02 * rate, abs=0.004)


def test_time_never_runs_backwards():
    clock = SenderClock()
    clock.observe(FRAME, 1.0)
    first = clock.at(0)
    clock.observe(2 * FRAME, 0.5)  # a much faster packet
    assert clock.at(FRAME) >= first


def test_packets_inside_a_packet_are_told_oldest_first():
    header = bytes([0x80 | 111]) + (1920 << 10 | 2).to_bytes(3)
    header += bytes([0x80 | 111]) + (960 << 10 | 3).to_bytes(3) + bytes([111])
    found = unpack_redundant(header + b"aa" + b"bbb" + b"cccc")
    assert found == [(1920, b"aa"), (960, b"bbb"), (0, b"cccc")]
    assert unpack_redundant(bytes([111]) + b"alone") == [(0, b"alone")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes([111]),
        bytes([0x80 | 111]),
        bytes([0x80 | 111]) + (960 << 10 | 9).to_bytes(3) + bytes([111]) + b"short",
        (bytes([0x80 | 111]) + (960 << 10 | 1).to_bytes(3)) * 9 + bytes([111]) + b"0123456789",
    ],
    ids=["nothing", "no packet", "half a header", "too short", "too many"],
)
def test_a_malformed_packet_of_packets_is_refused(data):
    with pytest.raises(ValueError, match="packet"):
        unpack_redundant(data)


@given(st.binary(max_size=400))
def test_any_bytes_unpack_or_are_refused(data):
    try:
        blocks = unpack_redundant(data)
    except ValueError:
        return
    assert blocks[-1][0] == 0 and blocks[-1][1]
    assert sum(len(block) for _, block in blocks) < len(data)


def test_the_buffer_knows_what_it_misses():
    buffer = JitterBuffer()
    assert not buffer.misses(7)  # nothing has come yet
    buffer.push(65_534, 0, b"x", 960, 0.0)
    buffer.push(0, 1920, b"x", 960, 0.04)
    assert buffer.misses(65_535)
    assert not buffer.misses(65_534) and not buffer.misses(0)
