"""A thread that keeps a lease alive while the work is done."""

import logging
import threading
import time
from collections.abc import Callable

from django.db import Error, connections

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0


class Renewer(threading.Thread):
    """Calls `renew` every three seconds until it says no, the limit has passed or it is stopped.

    `renew` returns whether anything is left to renew. A database that is away for a moment is no
    reason to give up: whether the lease still holds is a question of time, asked elsewhere.
    """

    def __init__(self, renew: Callable[[], bool], *, limit: float) -> None:
        super().__init__(name="lease", daemon=True)
        self._renew = renew
        self._until = time.monotonic() + limit
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopping.wait(RENEW_SECONDS):
                if time.monotonic() > self._until:
                    logger.error("lease_limit_passed")
                    return
                if not self._renewed():
                    return
        finally:
            connections.close_all()  # this thread's own; with a pool it goes back

    def stop(self) -> None:
        """End the thread; waits for a renewal under way, so that none comes after the end."""
        self._stopping.set()
        self.join(timeout=LEASE_SECONDS)

    def _renewed(self) -> bool:
        try:
            return self._renew()
        except Error:
            logger.warning("lease_not_renewed")
            return True
