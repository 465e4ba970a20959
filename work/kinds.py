"""The kinds of work there are. Each app registers its own in `AppConfig.ready`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from work.models import DueRow

QUICK: Final = "quick"  # answers in seconds; must never wait behind a transcription
SLOW: Final = "slow"  # minutes of processor time
QUEUES: Final = (QUICK, SLOW)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")  # it becomes part of the name of SQL functions


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can be due on a row, and how it is treated.

    `task` names the Celery task that drains it. A claim is renewed for `lease_limit` seconds at
    most. After `max_tries` starts without an end, or `max_failures` orderly failures in a row, the
    row is parked and `on_park(row)` runs in the same transaction, under the row's lock and in its
    tenant's scope: to tell the customer. It must leave the row where it stands, so that unparking
    can go on from there.
    """

    name: str
    model: type[DueRow]
    task: str
    queue: str = QUICK
    lease_limit: int = 600
    max_tries: int = 3
    max_failures: int = 20
    on_park: Callable[[Any], None] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot name a kind of work.")
        if self.queue not in QUEUES:
            raise ValueError(f"{self.name}: there is no queue {self.queue!r}.")
        if min(self.lease_limit, self.max_tries, self.max_failures) < 1:
            raise ValueError(f"{self.name}: every limit must be at least one.")


class UnknownKind(LookupError):
    """No app registered this kind of work."""


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Make a kind known to bells, claims and the sweep. A name belongs to one kind."""
    if _kinds.setdefault(kind.name, kind) != kind:
        raise ValueError(f"{kind.name} is registered already, for something else.")
    return kind


def get(name: str) -> Kind:
    try:
        return _kinds[name]
    except KeyError:
        raise UnknownKind(f"No kind of work is called {name!r}.") from None


def registered() -> list[Kind]:
    """All kinds, by name."""
    return [_kinds[name] for name in sorted(_kinds)]
