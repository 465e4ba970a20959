"""Whose speech it is, by how loud it is."""

import numpy as np

from calls.live.foreground import LASTS, Foreground

LEVELS = np.random.default_rng(4)


def windows(seconds, decibels, spread=3.0):
    for _ in range(round(seconds / 0.032)):
        level = decibels + LEVELS.normal(0.0, spread)
        sound = np.full(512, 32768 * 10 ** (level / 20))
        yield sound.astype(np.int16)


def far(foreground, some):
    return [foreground.is_far(window) for window in some]


def test_speech_of_one_loudness_is_the_reps():
    assert not any(far(Foreground(), windows(40, -24)))


def test_others_in_the_room_are_not_once_it_is_clear_how_loud_the_rep_is():
    foreground = Foreground()
    far(foreground, windows(4, -24))
    behind = far(foreground, windows(3, -38))
    assert not any(behind[:LASTS])
    assert all(behind[2 * LASTS :])
    assert not any(far(foreground, windows(2, -24))[2:])  # and the rep is heard again at once


def test_a_soft_syllable_is_still_the_reps():
    foreground = Foreground()
    far(foreground, windows(4, -24))
    assert not any(far(foreground, windows(0.25, -38)))


def test_a_rep_who_goes_on_more_softly_is_heard_after_half_a_minute_at_the_latest():
    foreground = Foreground()
    far(foreground, windows(4, -24))
    behind = far(foreground, windows(32, -38))
    assert not any(behind[-30:])


def test_nothing_is_said_before_anybody_was_heard():
    assert not any(far(Foreground(), windows(0.3, -50)))
