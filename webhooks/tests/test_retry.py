"""The schedule, on paper."""

from datetime import UTC, datetime, timedelta

import pytest

from webhooks import retry
from webhooks.retry import Verdict

NOW = datetime(2026, 6, 5, 18, 0, tzinfo=UTC)
HOUR = 3600


def test_twelve_attempts_in_78_hours():
    assert retry.ATTEMPTS == 12
    assert sum(retry.PLAN) == 78 * HOUR + 42 * 60 + 35
    middle = [retry.wait_after(n, chance=0.5) for n in range(1, 12)]
    assert middle == pytest.approx([5, 30, 120, 600, 1800, HOUR, 2 * HOUR, 5 * HOUR, 10 * HOUR,
                                    24 * HOUR, 36 * HOUR])  # fmt: skip


@pytest.mark.parametrize("attempt", range(1, 12))
def test_each_wait_spreads_evenly_by_a_fifth(attempt):
    planned = retry.PLAN[attempt]
    waits = [retry.wait_after(attempt, chance=n / 1000) for n in range(1000)]
    assert min(waits) == pytest.approx(0.8 * planned)
    assert max(waits) == pytest.approx(1.2 * planned, rel=0.001)
    assert sum(waits) / len(waits) == pytest.approx(planned, rel=0.001)


@pytest.mark.parametrize("attempt", [0, 12, 13])
def test_nothing_follows_the_last_attempt(attempt):
    with pytest.raises(ValueError, match="Nothing follows"):
        retry.wait_after(attempt, chance=0.5)


@pytest.mark.parametrize("attempt", range(1, 12))
@pytest.mark.parametrize("asked", [0.0, 1.0, 7.0, 100.0, 1e9])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_a_receiver_may_ask_for_up_to_twice_the_wait(attempt, asked, chance):
    planned = retry.PLAN[attempt]
    wait = retry.wait_after(attempt, chance=chance, retry_after=asked)
    assert planned <= wait <= 2 * planned
    if planned * 1.2 <= asked <= 2 * planned:
        assert wait == asked


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), (" 7 ", 7), ("0", 0), ("Fri, 05 Jun 2026 18:01:00 GMT", 60),
     ("Fri, 05 Jun 2026 17:00:00 GMT", 0), (None, None), ("", None), ("-5", None), ("1.5", None),
     ("soon", None), ("9" * 41, None), ("٣", None), ("Fri, 99 Jun 2026 18:01:00 GMT", None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry.retry_after_seconds(value, now=NOW) == seconds


def test_a_date_without_zone_is_utc():
    date = (NOW + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S -0000")
    assert retry.retry_after_seconds(date, now=NOW) == 30


@pytest.mark.parametrize("attempt", [1, 12])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(attempt, status):
    assert retry.verdict(attempt=attempt, status=status) is Verdict.DELIVERED


@pytest.mark.parametrize("status", [None, 101, 301, 307, 400, 401, 404, 429, 500, 503, 599])
def test_everything_else_is_tried_again_until_the_twelfth(status):
    assert retry.verdict(attempt=1, status=status) is Verdict.RETRY
    assert retry.verdict(attempt=11, status=status) is Verdict.RETRY
    assert retry.verdict(attempt=12, status=status) is Verdict.EXHAUSTED


@pytest.mark.parametrize("attempt", [1, 12])
def test_410_means_never_again(attempt):
    assert retry.verdict(attempt=attempt, status=410) is Verdict.GONE
