"""How the live loop did: of one call, and of a tenant's calls together (docs/latency.md)."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from calls.history.listing import Reader

MOST_CALLS = 10_000  # the newest of a period; percentiles of these are as good as of all

_SQL = """
    WITH ledgers AS (
        SELECT ledger.* FROM calls_callledger AS ledger
        JOIN calls_call AS call ON call.id = ledger.call_id
        WHERE call.tenant_id = %(tenant)s AND ledger.tenant_id = %(tenant)s
            AND call.mode = %(mode)s
            AND (%(agencies)s::uuid[] IS NULL OR call.agency_id = ANY (%(agencies)s::uuid[]))
            AND (%(call)s::uuid IS NULL OR call.id = %(call)s)
            AND (%(since)s::timestamptz IS NULL OR call.created_at >= %(since)s)
            AND (%(until)s::timestamptz IS NULL OR call.created_at < %(until)s)
        ORDER BY call.created_at DESC LIMIT %(most)s
    ), answers AS (
        SELECT count(*) AS number,
            percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY ms) AS quantiles
        FROM ledgers, unnest(answers_ms) AS ms
    ), barge_ins AS (
        SELECT count(*) AS number,
            percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY ms) AS quantiles
        FROM ledgers, unnest(barge_ins_ms) AS ms
    ), counts AS (
        SELECT count(*) AS calls, coalesce(sum(rep_turns), 0)::bigint AS rep_turns,
            coalesce(sum(cut_offs), 0)::bigint AS cut_offs,
            coalesce(sum(missed_ends), 0)::bigint AS missed_ends,
            coalesce(sum(false_stops), 0)::bigint AS false_stops
        FROM ledgers
    )
    SELECT counts.*, answers.*, barge_ins.* FROM counts, answers, barge_ins
"""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one figure in milliseconds; no quantiles where there is no figure."""

    number: int
    p50: float | None
    p95: float | None

    @classmethod
    def read(cls, number: int, quantiles: list[float] | None) -> "Spread":
        """From what the database answers."""
        p50, p95 = quantiles or (None, None)
        return cls(number, p50, p95)


@dataclass(frozen=True, slots=True)
class Latency:
    """`answer` is mouth to ear, `barge_in` the rep's first sound to the persona's silence."""

    calls: int
    rep_turns: int
    cut_offs: int
    missed_ends: int
    false_stops: int
    answer: Spread
    barge_in: Spread


def call_latency(*, reader: Reader, call_id: uuid.UUID) -> Latency | None:
    """Of one call that the reader may see; None before it is over, and where nothing was live."""
    found = _read(reader, call_id=call_id)
    return found if found.rep_turns or found.answer.number else None


def tenant_latency(
    *, reader: Reader, since: datetime | None = None, until: datetime | None = None
) -> Latency:
    """Of the reader's newest calls made since `since` and before `until`."""
    return _read(reader, since=since, until=until)


def _read(
    reader: Reader,
    *,
    call_id: uuid.UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Latency:
    asked: dict[str, Any] = {
        "tenant": reader.tenant_id,
        "mode": reader.mode,
        "agencies": list(reader.agencies) or None,
        "call": call_id,
        "since": since,
        "until": until,
        "most": MOST_CALLS,
    }
    with reader.scope(), connection.cursor() as cursor:
        cursor.execute(_SQL, asked)
        row = cursor.fetchone()
    assert row is not None  # aggregates always answer
    calls, rep_turns, cut_offs, missed_ends, false_stops, *spreads = row
    answer, barge_in = Spread.read(*spreads[:2]), Spread.read(*spreads[2:])
    return Latency(calls, rep_turns, cut_offs, missed_ends, false_stops, answer, barge_in)
