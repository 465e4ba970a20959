"""Whose speech it is, by how loud it is."""

import numpy as np

from calls.live.foreground import BABBLE_LASTS, LASTS, Foreground


class Room:
    """What is heard in it, window by window."""

    def __init__(self):
        self.foreground, self.at = Foreground(), 0.0
        self.random = np.random.default_rng(4)

    def far(self, seconds, decibels, *, after=0.0):
        """Of each window of so many seconds of speech, `after` seconds without any."""
        self.at += after
        found = []
        for window in self.windows(seconds, decibels):
            self.at += 0.032
            found.append(self.foreground.is_far(self.at, window))
        return found

    def windows(self, seconds, decibels, spread=3.0):
        for _ in range(round(seconds / 0.032)):
            level = decibels + self.random.normal(0.0, spread)
            sound = np.full(512, 32768 * 10 ** (level / 20))
            yield sound.astype(np.int16)


def test_speech_of_one_loudness_is_the_reps():
    assert not any(Room().far(40, -24))


def test_others_in_the_room_are_not_once_it_is_clear_how_loud_the_rep_is():
    room = Room()
    room.far(4, -24)
    behind = room.far(3, -38)
    assert not any(behind[:LASTS])
    assert all(behind[2 * LASTS :])
    assert not any(room.far(2, -24)[6:])  # and the rep is heard again at once


def test_voices_a_little_softer_are_not_the_reps_where_the_room_is_never_quiet():
    room = Room()
    room.far(5, -24)
    others = room.far(5, -32)
    assert not any(others[: BABBLE_LASTS // 2])
    assert np.mean(others[2 * BABBLE_LASTS :]) > 0.9
    assert np.mean(room.far(2, -24)[6:]) < 0.1  # the rep is heard again at once, but for a dip


def test_a_rep_who_goes_on_a_little_more_softly_is_heard_where_the_room_is_quiet():
    room = Room()
    room.far(5, -24)
    for _ in range(10):  # between syllables there is nobody
        assert not any(room.far(0.4, -29.5) + room.far(0.032, -60))


def test_a_soft_syllable_is_still_the_reps():
    room = Room()
    room.far(4, -24)
    assert not any(room.far(0.25, -38))


def test_a_rep_who_says_the_next_thing_more_softly_is_heard():
    room = Room()
    room.far(4, -24)
    assert not any(room.far(4, -36, after=1.0))


def test_what_begins_very_softly_is_not_the_reps():
    room = Room()
    room.far(4, -24)
    assert all(room.far(3, -44, after=1.0)[2 * LASTS :])


def test_a_rep_who_goes_on_more_softly_is_heard_after_half_a_minute_at_the_latest():
    room = Room()
    room.far(4, -24)
    assert not any(room.far(32, -38)[-30:])


def test_nothing_is_said_before_anybody_was_heard():
    assert not any(Room().far(0.3, -50))
