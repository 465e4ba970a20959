"""Whether an endpoint still works: when to warn its people, and when to give it up. Pure.

Time comes in with each attempt. What counts is an unbroken run of failures: anything that arrives
ends it. A run has to be both long and busy, so that neither an hour's outage of a busy receiver nor
a few attempts of a quiet one disable it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

WARN_AFTER = timedelta(hours=24)
WARN_ATTEMPTS = 5
DISABLE_AFTER = timedelta(days=5)
DISABLE_ATTEMPTS = 10


class Standing(Enum):
    """What is to be done about an endpoint."""

    FINE = "fine"
    FAILING = "failing"
    WARN = "warn"  # tell its people, once in a run
    DISABLE = "disable"


@dataclass(frozen=True, slots=True)
class Health:
    """The run of failures up to now; none while `failing_since` is None."""

    failing_since: datetime | None = None
    failed_attempts: int = 0
    warned: bool = False


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt, as far as it tells of its endpoint."""

    at: datetime
    delivered: bool


def health_after(health: Health, attempts: Iterable[Attempted]) -> Health:
    """The health once these attempts, in any order, are over."""
    for attempt in sorted(attempts, key=lambda each: each.at):
        if attempt.delivered:
            health = Health()
        else:
            since = health.failing_since or attempt.at
            health = Health(since, health.failed_attempts + 1, health.warned)
    return health


def standing(health: Health, *, now: datetime) -> Standing:
    """Judge the run at `now`, right after an attempt."""
    if health.failing_since is None:
        return Standing.FINE
    lasted, count = now - health.failing_since, health.failed_attempts
    if lasted >= DISABLE_AFTER and count >= DISABLE_ATTEMPTS:
        return Standing.DISABLE
    if lasted >= WARN_AFTER and count >= WARN_ATTEMPTS and not health.warned:
        return Standing.WARN
    return Standing.FAILING
