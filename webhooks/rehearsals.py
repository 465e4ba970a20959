"""How a test's webhook may misbehave on request, so that a receiver can be tested. Pure.

What is pretended is never sent: its attempt stands in the log with a code of its own, no status
and no duration. Everything that is sent is sent as always.
"""

from datetime import datetime

from webhooks.models import Rehearsal
from webhooks.outcomes import Outcome

SIMULATED_FAILURE = "SIMULATED_FAILURE"
SIMULATED_TIMEOUT = "SIMULATED_TIMEOUT"

FAILURES = 2  # attempts that fail before the first is sent
FAILURE_WAITS = (1.0, 3.0)  # seconds after each of them
TIMEOUT_WAIT = 20.0  # seconds: those of an attempt that hangs, and the wait after it
SECOND_WAIT = 2.0  # seconds between a delivery and its repetition


def pretended(rehearsal: str, *, attempt: int, now: datetime) -> Outcome | None:
    """What becomes of the `attempt`th attempt (1, 2, ...) without sending; None: send it."""
    if rehearsal == Rehearsal.FAIL and attempt <= FAILURES:
        return Outcome(started_at=now, total_ms=0, error=SIMULATED_FAILURE)
    if rehearsal == Rehearsal.HANG and attempt == 1:
        return Outcome(started_at=now, total_ms=0, error=SIMULATED_TIMEOUT)
    return None


def wait_pretended(outcome: Outcome, *, attempt: int) -> float | None:
    """Seconds to wait after a pretended attempt; None after a real one."""
    if outcome.error == SIMULATED_FAILURE:
        return FAILURE_WAITS[attempt - 1]
    return TIMEOUT_WAIT if outcome.error == SIMULATED_TIMEOUT else None
