"""Calls for people: found by whom, what, when, how well, and by words that were said.

A page costs the same with a million calls: each filter has an index behind the order, or finds its
page on the way. Words are looked for in the newest calls first, one by one (`calls_said`); where
those are not enough, the words' index is asked for older ones (`calls_saying`). Both are functions
that keep to the scope's tenant and agencies, because row security would switch the index off.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import OperationalError, connection
from django.db.models import Prefetch, Q, QuerySet

from calls.history.filters import Cursor
from calls.history.listing import Page, Reader, calls_first, calls_of_mode
from calls.models import Call, Drill, RepStanding
from tenants.errors import AthosError
from tenants.isolation import CATALOGUE
from tenants.models import Agency, Rep

LONGEST = 200  # characters of a filter
REPS_MOST = 200  # that a part of a name may stand for
NEAR = 1_000  # of the newest calls that match otherwise, looked at one by one
FAR_MOST = 20_000  # calls that the index gives for words, the newest
FAR_FIRST = timedelta(days=31)  # how far back it is asked first; then as far as that was thin
FAR_BATCH = 500  # of those, whose other filters are looked at together
LABELLED_MONTHS = 24  # in one question to the index; a longer time has no months
CHOICES_MOST = 500  # agencies and drills to choose from
SEARCH_SECONDS = 5  # then a search gives up
NEWEST = ("-created_at", "-id")
FIRST_DAY, LONGEST_AGO = date(2000, 1, 1), timedelta(days=365_000)
KEY = re.compile(r"[a-z0-9-]{1,100}")
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
            wanted = narrowed(reader, search, notes)
            rows = after(wanted.rows, place)
            found = _page(rows, wanted, search, limit + 1, notes, mode=reader.mode)
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


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The reader's calls by all filters but the words; None: of all agencies, of all reps."""

    rows: QuerySet[Call]
    agencies: tuple[uuid.UUID, ...] | None
    reps: tuple[uuid.UUID, ...] | None


def narrowed(reader: Reader, search: CallSearch, notes: list[str]) -> Narrowed:
    """Needs the scope."""
    rows = calls_of_mode(reader).filter(**_plain(search))
    if search.words:  # what was said in private is not to be found
        rows = rows.filter(private=False)
    agencies = _agencies(reader, search)
    if agencies is not None:
        rows = rows.filter(agency_id__in=agencies)
    reps = _reps(reader, search.rep, notes) if search.rep else None
    if reps is not None:
        rows = rows.filter(rep_id__in=reps)
    return Narrowed(_of_stage(rows, search.stage), agencies, reps)


def _of_stage(rows: QuerySet[Call], stage: str) -> QuerySet[Call]:
    if stage == FAILED:
        return rows.filter(~Q(stage="scored"), Q(stage="failed") | ~Q(failure=""))
    if stage == OPEN:
        return rows.filter(~Q(stage="scored"), stage__in=_OPEN_STAGES, failure="")
    return rows.filter(stage="scored") if stage else rows


_OPEN_STAGES = [stage for stage in Call.Stage.values if stage not in ("scored", "failed")]


def after(rows: QuerySet[Call], place: Cursor | None) -> QuerySet[Call]:
    """What comes behind a place, in the order of the list."""
    if place is None:
        return rows
    same = Q(created_at=place.at, id__lt=place.row_id)
    return rows.filter(Q(created_at__lt=place.at) | same, created_at__lte=place.at)


def said_among(call_ids: Sequence[uuid.UUID], words: str) -> set[uuid.UUID]:
    """Those of a few calls in which the words were said. Needs the scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT calls_said(%s, %s)", [words, list(call_ids)])
        return {call_id for (call_id,) in cursor.fetchall()}


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


def _reps(reader: Reader, text: str, notes: list[str]) -> tuple[uuid.UUID, ...]:
    named = Q(external_id__icontains=text) | Q(name__icontains=text)
    rows = Rep.objects.for_tenant(reader.tenant_id).filter(named)
    if reader.agencies:  # row security asks for each rep; so of few reps only
        rows = rows.filter(pk__in=_reps_of_agencies(reader))
    rows = rows.annotate(exact=Q(external_id=text)).order_by("-exact")
    rows_found = list(rows.values_list("pk", "exact")[: REPS_MOST + 1])
    if rows_found and rows_found[0][1]:
        return (rows_found[0][0],)
    found = tuple(rep_id for rep_id, _ in rows_found)
    if len(found) > REPS_MOST:
        notes.append(f"More than {REPS_MOST} reps are called so; not all are shown. Write more.")
    return found[:REPS_MOST]


def _reps_of_agencies(reader: Reader) -> set[uuid.UUID]:
    """Who is in the reader's agencies, and who had a score there and has left."""
    there = Rep.objects.for_tenant(reader.tenant_id).filter(agency_id__in=reader.agencies)
    scored = RepStanding.objects.for_tenant(reader.tenant_id)
    scored = scored.filter(agency_id__in=reader.agencies).distinct()
    return {*there.values_list("pk", flat=True), *scored.values_list("rep_id", flat=True)}


def _page(
    rows: QuerySet[Call],
    wanted: Narrowed,
    search: CallSearch,
    count: int,
    notes: list[str],
    *,
    mode: str,
) -> list[Call]:
    titles = Prefetch("drill", Drill.objects.with_catalogue().only("title"))
    whole = rows.prefetch_related("rep", "agency", titles)
    if not search.words:
        few = search.stage == OPEN  # agency by agency would pass all that are scored
        return calls_first(whole, NEWEST, count, None if few else wanted.agencies)
    near = calls_first(rows.values_list("id", "created_at"), NEWEST, NEAR, wanted.agencies)
    said = said_among([call_id for call_id, _ in near], search.words)
    found = [call_id for call_id, _ in near if call_id in said][:count]
    if len(found) < count and len(near) == NEAR:
        last_id, last_at = near[-1]
        older = after(rows, Cursor(last_at, last_at, last_id))
        for batch in _far(wanted, search, last_at, notes, mode=mode):
            matching = older.filter(pk__in=batch).order_by(*NEWEST).values_list("pk", flat=True)
            found += matching[: count - len(found)]
            if len(found) == count:
                break
    return list(whole.filter(pk__in=found).order_by(*NEWEST))


def _far(
    wanted: Narrowed, search: CallSearch, before: datetime, notes: list[str], *, mode: str
) -> Iterator[list[uuid.UUID]]:
    """What the words' index knows of these calls, the newest first, at most FAR_MOST.

    By stretches of time, each at least twice as long as the one before, and so long that no more
    than are left are to be expected: a word that all say is looked for in one month only, one that
    nobody says in all years at once.
    """
    earliest = _midnight(search.first_day or FIRST_DAY)
    left, span = FAR_MOST, FAR_FIRST
    while left > 0:
        since = max(before - span, earliest)
        labels = _labels(wanted, search, mode=mode, since=since, before=before)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT calls_saying(%s, %s, %s, %s, %s)",
                [search.words, labels, since, before, left],
            )
            ids = [call_id for (call_id,) in cursor.fetchall()]
        for begin in range(0, len(ids), FAR_BATCH):
            yield ids[begin : begin + FAR_BATCH]
        if since == earliest:
            return
        left -= len(ids)
        before = since - timedelta(microseconds=1)
        span = min(LONGEST_AGO, span * max(2, left / max(1, len(ids))))
    notes.append(f"Only the newest {FAR_MOST:,} calls with these words were looked at.")


def _labels(
    wanted: Narrowed, search: CallSearch, *, mode: str, since: datetime, before: datetime
) -> str:
    """What `calls_labels` wrote beside the words, as a query. Nothing that somebody typed."""
    months = before.year * 12 + before.month - since.year * 12 - since.month + 1
    groups: dict[str, Sequence[object]] = {"mode": [mode]}
    if months <= LABELLED_MONTHS:
        last = before.year * 12 + before.month - 1
        numbers = range(last - months + 1, last + 1)
        groups["month"] = [f"{number // 12:04}-{number % 12 + 1:02}" for number in numbers]
    if KEY.fullmatch(search.drill):
        groups["drill"] = [search.drill]
    groups |= {"rep": wanted.reps or (), "agency": wanted.agencies or ()}
    quoted = [[f"'{kind}:{one}'" for one in values] for kind, values in groups.items() if values]
    return " & ".join(f"({' | '.join(labels)})" for labels in quoted)


_SPOKEN = """
    SELECT call_id, start_time, ts_headline(
        'pg_catalog.english', text, one, 'StartSel=\x02, StopSel=\x03, MaxWords=24, MinWords=12'
    )
    FROM (
        SELECT replace(websearch_to_tsquery('pg_catalog.english', %s)::text, '&', '|')::tsquery
            AS one
    ) AS asked, unnest(%s::uuid[]) AS wanted (id), LATERAL (
        SELECT call_id, start_time, text FROM calls_transcriptline
        WHERE tenant_id = %s AND call_id = wanted.id
            AND to_tsvector('pg_catalog.english', text) @@ one
        ORDER BY number LIMIT 1
    ) AS first
"""


def _spoken(reader: Reader, words: str, call_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Spoken]:
    """Of each call the first line that says one of the words."""
    if not words or not call_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_SPOKEN, [words, list(call_ids), reader.tenant_id])
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
        raise ValueError("A day is written like 2026-06-05.") from odd
    if not 2000 <= day.year <= 2999:
        raise ValueError("A day is written like 2026-06-05.")
    return day
