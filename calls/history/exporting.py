"""All calls that a search finds, as lines of CSV: batch by batch, each in a scope of its own.

No transaction stays open while a slow reader reads, and nothing is held but one batch.
"""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from calls.history.filters import Cursor
from calls.history.listing import Reader, calls_first
from calls.history.search import NEWEST, CallSearch, after, narrowed, said_among
from tenants.api import timestamp
from tenants.services import audit

MOST = 250_000  # calls of one file
BATCH = 2_000  # calls looked at in one transaction
FIELDS = (
    "public_id", "stage", "failure", "mode", "created_at", "started_at", "ended_at", "scored_at",
    "external_user_id", "rep__name", "external_agency_id", "agency__name", "drill_key",
    "difficulty", "persona_name", "overall",
)  # fmt: skip
_CREATED_AT = 1 + FIELDS.index("created_at")  # behind the row's own id
HEADER = (
    "callId", "status", "reason", "mode", "createdAt", "startedAt", "endedAt", "durationSec",
    "scoredAt", "externalUserId", "repName", "externalAgencyId", "agencyName", "drillKey",
    "difficulty", "personaName", "overallScore",
)  # fmt: skip
# What a spreadsheet would take for a formula at the beginning of a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def export_begin(*, reader: Reader, search: CallSearch, actor: str) -> int:
    """Write down who takes the calls along; how many will be looked at, at most MOST + 1.

    Of those, the ones without the words are left out of the file.
    """
    with reader.scope():
        audit(
            tenant_id=reader.tenant_id,
            actor=actor,
            action="calls.export",
            details={"filters": sorted(search.query()), "mode": reader.mode},
        )
        return narrowed(reader, search, []).rows.order_by()[: MOST + 1].count()


def export_batches(*, reader: Reader, search: CallSearch) -> Iterator[bytes]:
    """The header, then the calls, the newest first: each part as UTF-8.

    Every `next` opens the scope anew, in the thread that asks for it.
    """
    yield _csv([HEADER])
    place: Cursor | None = None
    left = MOST
    while left > 0:
        rows, place, looked_at = _batch(reader, search, place, min(BATCH, left))
        left -= looked_at
        yield _csv(rows)
        if place is None:
            return


def _batch(
    reader: Reader, search: CallSearch, place: Cursor | None, count: int
) -> tuple[list[tuple[Any, ...]], Cursor | None, int]:
    """The rows of the next `count` calls that say the words, and where they end."""
    with reader.scope():
        wanted = narrowed(reader, search, [])
        found = calls_first(
            after(wanted.rows, place).values_list("id", *FIELDS), NEWEST, count, wanted.agencies
        )
        last = None
        if len(found) == count:
            row_id, at = found[-1][0], found[-1][_CREATED_AT]
            last = Cursor(at, at, row_id)
        if search.words:
            said = said_among([row[0] for row in found], search.words)
            found = [row for row in found if row[0] in said]
    return [_row(row[1:]) for row in found], last, count


def _row(values: tuple[Any, ...]) -> tuple[Any, ...]:
    call = dict(zip(FIELDS, values, strict=True))
    started, ended = call["started_at"], call["ended_at"]
    stage = "live" if call["stage"] == "created" else call["stage"]
    return (
        call["public_id"],
        "failed" if call["failure"] else stage,
        call["failure"].upper(),
        call["mode"],
        _time(call["created_at"]),
        _time(started),
        _time(ended),
        round((ended - started).total_seconds()) if started and ended else "",
        _time(call["scored_at"]),
        _safe(call["external_user_id"]),
        _safe(call["rep__name"]),
        _safe(call["external_agency_id"]),
        _safe(call["agency__name"]),
        _safe(call["drill_key"]),
        call["difficulty"],
        _safe(call["persona_name"]),
        call["overall"],
    )


def _safe(text: str | None) -> str:
    """A text that no spreadsheet runs: an apostrophe before what looks like a formula."""
    text = (text or "").replace("\x00", "")
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else text


def _time(at: datetime | None) -> str:
    return timestamp(at) if at else ""


def _csv(rows: list[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
