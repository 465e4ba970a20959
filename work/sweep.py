"""The sweep: ring for every kind that has rows standing still.

It runs inside the beat process and not as a task, so that it needs neither the broker nor a free
worker, and a Valkey that lost everything loses a second.
"""

import logging
from typing import Any

from celery.beat import Scheduler
from django.db import Error, connection, connections, transaction

from work import bell, kinds
from work.claims import due

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
_LOCK = 0x776F726B  # "work"


def sweep() -> list[str]:
    """Ring for each kind with due rows, and name them. While another beat sweeps: nothing."""
    with transaction.atomic():
        if not _alone():
            return []
        waiting = [kind for kind in kinds.registered() if _stands_still(kind)]
    for kind in waiting:
        bell.ring(kind.name)
    return [kind.name for kind in waiting]


def _alone() -> bool:
    """The lock goes with the transaction, so a transaction pooler and a dead beat are no matter."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _stands_still(kind: kinds.Kind) -> bool:
    """One kind whose functions are missing or slow must not hide the others."""
    try:
        with transaction.atomic():
            return bool(due(kind, 1))
    except Error as cause:
        logger.error("sweep_kind_failed", extra={"kind": kind.name, "error": type(cause).__name__})
        return False


class SweepScheduler(Scheduler):
    """`celery -A athos beat`: sweeps, and has no schedule of its own. Run as many as you like."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.failing = False

    def setup_schedule(self) -> None:
        """What is due stands in the database."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Sweep once; seconds until the next. A database that is away is a pause, not an end."""
        try:
            sweep()
            self.failing = False
        except Error as cause:
            if not self.failing:
                logger.error("sweep_failed", extra={"error": type(cause).__name__})
            self.failing = True
        finally:
            connections.close_all()
        return SWEEP_SECONDS

    @property
    def info(self) -> str:
        return f"    . sweeping every {SWEEP_SECONDS:g} s for {len(kinds.registered())} kinds"
