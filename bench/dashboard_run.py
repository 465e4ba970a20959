"""The process of `bench.dashboard` that measures, with Django set up for its database."""

import gzip
import http.client
import json
import os
import random
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from bench.calls_list_run import VAR, World, web_process, world_ensure  # noqa: E402
from bench.many_calls import superuser, words_copy  # noqa: E402
from bench.many_pages import pages_fill  # noqa: E402
from calls.models import Call  # noqa: E402
from calls.tests.making_calls import add_recording  # noqa: E402
from scoring.models import Rubric  # noqa: E402
from tenants.isolation import CATALOGUE, tenant_scope  # noqa: E402
from tenants.models import Agency, Membership, Rep, Tenant, User  # noqa: E402
from tests.dashboard.bed import LIMITED, MANAGER, OWNER, Side, member_add  # noqa: E402
from tests.dashboard.pages import PAGES, Page  # noqa: E402

SLOWEST, MOST_QUERIES, HEAVIEST = 300.0, 20, 250_000  # ms at p95; a page; bytes of a first view
WARM_UP = 2  # rounds that are not counted
ROLES = (OWNER, LIMITED)
TIMEOUT = 60.0  # seconds
# What a page loads by itself: in its HTML, and in modules.
_LOADED = (
    re.compile(r'<link rel="stylesheet" href="([^"]+)"'),
    re.compile(r'<script[^>]* src="([^"]+)"'),
    re.compile(r'<img[^>]* src="([^"]+)"'),
    re.compile(r'hx-get="([^"]+)"[^>]* hx-trigger="load"'),
)
_IMPORTED = re.compile(r'^import [^;]*?"(\.[^"]+)"', re.MULTILINE)


# More than the registry has, which shows a month: the widest that a page goes.
WIDEST = (
    Page("home-90-days-all", lambda side: "/?days=90"),
    Page("calls-of-agency", lambda side: "/calls?agency=north"),
    Page("calls-scored-low", lambda side: "/calls?stage=scored&score_to=20"),
    Page("reps-of-agency", lambda side: f"/reps?agency={side.agencies['north'].public_id}"),
    Page("reps-searched", lambda side: "/reps?q=ada"),
)


# --- the tenant -----------------------------------------------------------------------------------


def side_ensure(world: World) -> Side:
    """The one tenant as the registry of pages wants it: found, or made."""
    tenant_id = uuid.UUID(world.tenant_id)
    side = Side(Tenant(pk=tenant_id))
    file = VAR / "side.json"
    if not file.exists():
        file.write_text(json.dumps(_side_make(side)))
        return side
    told = json.loads(file.read_text())
    for role, email in told["users"].items():
        side.users[role] = User.objects.get(email=email)
    with tenant_scope(tenant_id):
        side.agencies["north"] = Agency.objects.get(external_id="north")
        side.calls = [Call.objects.get(public_id=told["call"])]
    side.things = {
        name: SimpleNamespace(public_id=value) if name in _NAMED_BY_ID else value
        for name, value in told["things"].items()
    }
    return side


_NAMED_BY_ID = {"key", "endpoint", "event"}


def _side_make(side: Side) -> dict[str, Any]:
    """Through the product's services and the seeds of the pages; what to find it by again."""
    tenant_id = side.tenant.pk
    with tenant_scope(tenant_id):
        for number, name in enumerate(("north", "south")):  # the largest, as the seeds call them
            Agency.objects.filter(external_id=f"agency_{number}").update(external_id=name)
        places = {one.external_id: one for one in Agency.objects.for_tenant(tenant_id)}
        side.agencies = {name: places[name] for name in ("north", "south")}
        seen = Rep.objects.get(external_id="rep_1")  # whom the pages' seeds give something to do
        Rep.objects.filter(pk=seen.pk).update(agency=seen.agency or places["agency_3"])
        home = seen.agency or places["agency_3"]
        owner = Membership.objects.get(role=OWNER)
        side.users[OWNER] = User.objects.get(pk=owner.user_id)
        newest = Call.objects.for_tenant(tenant_id).filter(
            mode="live", stage="scored", agency=side.agencies["north"]
        )
        side.calls = list(newest.order_by("-ended_at")[:3])
    member_add(side, MANAGER, MANAGER, [])
    member_add(
        side, LIMITED, MANAGER, [one.pk for one in (places["north"], places["agency_2"], home)]
    )
    add_recording(side.calls[0], seconds=30.0)
    for page in PAGES:
        if page.seed:
            page.seed(side)
    return {
        "users": {role: user.email for role, user in side.users.items()},
        "call": side.calls[0].public_id,
        "things": {
            name: thing.public_id if name in _NAMED_BY_ID else thing
            for name, thing in side.things.items()
        },
    }


def rows_ensure(world: World, side: Side) -> None:
    """The volume of everything beside calls, part by part."""
    tenant_id = uuid.UUID(world.tenant_id)
    with tenant_scope(CATALOGUE):
        rubric = Rubric.objects.get(tenant_id=CATALOGUE, key="ma-full-sale", version=1)
    values = {
        "tenant": tenant_id,
        "rubric_owner": CATALOGUE,
        "rubric": rubric.pk,
        "user": str(side.users[OWNER].pk),
        "calls": world.scored,
    }
    with superuser(VAR) as own:
        for name in ("key", "endpoint"):
            table = {"key": "tenants_apikey", "endpoint": "webhooks_endpoint"}[name]
            found = own.execute(
                f"SELECT id FROM {table} WHERE public_id = %s".encode(),
                [side.things[name].public_id],
            ).fetchone()
            assert found
            values[name] = found[0]
        began = time.monotonic()
        if told := words_copy(own, tenant_id):
            print(f"words of {told} calls in {time.monotonic() - began:.0f} s", flush=True)
        for line in pages_fill(own, values, done=VAR / "pages.txt"):
            print(line, flush=True)


# --- measuring ------------------------------------------------------------------------------------


@dataclass
class Told:
    """Of one page and one role: milliseconds, queries and bytes."""

    name: str
    role: str
    address: str
    cookie: str
    seconds: list[float] = field(default_factory=list)
    queries: int = 0
    weight: int = 0
    page_bytes: int = 0
    statements: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def pages_told(side: Side, names: list[str]) -> list[Told]:
    """Whatever a role may open, with its session."""
    cookies: dict[tuple[str, str], str] = {}
    found = []
    for page in [*PAGES, *WIDEST]:
        for role in ROLES:
            mode = (role, page.mode)
            if role in page.roles and (not names or page.name in names):
                cookies[mode] = cookies.get(mode) or side.cookie(role, mode=page.mode)
                found.append(Told(page.name, role, page.address(side), cookies[mode]))
    return found


class Browser:
    """One connection that stays open; answers as they come over the wire."""

    def __init__(self, port: int, cookie: str) -> None:
        self._connection = http.client.HTTPConnection("localhost", port, timeout=TIMEOUT)
        cookie = f"{settings.SESSION_COOKIE_NAME}={cookie}"
        self._headers = {"Cookie": cookie, "Accept-Encoding": "gzip"}

    def get(self, address: str) -> http.client.HTTPResponse:
        """An answer whose body is still to be read."""
        self._connection.request("GET", address, headers=self._headers)
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{address}: {answer.status} {answer.read()[:300]!r}")
        return answer

    def weigh(self, address: str) -> tuple[str, int]:
        """The text of an answer and its bytes, head included."""
        answer = self.get(address)
        body = answer.read()
        head = sum(len(name) + len(value) + 4 for name, value in answer.getheaders())
        packed = answer.headers.get("Content-Encoding") == "gzip"
        text = gzip.decompress(body) if packed else body
        return text.decode(errors="replace"), head + len(body)

    def close(self) -> None:
        self._connection.close()


def weights_take(told: list[Told], port: int) -> None:
    """What a browser with an empty cache loads for each page."""
    for one in told:
        browser = Browser(port, one.cookie)
        text, one.page_bytes = browser.weigh(one.address)
        waiting = [urljoin(one.address, found) for rule in _LOADED for found in rule.findall(text)]
        seen: dict[str, int] = {}
        while waiting:
            address = waiting.pop()
            if address not in seen and not address.startswith("data:"):
                text, seen[address] = browser.weigh(address)
                if address.endswith(".js"):
                    waiting += [urljoin(address, found) for found in _IMPORTED.findall(text)]
        one.weight = one.page_bytes + sum(seen.values())
        browser.close()


def queries_count(told: list[Told]) -> None:
    """In this process, by the same code: its second answer, as the first fills caches."""
    client = Client(SERVER_NAME="localhost")
    for one in told:
        client.cookies[settings.SESSION_COOKIE_NAME] = one.cookie
        for _ in range(2):
            with statements_kept() as statements:
                answer = client.get(one.address)
            if answer.status_code != 200:
                raise RuntimeError(f"{one.address}: {answer.status_code}")
        one.queries, one.statements = len(statements), statements


@contextmanager
def statements_kept() -> Iterator[list[str]]:
    """Whatever the block sends to PostgreSQL."""
    kept: list[str] = []

    def counted(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        kept.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(counted):
        yield kept


def times_take(told: list[Told], port: int, rounds: int) -> None:
    """Each page so many times, by turns."""
    browsers = {one.cookie: Browser(port, one.cookie) for one in told}
    for turn in range(rounds + WARM_UP):
        for one in random.sample(told, len(told)):
            began = time.perf_counter()
            browsers[one.cookie].get(one.address).read()
            if turn >= WARM_UP:
                one.seconds.append(time.perf_counter() - began)


def report(told: list[Told], *, times: bool) -> bool:
    """A line each, the slowest first; whether all are as they must be."""
    good = True
    print(f"{'page':28}{'as':9}{'p50 ms':>8}{'p95 ms':>8}{'queries':>9}{'page kB':>9}{'all kB':>8}")
    for one in sorted(told, key=lambda one: -one.percentile(0.95)):
        missed = [
            name
            for name, value, most in (
                ("time", one.percentile(0.95) if times else 0, SLOWEST),
                ("queries", one.queries, MOST_QUERIES),
                ("weight", one.weight, HEAVIEST),
            )
            if value > most
        ]
        good = good and not missed
        print(
            f"{one.name:28}{one.role:9}{one.percentile(0.5):8.0f}{one.percentile(0.95):8.0f}"
            f"{one.queries:9}{one.page_bytes / 1000:9.1f}{one.weight / 1000:8.1f}"
            f"{'  MISSED: ' + ', '.join(missed) if missed else ''}",
            flush=True,
        )
    return good


def main() -> None:
    scored, rounds, times, *names = sys.argv[1:]
    call_command("collectstatic", interactive=False, verbosity=0)
    world = world_ensure(int(scored))
    side = side_ensure(world)
    rows_ensure(world, side)
    told = pages_told(side, names)
    queries_count(told)
    with web_process() as port:
        weights_take(told, port)
        began = os.times().elapsed
        times_take(told, port, int(rounds))
        spent = os.times().elapsed - began
    print(
        f"{len(told)} pages of {world.scored} scored calls, {rounds} times each in {spent:.0f} s;"
        f" load {os.getloadavg()[0]:.1f}"
    )
    raise SystemExit(0 if report(told, times=bool(times)) else 1)


if __name__ == "__main__":
    main()
