"""The process of `bench.calls_list` that measures, with Django set up for its database."""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from bench.many_calls import calls_copy, superuser, word_of, words_copy  # noqa: E402
from bench.paced import load  # noqa: E402
from bench.plans import Plan, plans_kept  # noqa: E402
from calls.history.exporting import export_batches  # noqa: E402
from calls.history.filters import CallFilters, Cursor  # noqa: E402
from calls.history.listing import Page, Reader, calls_scored  # noqa: E402
from calls.history.search import CallSearch, calls_search  # noqa: E402
from calls.models import Call  # noqa: E402
from calls.tests.making import API, make_drill, make_integrator  # noqa: E402
from calls.tests.making_calls import add_scorecard, add_transcript  # noqa: E402
from tenants.isolation import tenant_scope  # noqa: E402
from tenants.models import ApiKey, Membership, User  # noqa: E402
from tenants.services import api_key_create  # noqa: E402
from tests.conftest import ROOT, free_ports  # noqa: E402

VAR = Path(os.environ["ATHOS_VAR"])
(VAR / "static").mkdir(exist_ok=True)  # WhiteNoise warns of a missing one
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
LIMIT = 50
DRILLS = (
    "ma-full-sale", "ma-first-call", "ma-objections", "ma-renewal", "ma-specialists", "ma-closing",
)  # fmt: skip
OTHERS = 5  # tenants beside the one that is measured
READY_WITHIN = 60.0  # seconds, for the web process
# What must hold.
DEPTH_RATIO = 1.3
SLOWEST = 30.0  # milliseconds, p99
# Rows of the table, or 8 kB blocks, a page may cost: its own rows and the next one's, each of which
# may lie elsewhere. Where the planner knows that a rep or an agency has few calls it may sort them.
ROWS_READ = 4 * (LIMIT + 1)
BLOCKS_READ = 6 * (LIMIT + 1)
# A second filter beside the one that the index is for: looked at along the way.
NARROWED = 60 * (LIMIT + 1)
KEYS = {"all": 0, "one agency": 1, "3 agencies": 3, "25 agencies": 25, "sandbox": 0}


@dataclass(frozen=True)
class World:
    """What was seeded. Keys go by their names in KEYS; `told` are calls with a transcript."""

    tenant_id: str
    scored: int
    keys: dict[str, str]
    agencies: dict[str, list[str]]  # of each key
    told: list[str]
    cookie: str

    def reader(self, key: str) -> Reader:
        mode = ApiKey.Mode.TEST if key == "sandbox" else ApiKey.Mode.LIVE
        limits = tuple(uuid.UUID(one) for one in self.agencies[key])
        return Reader(uuid.UUID(self.tenant_id), limits, mode)


def world_ensure(scored: int) -> World:
    """Of this folder: found, or made."""
    call_command("migrate", database="owner", verbosity=0, interactive=False)
    file = VAR / "world.json"
    if file.exists():
        return World(**json.loads(file.read_text()))
    drills = [make_drill(key) for key in DRILLS]
    big, *others = (make_integrator(f"Bench {number}") for number in range(1 + OTHERS))
    sizes = {big.tenant.pk: scored} | {one.tenant.pk: scored // OTHERS for one in others}
    began = time.monotonic()
    with superuser(VAR) as connection:
        crowds = calls_copy(
            connection, sizes, drills=[(one.tenant_id, one.pk, one.key) for one in drills]
        )
        said = connection.execute(
            "SELECT count(*), pg_size_pretty(pg_table_size('calls_call')),"
            " pg_size_pretty(pg_indexes_size('calls_call')) FROM calls_call"
        ).fetchone()
    print(f"copied {said} in {time.monotonic() - began:.0f} s", flush=True)
    agencies = [agency_id for agency_id, _ in crowds[big.tenant.pk].agencies]
    middle = len(agencies) // 10  # neither the largest nor the smallest
    limits = {
        name: [agencies[-1]] if count == 1 else agencies[middle : middle + count]
        for name, count in KEYS.items()
    }
    keys = {}
    for name in KEYS:
        mode = ApiKey.Mode.TEST if name == "sandbox" else ApiKey.Mode.LIVE
        _, keys[name] = (
            api_key_create(tenant=big.tenant, name=name, mode=mode, agencies=limits[name])
            if name != "all"
            else (None, big.secret)
        )
    world = World(
        tenant_id=str(big.tenant.pk),
        scored=scored,
        keys=keys,
        agencies={name: [str(one) for one in each] for name, each in limits.items()},
        told=_calls_tell(big.tenant.pk),
        cookie=_cookie(big.tenant.pk),
    )
    file.write_text(json.dumps(asdict(world)))
    return world


def _calls_tell(tenant_id: uuid.UUID) -> list[str]:
    """The public ids of some calls, now with a transcript and a scorecard."""
    with tenant_scope(tenant_id):
        rows = Call.objects.filter(stage="scored", mode="live").order_by("-ended_at")
        calls = list(rows[:100])
    for call in calls:
        add_transcript(call)
        add_scorecard(call)
    return [call.public_id for call in calls]


def _cookie(tenant_id: uuid.UUID) -> str:
    """Of a manager who is signed in."""
    with tenant_scope(tenant_id):
        user_id = Membership.objects.values_list("user_id", flat=True).first()
    client = Client()
    client.force_login(User.objects.get(pk=user_id))
    return client.cookies["sessionid"].value


# --- plans ----------------------------------------------------------------------------------------


def queries(world: World) -> Iterator[tuple[str, dict[str, str], bool]]:
    """Every documented combination; whether one filter is only looked at along the way."""
    month = {"from": _days_ago(120), "to": _days_ago(90)}
    filters = {
        "": ({}, False),
        "rep": ({"externalUserId": "rep_7"}, False),
        "rep gone": ({"externalUserId": "rep_gone"}, False),
        "rep unknown": ({"externalUserId": "nobody"}, False),
        "agency": ({"externalAgencyId": "agency_2"}, False),
        "agency gone": ({"externalAgencyId": _last_agency(world)}, False),
        "rep + agency": ({"externalUserId": "rep_7", "externalAgencyId": "agency_2"}, True),
        "source": ({"source": "roleplay"}, False),
    }
    for name, (wanted, narrowed) in filters.items():
        yield f"from {name}", {"from": "2020-01-01", **wanted}, narrowed
        yield f"from, to {name}", {**month, **wanted}, narrowed
        yield f"scoredFrom {name}", {"scoredFrom": "2020-01-01", **wanted}, narrowed
        yield (
            f"scoredFrom, from, to {name}",
            {"scoredFrom": _days_ago(150), **month, **wanted},
            True,
        )


def plans_report(world: World) -> bool:
    """Each plan of the first and the next page, and whether all are as they must be."""
    good, slowest = True, 0.0
    count = 0
    for key in KEYS:
        readers = [
            (
                f"{key}: {name}",
                narrowed or ("rep" in name and KEYS[key] > 0),
                _pages(world, key, query),
            )
            for name, query, narrowed in queries(world)
        ]
        recent = (f"{key}: the manager's list", False, _pages_recent(world.reader(key)))
        for name, narrowed, pages in [*readers, recent]:
            with plans_kept("calls_call") as plans:
                pages()
            for number, plan in enumerate(plans, start=1):
                problem = plan_problem(plan, narrowed=narrowed, agencies=KEYS[key])
                if problem:
                    good = False
                    print(f"  WRONG {name}, page {number}: {problem}: {plan}", flush=True)
                slowest, count = max(slowest, plan.milliseconds), count + 1
    print(
        f"plans: {count} of {world.scored} scored calls, {'all' if good else 'NOT all'} index scans"
        f" of the page alone; the slowest took {slowest:.1f} ms",
        flush=True,
    )
    return good


def plan_problem(plan: Plan, *, narrowed: bool, agencies: int) -> str:
    """Empty when the page is read from an index, in order, and little else is."""
    if not plan.scans <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}:
        return "not by an index"
    if max(plan.rows, plan.sorted_rows) > (NARROWED if narrowed else ROWS_READ) + agencies:
        return "rows are read and thrown away"
    if plan.blocks > (NARROWED if narrowed else BLOCKS_READ) + 10 * agencies:
        return "much is read"
    return ""


def _pages(world: World, key: str, query: dict[str, str]) -> Callable[[], None]:
    def read() -> None:
        bearer = {"Authorization": f"Bearer {world.keys[key]}"}
        client = Client(headers=bearer, SERVER_NAME="localhost")
        body = _body(client.get(f"{API}/calls", query))
        if body["nextCursor"]:
            _body(client.get(f"{API}/calls", query | {"cursor": body["nextCursor"]}))

    return read


def _pages_recent(reader: Reader) -> Callable[[], None]:
    def read() -> None:
        page = calls_search(reader=reader, search=CallSearch(), limit=LIMIT).page
        if page.next_cursor:
            calls_search(reader=reader, search=CallSearch(), limit=LIMIT, cursor=page.next_cursor)

    return read


def _body(answer: Any) -> dict[str, Any]:
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code} {answer.content[:300]}")
    return answer.json()


def _last_agency(world: World) -> str:
    with superuser(VAR) as connection:
        row = connection.execute(
            "SELECT external_id FROM tenants_agency WHERE id = %s",
            [world.agencies["one agency"][0]],
        ).fetchone()
    assert row
    return row[0]


def _days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- depth ----------------------------------------------------------------------------------------


def depth_report(world: World, port: int, rounds: int = 100) -> bool:
    """Pages by turns: over HTTP, from the selector, and by OFFSET. Medians in milliseconds."""
    reader, filters = world.reader("all"), CallFilters(ended_from=EPOCH)
    numbers = [1, 100, min(10_000, world.scored // LIMIT)]
    cursors = {number: _cursor_of_page(world, filters, number) for number in numbers}
    taken: dict[tuple[str, int], list[float]] = {}
    for turn in range(rounds + 2):
        for number in random.sample(numbers, len(numbers)):
            reading: dict[str, Callable[[], Any]] = {
                "http": lambda n=number: _http_page(world, port, cursors[n]),
                "keyset": lambda n=number: calls_scored(
                    reader=reader, filters=filters, limit=LIMIT, cursor=cursors[n]
                ),
            }
            if turn % 10 == 0:
                reading["offset"] = lambda n=number: _offset_page(reader, filters, n)
            for name, read in reading.items():
                began = time.perf_counter()
                read()
                if turn >= 2 or name == "offset":
                    taken.setdefault((name, number), []).append(time.perf_counter() - began)
    medians = {at: 1000 * statistics.median(seconds) for at, seconds in taken.items()}
    for number in numbers:
        same = _offset_page(reader, filters, number) == [
            call.pk
            for call in calls_scored(
                reader=reader, filters=filters, limit=LIMIT, cursor=cursors[number]
            ).calls
        ]
        print(
            f"depth: page {number}: over HTTP {medians['http', number]:.1f} ms, selector"
            f" {medians['keyset', number]:.1f} ms, by OFFSET {medians['offset', number]:.1f} ms;"
            f" the same rows: {same}",
            flush=True,
        )
        assert same
    good = True
    for name in ("http", "keyset"):
        first, last = medians[name, numbers[0]], medians[name, numbers[-1]]
        ratio = max(first, last) / min(first, last)
        good = good and ratio <= DEPTH_RATIO
        print(f"depth: {name}: pages 1 and {numbers[-1]} within {ratio:.2f}", flush=True)
    return good


def _cursor_of_page(world: World, filters: CallFilters, number: int) -> str | None:
    """As the page before would give it, without walking there."""
    if number == 1:
        return None
    reader = world.reader("all")
    with tenant_scope(reader.tenant_id):
        place = (number - 1) * LIMIT - 1
        ended_at, row_id = (
            reader.calls()
            .filter(stage="scored")
            .order_by("-ended_at", "-id")
            .values_list("ended_at", "id")[place]
        )
    digest = filters.digest(tenant_id=reader.tenant_id, mode=reader.mode)
    return Cursor(datetime.now(UTC), ended_at, row_id).write(list_digest=digest)


def _offset_page(reader: Reader, filters: CallFilters, number: int) -> list[uuid.UUID]:
    """The peer: the same rows, found by counting from the start."""
    with reader.scope():
        rows = reader.calls().filter(stage="scored", ended_at__gte=filters.ended_from)
        begin = (number - 1) * LIMIT
        return [call.pk for call in rows.order_by("-ended_at", "-id")[begin : begin + LIMIT]]


def _http_page(world: World, port: int, cursor: str | None) -> None:
    query = {"from": EPOCH.strftime("%Y-%m-%dT%H:%M:%SZ")} | ({"cursor": cursor} if cursor else {})
    address = f"http://127.0.0.1:{port}{API}/calls?{urlencode(query)}"
    request = Request(address, headers={"Authorization": f"Bearer {world.keys['all']}"})
    with urlopen(request, timeout=10) as answer:
        assert len(json.loads(answer.read())["data"]) == LIMIT


# --- walk -----------------------------------------------------------------------------------------


def walk_report(world: World, limit: int = 100) -> bool:
    """Every page to the end, by the end of the call and by the time of scoring."""
    good = True
    for name, filters in (
        ("from", CallFilters(ended_from=EPOCH)),
        ("scoredFrom", CallFilters(scored_from=EPOCH)),
    ):
        reader, cursor, seen, times = world.reader("all"), None, set(), []
        rows = 0
        while True:
            began = time.perf_counter()
            page: Page = calls_scored(reader=reader, filters=filters, limit=limit, cursor=cursor)
            times.append(time.perf_counter() - began)
            rows += len(page.calls)
            seen.update(call.pk for call in page.calls)
            if (cursor := page.next_cursor) is None:
                break
        once = rows == len(seen) == world.scored
        good = good and once
        tenth = max(1, len(times) // 10)
        print(
            f"walk: {name}: {rows} rows on {len(times)} pages, {len(seen)} different, of"
            f" {world.scored}; the first tenth of the pages {_median(times[:tenth]):.1f} ms each,"
            f" the last {_median(times[-tenth:]):.1f} ms",
            flush=True,
        )
    return good


def _median(seconds: list[float]) -> float:
    return 1000 * statistics.median(seconds)


# --- load -----------------------------------------------------------------------------------------


def load_report(world: World, port: int, rate: int, seconds: int) -> bool:
    """Each kind of reading at that rate; good when all stay below the bound."""
    origin = f"http://127.0.0.1:{port}"
    calls, since = f"{origin}{API}/calls", "from=2020-01-01T00:00:00Z"
    filters = CallFilters(ended_from=EPOCH)
    chance = random.Random(1)
    deep = [
        f"{calls}?{since}&cursor={quote(str(_cursor_of_page(world, filters, number)))}"
        for number in chance.sample(range(2, world.scored // LIMIT), 20)
    ]
    first = calls_search(reader=world.reader("all"), search=CallSearch(), limit=25).page
    recent = first.next_cursor or ""
    key = {name: {"Authorization": f"Bearer {secret}"} for name, secret in world.keys.items()}
    kinds: list[tuple[str, list[str], dict[str, str]]] = [
        ("GET /calls, first page", [f"{calls}?{since}"], key["all"]),
        ("GET /calls, any page", deep, key["all"]),
        (
            "GET /calls, of a rep and of an agency",
            [f"{calls}?{since}&externalUserId=rep_7", f"{calls}?{since}&externalAgencyId=agency_2"],
            key["all"],
        ),
        ("GET /calls, scoredFrom", [f"{calls}?scoredFrom={_days_ago(1)}"], key["all"]),
        ("GET /calls, key of 3 agencies", [f"{calls}?{since}"], key["3 agencies"]),
        ("GET /calls, key of 25 agencies", [f"{calls}?{since}"], key["25 agencies"]),
        ("GET /calls/{callId}", [f"{calls}/{one}" for one in world.told], key["all"]),
        ("GET /calls/{callId}/status", [f"{calls}/{one}/status" for one in world.told], key["all"]),
        (
            "the manager's list",
            [f"{origin}/calls", f"{origin}/calls?before={quote(recent)}"],
            {"Cookie": f"sessionid={world.cookie}"},
        ),
    ]
    good = True
    for name, addresses, headers in kinds:
        told = load(addresses, headers, rate=rate, seconds=seconds)
        kept = told.wrong == 0 and told.percentile(0.99) <= SLOWEST
        good = good and kept
        print(
            f"load: {name} at {rate}/s: {told}, {told.wrong} wrong; load"
            f" {os.getloadavg()[0]:.1f}{'' if kept else f' (MISSED {SLOWEST:.0f} ms)'}",
            flush=True,
        )
    return good


# --- search and export ----------------------------------------------------------------------------


def search_report(world: World) -> bool:
    """Each search several times, its first and its next page, through the service."""
    with superuser(VAR) as connection:
        began = time.monotonic()
        told = words_copy(connection, uuid.UUID(world.tenant_id))
        if told:
            print(f"words of {told} calls copied in {time.monotonic() - began:.0f} s", flush=True)
    day = datetime.now(UTC).date()
    ranks = (0, 10, 100, 1_000, 5_000, 19_000)
    searches = {
        **{f"word of rank {rank}": (CallSearch(words=word_of(rank)), 500) for rank in ranks},
        "two words": (CallSearch(words=f"{word_of(300)} {word_of(700)}"), 500),
        "no such word": (CallSearch(words="nobodysaidthis"), 500),
        "a word and a rep": (CallSearch(words=word_of(1_000), rep="rep_7"), 500),
        "a word and a score": (CallSearch(words=word_of(100), score_to=20), 500),
        "nothing": (CallSearch(), 300),
        "a rep": (CallSearch(rep="rep_7"), 300),
        "many reps": (CallSearch(rep="rep_49"), 300),
        "an agency": (CallSearch(agency="agency_2"), 300),
        "no such drill": (CallSearch(drill="none"), 300),
        "failed": (CallSearch(stage="failed"), 300),
        "open": (CallSearch(stage="open"), 300),
        "score 0 to 1": (CallSearch(score_from=0, score_to=1), 300),
        "a month, score over 98": (
            CallSearch(
                first_day=day - timedelta(days=120),
                last_day=day - timedelta(days=90),
                score_from=99,
            ),
            300,
        ),
    }
    good = True
    for key in ("all", "3 agencies"):
        for name, (search, most) in searches.items():
            good = _search_kept(world.reader(key), f"{key}: {name}", search, most) and good
    return good


def _search_kept(reader: Reader, name: str, search: CallSearch, most: int) -> bool:
    taken, rows = [], 0
    for _ in range(5):
        cursor = None
        for _ in range(2):
            began = time.perf_counter()
            page = calls_search(reader=reader, search=search, limit=25, cursor=cursor).page
            taken.append(1000 * (time.perf_counter() - began))
            rows = max(rows, len(page.calls))
            cursor = page.next_cursor
            if cursor is None:
                break
    kept = max(taken) <= most
    print(
        f"search: {name}: median {statistics.median(taken):.0f} ms, slowest of {len(taken)}"
        f" {max(taken):.0f} ms, {rows} rows; load {os.getloadavg()[0]:.1f}"
        f"{'' if kept else f' (MISSED {most} ms)'}",
        flush=True,
    )
    return kept


def export_report(world: World) -> bool:
    """All that one file may hold, without and with a word that half of the calls say."""
    good = True
    for name, search in (("everything", CallSearch()), ("a word", CallSearch(words=word_of(3)))):
        before, rows, began = _memory(), -1, time.perf_counter()
        for part in export_batches(reader=world.reader("all"), search=search):
            rows += part.count(b"\r\n")
        seconds = time.perf_counter() - began
        more = _memory() - before
        kept = rows / seconds >= 5_000 and more < 50
        good = good and kept
        print(
            f"export: {name}: {rows} rows in {seconds:.1f} s, {rows / seconds:.0f} a second,"
            f" {more:.0f} MB more memory at the most; load {os.getloadavg()[0]:.1f}"
            f"{'' if kept else ' (MISSED)'}",
            flush=True,
        )
    return good


def _memory() -> float:
    """The most that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def web_process() -> Iterator[int]:
    """The product's own web server on a free port."""
    port = free_ports()
    environment = os.environ | {"PUBLIC_URL": f"http://localhost:{port}"}
    with (VAR / "web.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "web", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + READY_WITHIN
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the web process did not start: see {VAR / 'web.log'}")
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # it lets requests end first
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def main() -> None:
    scored, seconds, rate = map(int, sys.argv[1:4])
    parts = sys.argv[4:]
    world = world_ensure(scored)
    print(f"{world.scored} scored calls of one tenant; load {os.getloadavg()[0]:.1f}", flush=True)
    good = []
    if "plans" in parts:
        good.append(plans_report(world))
    if {"depth", "load"} & set(parts):
        with web_process() as port:
            if "depth" in parts:
                good.append(depth_report(world, port))
            if "load" in parts:
                good.append(load_report(world, port, rate, seconds))
    if "search" in parts:
        good.append(search_report(world))
    if "export" in parts:
        good.append(export_report(world))
    if "walk" in parts:
        good.append(walk_report(world))
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
