"""What the demo's month is made of: `month.yaml`, read and laid out in time. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from calls.sandbox.scripts import scripts

FILE = Path(__file__).with_name("month.yaml")
SATURDAY = 5  # as date.weekday() counts
OPENS, OPEN_HOURS = 14, 8  # UTC: the working day of an agency in Ohio


@dataclass(frozen=True, slots=True)
class Practising:
    """A made-up rep. `calls` are talks or scripts, the oldest first, the last one `last` working
    days ago; the last `hard` of them are at the difficulty Elite. No name: nobody has said it."""

    external_id: str
    agency: str
    calls: tuple[str, ...]
    last: int
    every: int  # working days between two calls
    name: str = ""
    team: str = ""
    hard: int = 0

    def times(self, today: date) -> Iterator[datetime]:
        """When each call ended: in office hours of a weekday, the oldest first."""
        habit = sum(self.external_id.encode())  # no two reps keep the same hours
        for place in range(len(self.calls)):
            day = _working_day(today, self.last + self.every * (len(self.calls) - 1 - place))
            hour = OPENS + (place * 3 + habit) % OPEN_HOURS
            yield datetime.combine(day, time(hour, (place * 23 + habit * 7) % 60), UTC)


@dataclass(frozen=True, slots=True)
class Said:
    """What people say of a call once it is scored; what is empty is not said."""

    rep: str
    call: int  # of the rep, from 1
    comment: str = ""
    at: str = "first"  # line of the rep's, or "last"
    dispute: str = ""
    check: str = ""
    reply: str = ""
    override: str = ""  # the reason


@dataclass(frozen=True, slots=True)
class Given:
    """An assignment to a team; days from today."""

    agency: str
    team: str
    given: int
    due: int
    pass_mark: int
    focus: str
    note: str


@dataclass(frozen=True, slots=True)
class Month:
    drill: str
    agencies: Mapping[str, str]  # names by id
    lines: Mapping[str, str]
    talks: Mapping[str, tuple[str, ...]]
    reps: tuple[Practising, ...]
    said: tuple[Said, ...]
    given: tuple[Given, ...]

    @property
    def calls(self) -> int:
        return sum(len(rep.calls) for rep in self.reps)

    def script_of(self, kind: str) -> str:
        """The sandbox's script of that name; empty for a talk of the month's own."""
        return kind if kind in scripts() and kind not in self.talks else ""

    def rep_lines(self, rep: Practising, kind: str) -> tuple[str, ...]:
        """What the rep says, turn by turn."""
        name = rep.name or "Sam Carter"
        names = {"name": name, "first": name.partition(" ")[0]}
        return tuple(
            " ".join(self.lines[line] for line in turn.split(" - ")).format(**names)
            for turn in self.talks.get(kind, ())
        )


def _working_day(today: date, back: int) -> date:
    """The one so many before today; 1: the newest that is over."""
    day = today
    while back:
        day -= timedelta(days=1)
        back -= day.weekday() < SATURDAY
    return day


@cache
def month() -> Month:
    """The whole file."""
    content: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return Month(
        drill=content["drill"],
        agencies=content["agencies"],
        lines=content["lines"],
        talks={name: tuple(turns) for name, turns in content["talks"].items()},
        reps=tuple(
            Practising(external_id=rep.pop("id"), calls=tuple(rep.pop("calls")), **rep)
            for rep in content["reps"]
        ),
        said=tuple(Said(**said) for said in content["afterwards"]),
        given=tuple(Given(**given) for given in content["assignments"]),
    )
