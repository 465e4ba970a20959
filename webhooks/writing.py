"""Ended attempts on their way into the database: gathered for a moment, written together."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db import Error, InterfaceError, OperationalError, connection

from webhooks.metrics import attempt_made
from webhooks.models import Delivery
from webhooks.outcomes import Outcome
from webhooks.recording import Ended, attempts_record
from work.claims import Claim, LeaseLost

logger = logging.getLogger(__name__)

TOGETHER = 64  # attempts in one go
GATHER_SECONDS = 0.1  # how long an attempt waits for others
AT_ONCE = 3  # threads that write, each with a database connection meanwhile
AGAIN_SECONDS = 0.5
GIVE_UP_SECONDS = 8.0  # then the deliveries go back, and are sent once more

InThread = Callable[..., Coroutine[Any, Any, None]]


class Writer:
    """Writes from a few threads. What waits is bounded by the attempts in flight."""

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._waiting: list[tuple[Ended, asyncio.Future[None]]] = []
        self._drains: set[asyncio.Task[None] | None] = set()

    async def write(self, claim: Claim[Delivery], outcome: Outcome | None) -> None:
        """Back once it is written, or given back to be sent again."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((Ended(claim, outcome, _chance()), done))
        if len(self._drains) < AT_ONCE:
            self._drains.add(asyncio.create_task(self._drain()))
        await done

    async def _drain(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER_SECONDS)
            batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            try:
                await self._in_thread(attempts_write, [ended for ended, _ in batch])
            except Exception as cause:  # noqa: BLE001 - what waits must not wait for ever
                logger.error("attempts_not_written", extra={"error": type(cause).__name__})
            for _, done in batch:
                if not done.done():  # nor cancelled
                    done.set_result(None)
        self._drains.discard(asyncio.current_task())


def attempts_write(ended: Sequence[Ended]) -> None:
    """Write attempts of many tenants down. Whatever fails costs its own delivery a pause."""
    for _, group in groupby(sorted(ended, key=_tenant), key=_tenant):
        together = list(group)
        if not _written(together) and len(together) > 1:
            for each in together:  # one of them is to blame
                _written([each])


def _written(ended: Sequence[Ended]) -> bool:
    """Whether they are. One that fails alone goes back."""
    try:
        _write(ended)
    except Exception as cause:  # noqa: BLE001 - it is this tenant's or delivery's fault alone
        if len(ended) == 1:
            claim_fail(ended[0].claim, cause)
        return False
    return True


def _write(ended: Sequence[Ended]) -> None:
    """A database that is away for a moment costs no second sending."""
    until = time.monotonic() + GIVE_UP_SECONDS
    by_row = {each.claim.pk: each for each in ended}
    while True:
        try:
            for delivery in attempts_record(ended):
                _log(delivery, by_row.pop(delivery.pk).outcome)
            for lost in by_row.values():
                logger.info("lease_lost", extra=lost.claim.facts)
            return
        except (OperationalError, InterfaceError):
            if all(each.claim.lost for each in ended) or time.monotonic() > until:
                raise
            logger.warning("attempts_not_written", extra={"count": len(ended)})
            connection.close()
            time.sleep(AGAIN_SECONDS)


def claim_fail(claim: Claim[Delivery], cause: Exception) -> None:
    """Give a delivery back after a fault of ours. Never raises but for faults in this code."""
    logger.error("deliver_failed", extra=claim.facts | {"error": type(cause).__name__})
    try:
        if not claim.ended:
            claim.fail(error=type(cause).__name__[:60])
    except (LeaseLost, Error):
        logger.info("lease_lost", extra=claim.facts)


def _log(delivery: Delivery, outcome: Outcome | None) -> None:
    if outcome is None:
        return
    attempt_made(state=delivery.state, error=outcome.error, seconds=outcome.total_ms / 1000)
    logger.info(
        "webhook_attempt",
        extra={
            "delivery_id": str(delivery.pk),
            "attempt": delivery.attempt_count,
            "state": delivery.state,
            "status": outcome.status,
            "error": outcome.error,
            "ms": outcome.total_ms,
        },
    )


_tenant = attrgetter("claim.tenant_id")


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing
