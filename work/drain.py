"""The rim of every task: take what is due, and let no row's failure reach its neighbours."""

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from work import bell
from work.claims import Claim, LeaseLost, claims
from work.models import DueRow

logger = logging.getLogger(__name__)

Row = TypeVar("Row", bound=DueRow)
Handler = Callable[[Claim[Row]], None]


class NotEnded(Exception):
    """The handler returned without finishing, releasing or parking its claim."""


def drain(model: type[Row], *, kind: str, handle: Handler[Row]) -> None:
    """Hand each due row to `handle` under a renewed lease, until none is due or a minute is over.

    `handle` ends its claim by `finish`, `release` or `park`. What it raises counts as a start
    without an end: the row pauses, and is parked after too many of them.
    """
    bell.answered(kind)
    for claim in claims(model, kind=kind):
        attempt(claim, handle)


def attempt(claim: Claim[Row], handle: Handler[Row]) -> None:
    """Run one claim to its end, whatever the handler does."""
    try:
        try:
            with claim.lease():
                handle(claim)
            if not claim.ended:
                raise NotEnded
        except LeaseLost:
            raise
        except Exception as cause:  # noqa: BLE001 - the rim: the other rows must go on
            _log_fault(claim, cause)
            if not claim.ended:
                claim.fail(error=type(cause).__name__[:60])
    except LeaseLost:
        logger.info("lease_lost", extra=claim.facts)


def _log_fault(claim: Claim[Row], cause: Exception) -> None:
    """Where and what, never the message: it may quote what somebody said."""
    frames = reversed(traceback.extract_tb(cause.__traceback__)[-4:])
    place = "<".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    facts = {"error": type(cause).__name__, "place": place}
    logger.error("work_failed", extra=claim.facts | facts)
