"""When to try again, and what an answer means. Pure: chance and time come in as arguments."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

MINUTE, HOUR = 60.0, 3600.0
# Seconds from the end of the attempt before; the first is sent at once. 78 h 43 min in all.
PLAN = (
    0.0,
    5.0,
    30.0,
    2 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    1 * HOUR,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    24 * HOUR,
    36 * HOUR,
)
ATTEMPTS = len(PLAN)
SPREAD = 0.2  # each wait moves within ± this part of itself, so that a crowd does not come back
RETRY_AFTER_STRETCH = 2.0  # a receiver may ask for so many times the planned wait, not for more


class Verdict(Enum):
    """What becomes of a delivery after an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    EXHAUSTED = "exhausted"  # it was the last attempt
    GONE = "gone"  # 410: the receiver wants nothing any more, the endpoint is disabled


def verdict(*, attempt: int, status: int | None) -> Verdict:
    """Judge the `attempt`th attempt (1, 2, ...) by its HTTP status, None without an answer."""
    if status is not None and 200 <= status <= 299:
        return Verdict.DELIVERED
    if status == 410:
        return Verdict.GONE
    return Verdict.EXHAUSTED if attempt >= ATTEMPTS else Verdict.RETRY


def wait_after(attempt: int, *, chance: float, retry_after: float | None = None) -> float:
    """Seconds to wait after the `attempt`th failure; `chance` in [0, 1) spreads it.

    `retry_after`, what the receiver asked for, can only lengthen the wait, to twice the plan.
    """
    if not 1 <= attempt < ATTEMPTS:
        raise ValueError(f"Nothing follows attempt {attempt}.")
    planned = PLAN[attempt]
    wait = planned * (1 - SPREAD + 2 * SPREAD * chance)
    if retry_after is None:
        return wait
    return max(wait, min(max(retry_after, planned), planned * RETRY_AFTER_STRETCH))


def retry_after_seconds(value: str | None, *, now: datetime) -> float | None:
    """What a Retry-After header asks for: seconds or a date. None when it asks for nothing."""
    text = (value or "").strip()
    if not text or len(text) > 40:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
