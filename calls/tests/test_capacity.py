"""How many calls a worker takes, by what was measured."""

import pytest

from calls.live.capacity import CALM_WINDOWS, Admission, slots_measured

CALM, LATE = [0.001] * 250, [0.001] * 240 + [0.08] * 10


@pytest.mark.parametrize(
    ("words", "media", "slots"),
    [(0.25, 0.017, 8), (0.5, 0.017, 4), (5.0, 0.017, 1), (None, 0.017, 29), (None, 0.001, 30)],
)
def test_the_slower_of_words_and_media_decides(words, media, slots):
    assert slots_measured(words_seconds=words, media_share=media) == slots


def test_a_late_worker_takes_fewer_calls_and_recovers_one_by_one():
    admission = Admission(8)
    assert admission.window(CALM, calls=6) == 8
    assert admission.window(LATE, calls=6) == 5
    assert admission.window(LATE, calls=5) == 4
    assert [admission.window(CALM, calls=4) for _ in range(CALM_WINDOWS)][-1] == 5
    for _ in range(20):
        admission.window(CALM, calls=0)
    assert admission.limit == 8


def test_one_call_is_always_tried_and_idle_lag_tells_nothing():
    admission = Admission(4)
    assert admission.window(LATE, calls=0) == 4
    for calls in (4, 3, 2, 1, 1):
        admission.window(LATE, calls=calls)
    assert admission.limit == 1


def test_a_rare_hitch_is_no_lag():
    assert Admission(4).window([0.001] * 248 + [0.2] * 2, calls=3) == 4
