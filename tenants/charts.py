"""What a chart shows, said once: `_chart.html` writes it as a table, charts.js draws that table.

A page that has charts includes `_chart_head.html` in its head.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal


@dataclass(frozen=True, slots=True)
class Series:
    """One line or one row of bars; None where there is nothing to say."""

    label: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Cell:
    value: str  # as JavaScript reads it; empty: nothing
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    second: int  # of the day's start, UTC
    text: str
    cells: tuple[Cell, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over days (UTC). `counts` has the n behind each day, of `counted` ("calls").

    `low` and `high` bound the axis in `unit`; without `high` it follows the data. `span` names
    what a point stands for: a day, or the week that begins with it.
    """

    title: str
    unit: str
    days: Sequence[date]
    series: Sequence[Series]
    counts: Sequence[int]
    counted: str = "calls"
    kind: Literal["line", "bars"] = "line"
    low: float = 0
    high: float | None = None
    span: Literal["Day", "Week of"] = "Day"
    digits: int = 0  # behind the point

    @property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def is_empty(self) -> bool:
        return all(value is None for series in self.series for value in series.values)

    def rows(self) -> Iterator[Row]:
        for place, (day, count) in enumerate(zip(self.days, self.counts, strict=True)):
            cells = tuple(self._cell(series.values[place]) for series in self.series)
            second = int(datetime.combine(day, time(), UTC).timestamp())
            yield Row(second, f"{day.day} {day:%b %Y}", cells, count)

    def _cell(self, value: float | None) -> Cell:
        if value is None:
            return Cell("", "–")
        return Cell(f"{value:.3f}", f"{value:,.{self.digits}f}")
