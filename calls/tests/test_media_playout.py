"""Playout: what the persona says, frame by frame, without a clock."""

import pytest

from calls.live.events import LineEnded, LineStarted
from calls.live.playout import MAX_FRAMES, MAX_LINES, Clip, Cut, Playout, PlayoutFull


@pytest.fixture
def events():
    return []


@pytest.fixture
def playout(events):
    return Playout(events.append)


def frames(name: str, count: int) -> list[bytes]:
    return [f"{name}{i}".encode() for i in range(count)]


def take(playout: Playout, count: int) -> list[bytes | None]:
    return [playout.next() for _ in range(count)]


def test_silence_counts_as_time(playout, events):
    assert take(playout, 50) == [None] * 50
    assert playout.position == pytest.approx(1.0)
    assert not playout.speaking
    assert events == []


def test_lines_follow_each_other_without_a_gap(playout, events):
    playout.add(1, frames("a", 3))
    playout.add(2, frames("b", 2))
    assert take(playout, 6) == [b"a0", b"a1", b"a2", b"b0", b"b1", None]
    assert [(type(e), e.line, round(e.at, 2)) for e in events] == [
        (LineStarted, 1, 0.0),
        (LineEnded, 1, 0.06),
        (LineStarted, 2, 0.06),
        (LineEnded, 2, 0.1),
    ]
    assert all(e.heard == 1.0 and not e.cut for e in events if isinstance(e, LineEnded))


def test_stop_silences_the_next_frame_and_tells_what_was_heard(playout, events):
    playout.add(1, frames("a", 10))
    playout.add(2, frames("b", 5))
    take(playout, 4)
    cuts = playout.stop()
    assert cuts == [Cut(1, 4, 10, open=False), Cut(2, 0, 5, open=False)]
    assert [cut.heard for cut in cuts] == [0.4, 0.0]
    assert playout.next() is None
    assert not playout.speaking
    ends = [e for e in events if isinstance(e, LineEnded)]
    assert [(e.line, e.heard, e.cut) for e in ends] == [(1, 0.4, True)]  # 2 never began


def test_a_line_wholly_played_is_not_cut(playout, events):
    playout.add(1, frames("a", 3))
    take(playout, 3)
    assert playout.stop() == []
    (end,) = [e for e in events if isinstance(e, LineEnded)]
    assert (end.heard, end.cut) == (1.0, False)


def test_stopping_nothing_is_harmless(playout, events):
    assert playout.stop() == []
    assert events == []


def test_a_false_stop_resumes_with_the_next_frame(playout):
    playout.add(1, frames("a", 4))
    assert take(playout, 2) == [b"a0", b"a1"]
    playout.pause()
    assert take(playout, 3) == [None] * 3
    assert not playout.speaking
    playout.resume()
    assert playout.speaking
    assert take(playout, 3) == [b"a2", b"a3", None]
    assert playout.position == pytest.approx(0.16)


def test_stop_ends_a_pause(playout):
    playout.add(1, frames("a", 4))
    take(playout, 1)
    playout.pause()
    playout.stop()
    playout.add(2, frames("b", 1))
    assert playout.next() == b"b0"


def test_a_clip_grows_while_it_plays(playout, events):
    clip = Clip(frames("a", 2))
    playout.add(1, clip)
    assert take(playout, 4) == [b"a0", b"a1", None, None]
    assert playout.underruns == 2
    assert playout.speaking  # the line is not over
    clip.extend([b"a2"])
    clip.close()
    assert take(playout, 2) == [b"a2", None]
    assert playout.underruns == 2
    assert [type(e) for e in events] == [LineStarted, LineEnded]


def test_waiting_for_the_first_sound_is_no_underrun(playout, events):
    clip = Clip()
    playout.add(1, clip)
    take(playout, 5)
    assert playout.underruns == 0
    assert not playout.speaking
    assert events == []
    clip.extend([b"a0"])
    assert playout.next() == b"a0"
    assert events == [LineStarted(0.1, 1)]


def test_a_line_without_sound_still_ends(playout, events):
    """The voice failed: whoever waits for the end of the line must hear of it."""
    playout.add(1, Clip(closed=True))
    playout.add(2, frames("b", 1))
    assert playout.next() == b"b0"
    assert [(type(e), e.line) for e in events] == [(LineEnded, 1), (LineStarted, 2)]


def test_the_queue_has_an_end(playout):
    for line in range(MAX_LINES):
        playout.add(line, [b"x"])
    with pytest.raises(PlayoutFull):
        playout.add(99, [b"x"])


def test_a_line_has_an_end():
    clip = Clip([b"x"] * MAX_FRAMES)
    with pytest.raises(PlayoutFull):
        clip.extend([b"x"])
    assert len(clip.packets) == MAX_FRAMES


def test_a_closed_clip_does_not_grow():
    clip = Clip([b"x"], closed=True)
    with pytest.raises(ValueError, match="closed"):
        clip.extend([b"y"])


def test_frames_nobody_asked_for_are_time_all_the_same(playout, events):
    """Between two connections: the line waits, the clock does not, and never goes back."""
    playout.add(1, frames("a", 2))
    playout.next()
    playout.skip_to(3.0)
    assert playout.next() == b"a1"
    playout.skip_to(1.0)
    assert playout.next() is None
    assert playout.position == pytest.approx(3.04)
    assert events[-1] == LineEnded(3.02, 1, 1.0, cut=False)
