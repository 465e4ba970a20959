"""Calls for people: found by whom, what, when, how well, and by words that were said.

A page costs the same with a million calls: each filter has an index behind the order, or finds its
page on the way. Words are looked for in the newest calls first, one by one; only where those are
not enough, the whole index is asked, through `calls_saying`, because row security switches it off.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db import OperationalError, connection
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from calls.history.filters import Cursor
from calls.history.listing import Page, Reader, calls_first, calls_of_mode
from calls.models import Call, Drill, TranscriptWords
from tenants.errors import AthosError
from tenants.isolation import CATALOGUE
from tenants.models import Agency, Rep

LONGEST = 200  # characters of a filter
REPS_MOST = 200  # that a part of a name may stand for
NEAR = 1_500  # of the newest calls that match otherwise, looked at one by one
FAR_MOST = 20_000  # calls that the index gives for words, the newest
CHOICES_MOST = 500  # agencies and drills to choose from
SEARCH_SECONDS = 5  # then a search gives up
OPEN, FAILED = "open", "failed"
STAGES = {"scored": "Scored", OPEN: "Not yet scored", FAILED: "Not scored"}


class SearchTooSlow(AthosError):
    code, status = "SEARCH_TOO_SLOW", 503
    message = "This search took too long. Choose a rep or dates as well, or other words."


@dataclass(frozen=True, slots=True)
class CallSearch:
    """What calls are wanted; empty and None: any. Days are of UTC, both inclusive."""

    rep: str = ""  # part of the name, or of the integrator's
    agency: str = ""  # the integrator's name of it
    drill: str = ""
    stage: str = ""
    first_day: date | None = None
    last_day: date | None = None
    score_from: int | None = None
    score_to: int | None = None
    words: str = ""

    def query(self) -> dict[str, str]:
        """As it stands in an address; what is not asked for is left out."""
        return {
            name: value.isoformat() if isinstance(value, date) else str(value)
            for name, column in PARAMETERS.items()
            if (value := getattr(self, column)) not in ("", None)
        }

    def digest(self, reader: Reader) -> str:
        """Names this list for a cursor."""
        plain = [str(reader.tenant_id), reader.mode, asdict(self)]
        return hashlib.sha256(json.dumps(plain, default=str).encode()).hexdigest()


PARAMETERS = {
    "words": "words",
    "rep": "rep",
    "agency": "agency",
    "drill": "drill",
    "stage": "stage",
    "from": "first_day",
    "to": "last_day",
    "score_from": "score_from",
    "score_to": "score_to",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it came, and what is wrong with it, by parameter, in a sentence each."""

    search: CallSearch
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Where words were said: `parts` by turns beside and among what was looked for."""

    seconds: float
    parts: tuple[tuple[str, bool], ...]  # text, whether it was looked for


@dataclass(frozen=True, slots=True)
class Choices:
    """What a search may name: agencies, and the key and title of drills."""

    agencies: Sequence[Agency] = ()
    drills: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A page, where its calls say the words, and what limits it, in sentences."""

    page: Page
    spoken: Mapping[uuid.UUID, Spoken] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    choices: Choices = Choices()


def search_parse(query: Mapping[str, str]) -> Asked:
    """From the address of the page. What cannot be read is told and left out."""
    problems: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, column in PARAMETERS.items():
        text = query.get(name, "").strip()
        if not text:
            continue
        try:
            values[column] = _value(column, text)
        except ValueError as odd:
            problems[name] = str(odd)
    return Asked(CallSearch(**values), problems)


def calls_search(
    *,
    reader: Reader,
    search: CallSearch,
    limit: int,
    cursor: str | None = None,
    choosing: bool = False,
) -> Found:
    """A page of calls at whatever stage, the newest first; `choosing`: with what may be chosen.

    Raises InvalidRequest, SearchTooSlow.
    """
    digest = search.digest(reader)
    place = Cursor.read(cursor, list_digest=digest) if cursor else None
    notes: list[str] = []
    try:
        with reader.scope():
            _give_up_in_time()
            rows = after(narrowed(reader, search, notes), place)
            found = _page(reader, rows, search, limit + 1, place, notes)
            spoken = _spoken(reader, search.words, [call.pk for call in found[:limit]])
            choices = _choices(reader) if choosing else Choices()
    except OperationalError as slow:
        if getattr(slow.__cause__, "sqlstate", "") == "57014":
            raise SearchTooSlow from slow
        raise
    page = found[:limit]
    more = None
    if len(found) > limit:
        last = page[-1]
        more = Cursor(last.created_at, last.created_at, last.pk).write(list_digest=digest)
    return Found(Page(page, more), spoken, tuple(notes), choices)


def narrowed(reader: Reader, search: CallSearch, notes: list[str]) -> QuerySet[Call]:
    """The reader's calls by all filters but the words. Needs the scope."""
    rows = calls_of_mode(reader).filter(**_plain(search))
    if search.words:  # what was said in private is not to be found
        rows = rows.filter(private=False)
    agencies = _agencies(reader, search)
    if agencies is not None:
        rows = rows.filter(agency_id__in=agencies)
    if search.rep:
        rows = rows.filter(rep_id__in=_reps(reader, search.rep, notes))
    if search.stage == FAILED:
        return rows.filter(~Q(stage="scored"), Q(stage="failed") | ~Q(failure=""))
    if search.stage == OPEN:
        return rows.filter(~Q(stage__in=["scored", "failed"]), failure="")
    return rows.filter(stage="scored") if search.stage else rows


def after(rows: QuerySet[Call], place: Cursor | None) -> QuerySet[Call]:
    """What comes behind a place, in the order of the list."""
    if place is None:
        return rows
    same = Q(created_at=place.at, id__lt=place.row_id)
    return rows.filter(Q(created_at__lt=place.at) | same, created_at__lte=place.at)


def saying(rows: QuerySet[Call], words: str) -> QuerySet[Call]:
    """Those in which the words were said, each looked at by itself: for few rows."""
    asked = SearchQuery(words, config="pg_catalog.english", search_type="websearch")
    own = TranscriptWords.objects.filter(call_id=OuterRef("pk"))
    # `[:1]` keeps the planner from reading all transcripts at once
    return rows.annotate(said=Exists(own.filter(words=asked)[:1])).filter(said=True)


def choices_of(reader: Reader) -> Choices:
    """What the reader may choose from."""
    with reader.scope():
        return _choices(reader)


def _choices(reader: Reader) -> Choices:
    agencies = Agency.objects.for_tenant(reader.tenant_id)
    if reader.agencies:
        agencies = agencies.filter(pk__in=reader.agencies)
    drills = Drill.objects.with_catalogue().filter(tenant_id__in=[reader.tenant_id, CATALOGUE])
    drills = drills.order_by("key", "-version").distinct("key")
    return Choices(
        list(agencies.order_by("name", "external_id")[:CHOICES_MOST]),
        list(drills.values_list("key", "title")[:CHOICES_MOST]),
    )


def _plain(search: CallSearch) -> dict[str, Any]:
    wanted = {
        "created_at__gte": search.first_day and _midnight(search.first_day),
        "created_at__lt": search.last_day and _midnight(search.last_day + timedelta(days=1)),
        "drill_key": search.drill or None,
        "overall__gte": search.score_from,
        "overall__lte": search.score_to,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _agencies(reader: Reader, search: CallSearch) -> tuple[uuid.UUID, ...] | None:
    if not search.agency:
        return reader.agencies or None
    named = Agency.objects.for_tenant(reader.tenant_id).filter(external_id=search.agency)
    found = tuple(named.values_list("pk", flat=True))
    return tuple(set(found) & set(reader.agencies)) if reader.agencies else found


def _reps(reader: Reader, text: str, notes: list[str]) -> list[uuid.UUID]:
    named = Q(external_id__icontains=text) | Q(name__icontains=text)
    rows = Rep.objects.for_tenant(reader.tenant_id).filter(named)
    rows = rows.annotate(exact=Q(external_id=text)).order_by("-exact")
    rows_found = list(rows.values_list("pk", "exact")[: REPS_MOST + 1])
    if rows_found and rows_found[0][1]:
        return [rows_found[0][0]]
    found = [rep_id for rep_id, _ in rows_found]
    if len(found) > REPS_MOST:
        notes.append(f"More than {REPS_MOST} reps are called so; not all are shown. Write more.")
    return found[:REPS_MOST]


def _page(
    reader: Reader,
    rows: QuerySet[Call],
    search: CallSearch,
    count: int,
    place: Cursor | None,
    notes: list[str],
) -> list[Call]:
    titles = Prefetch("drill", Drill.objects.with_catalogue().only("title"))
    rows = rows.prefetch_related("rep", "agency", titles)
    order = ("-created_at", "-id")
    if not search.words:
        return calls_first(rows, order, count, _agencies(reader, search))
    border = rows.order_by(*order).values_list("created_at", flat=True)[NEAR : NEAR + 1].first()
    near = rows if border is None else rows.filter(created_at__gt=border)
    found = list(saying(near, search.words).order_by(*order)[:count])
    if len(found) == count or border is None:
        return found
    ids = _far(reader, search.words, before=place.at if place else None)
    if len(ids) == FAR_MOST:
        notes.append(f"Only the newest {FAR_MOST:,} calls with these words were looked at.")
    return list(rows.filter(pk__in=ids).order_by(*order)[:count])


def _far(reader: Reader, words: str, *, before: datetime | None) -> list[uuid.UUID]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT calls_saying(%s, %s, coalesce(%s, 'infinity'::timestamptz), %s)",
            [words, reader.mode, before, FAR_MOST],
        )
        return [call_id for (call_id,) in cursor.fetchall()]


_SPOKEN = """
    SELECT DISTINCT ON (call_id) call_id, start_time, ts_headline(
        'pg_catalog.english', text, asked.one,
        'StartSel=\x02, StopSel=\x03, MaxWords=24, MinWords=12'
    )
    FROM calls_transcriptline, (
        SELECT replace(websearch_to_tsquery('pg_catalog.english', %s)::text, '&', '|')::tsquery
            AS one
    ) AS asked
    WHERE tenant_id = %s AND call_id = ANY(%s)
        AND to_tsvector('pg_catalog.english', text) @@ asked.one
    ORDER BY call_id, number
"""


def _spoken(reader: Reader, words: str, call_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Spoken]:
    """Of each call the first line that says one of the words."""
    if not words or not call_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_SPOKEN, [words, reader.tenant_id, list(call_ids)])
        return {row[0]: Spoken(round(row[1], 2), _parts(row[2])) for row in cursor.fetchall()}


def _parts(marked: str) -> tuple[tuple[str, bool], ...]:
    parts: list[tuple[str, bool]] = []
    for piece in marked.split("\x02"):
        hit, end, rest = piece.rpartition("\x03")
        parts += [(hit, True), (rest, False)] if end else [(piece, False)]
    return tuple(part for part in parts if part[0])


def _give_up_in_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{SEARCH_SECONDS}s"])


def _value(column: str, text: str) -> object:
    """Raises ValueError with a sentence."""
    if len(text) > LONGEST or "\x00" in text:
        raise ValueError(f"At most {LONGEST} characters.")
    if column in ("first_day", "last_day"):
        return _day(text)
    if column in ("score_from", "score_to"):
        if not text.isascii() or not text.isdecimal() or int(text) > 100:
            raise ValueError("A score is a whole number from 0 to 100.")
        return int(text)
    if column == "stage" and text not in STAGES:
        raise ValueError("There is no such stage.")
    return text


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as odd:
        raise ValueError("A day such as 2026-06-05.") from odd
    if not 2000 <= day.year <= 2999:
        raise ValueError("A day such as 2026-06-05.")
    return day
