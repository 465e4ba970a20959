"""The process of `bench.keys` that measures, with Django set up for its database."""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import django
import psutil

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench.hammer import Connection, Hammered, hammer, post  # noqa: E402
from bench.keys_web import BARE, NO_LOG  # noqa: E402
from calls.models import Call, LiveSlot, LiveWorker  # noqa: E402
from calls.services.tokens import session_mint  # noqa: E402
from calls.tests.making import (  # noqa: E402
    API,
    Integrator,
    make_drill,
    make_integrator,
    make_worker,
)
from tenants import keys  # noqa: E402
from tenants.auth import caller_find  # noqa: E402
from tenants.errors import AthosError  # noqa: E402
from tenants.isolation import tenant_scope  # noqa: E402
from tenants.models import ApiRequest  # noqa: E402
from tenants.request_log import EVERY_SECONDS, requests_expire  # noqa: E402
from tenants.services import api_key_create, api_key_revoke  # noqa: E402
from tests.conftest import ROOT, free_ports  # noqa: E402

VAR = Path(os.environ["ATHOS_VAR"])
READY_WITHIN = 60.0  # seconds, for a web process
CONNECTIONS = 8
REQUESTS = 400  # of a round, of each kind
SETTLED = 0.8  # seconds in which the log of requests writes what was asked before
RACERS = 64
BATCH = 50  # tokens minted ahead: they live for five minutes
MINT_BODY = b'{"externalUserId": "rep_8842"}'
REDEEM_BODY = b'{"drillKey": "ma-full-sale"}'
# What must hold.
JUNK_MICROSECONDS = 50.0
REFUSAL_SHARE = 0.95
LOG_SHARE = 0.03  # of a request's work, that its row in the log may add


class Missed(Exception):
    """Something that must hold does not."""


def hold(what: str, holds: bool) -> None:
    print(f"  {'holds ' if holds else 'MISSED'}  {what}", flush=True)
    if not holds:
        _missed.append(what)


_missed: list[str] = []
Turned = TypeVar("Turned")


# --- the check alone -----------------------------------------------------------------------------


def check(acme: Integrator) -> None:
    print("the key check, in process")
    wrong = acme.secret[:-1] + ("0" if acme.secret[-1] != "0" else "1")
    junk = {"empty": "", "a word": "nonsense", "8 kB": "x" * 8192, "wrong checksum": wrong}
    for name, key in junk.items():
        microseconds, queries = _cost(lambda key=key: caller_find(key, None), times=20_000)
        hold(f"junk ({name}): {microseconds:.1f} µs, {queries} queries",
             microseconds <= JUNK_MICROSECONDS and queries == 0)  # fmt: skip
    for name, key in {"good": acme.secret, "unknown": keys.make("live")}.items():
        microseconds, queries = _cost(lambda key=key: caller_find(key, None), times=2_000)
        hold(f"{name} key: {microseconds:.0f} µs with its query, {queries} queries", queries <= 1)


def _cost(work: Callable[[], object], *, times: int) -> tuple[float, int]:
    """Microseconds, the best of five rounds, and queries of one."""

    def once() -> None:
        with suppress(AthosError):
            work()

    once()
    with CaptureQueriesContext(connection) as captured:
        once()
    best = min(_timed(once, times // 5) for _ in range(5))
    return best * 1e6, len(captured)


def _timed(work: Callable[[], None], times: int) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times


# --- over HTTP -----------------------------------------------------------------------------------


@contextmanager
def web_process(port: int, *, keeps_log: bool = True) -> Iterator[psutil.Process]:
    plenty = "1000000000/1"
    limits = {f"RATE_LIMIT_{name}": plenty for name in ("KEY", "REDEEM", "UNKNOWN_KEYS")}
    log = (VAR / f"web-{port}.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.keys_web", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | limits | ({} if keeps_log else {NO_LOG: "1"}),
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        until = time.monotonic() + READY_WITHIN
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the web process did not start: see {log.name}")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        log.close()


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
            return True
    except (URLError, ConnectionError, TimeoutError):
        return False


def over_http(acme: Integrator, web: psutil.Process, port: int, rounds: int) -> None:
    print(f"over HTTP, one web process, {CONNECTIONS} connections, {rounds} rounds by turns")
    revoked_key, revoked = api_key_create(tenant=acme.tenant, name="Revoked")
    api_key_revoke(tenant=acme.tenant, key_id=revoked_key.pk)
    mint = f"{API}/session"
    wrong = acme.secret[:-1] + ("0" if acme.secret[-1] != "0" else "1")
    kinds: dict[str, tuple[Callable[[], list[bytes]], int]] = {
        "bare view": (lambda: [post(BARE, MINT_BODY, acme.secret)] * REQUESTS, 200),
        "no key": (lambda: [post(mint, MINT_BODY, "nonsense")] * REQUESTS, 401),
        "wrong checksum": (lambda: [post(mint, MINT_BODY, wrong)] * REQUESTS, 401),
        "revoked key": (lambda: [post(mint, MINT_BODY, revoked)] * REQUESTS, 401),
        "mint": (lambda: [post(mint, MINT_BODY, acme.secret)] * REQUESTS, 200),
        "redeem": (lambda: [_redeem(token) for token in _tokens(acme, REQUESTS)], 200),
    }
    told: dict[str, list[tuple[Hammered, float]]] = {name: [] for name in kinds}
    order = list(kinds)
    for _ in range(rounds + 1):  # the first one warms up
        random.Random(len(told[order[0]])).shuffle(order)  # nobody has always the same before them
        for name in order:
            requests, status = kinds[name]
            ready = requests()
            time.sleep(SETTLED)
            before = _worked(web)
            result = hammer(port, ready, connections=CONNECTIONS)
            if set(result.statuses) != {status}:
                raise Missed(f"{name}: {result.statuses}")
            told[name].append((result, (_worked(web) - before) / REQUESTS))
        _slots_free()
    _tell(told)


def _worked(web: psutil.Process) -> float:
    """Seconds of a core that the process has had: what others do at the time changes it little."""
    spent = web.cpu_times()
    return float(spent.user + spent.system)


def _tell(told: dict[str, list[tuple[Hammered, float]]]) -> None:
    """The medians of all rounds but the first, and their shares of the bare view's round."""
    bare = told["bare view"][1:]
    for name, rounds in told.items():
        results = rounds[1:]
        pairs = list(zip(results, bare, strict=True))
        share = statistics.median(mine.rate / beside.rate for (mine, _), (beside, _) in pairs)
        work = statistics.median(beside / mine for (_, mine), (_, beside) in pairs)
        rate = statistics.median(result.rate for result, _ in results)
        cores = 1000 * statistics.median(seconds for _, seconds in results)
        p50, p99 = (max(result.percentile(s) for result, _ in results) for s in (0.5, 0.99))
        line = (
            f"{name}: {rate:.0f}/s, {share:.1%} of the bare view; {cores:.2f} ms of a core,"
            f" {work:.1%}; worst round p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        )
        if name in ("no key", "wrong checksum"):
            hold(line, share >= REFUSAL_SHARE)
        else:
            print(f"          {line}", flush=True)


# --- the log of requests -------------------------------------------------------------------------


def with_log(acme: Integrator, webs: dict[int, psutil.Process], rounds: int) -> None:
    """By turns the process that keeps the log (the first) and the one that keeps none."""
    print(f"the log of requests, {CONNECTIONS} connections, {rounds} rounds by turns")
    mints = [post(f"{API}/session", MINT_BODY, acme.secret)] * REQUESTS
    pairs = [
        [_round(port, web, mints) for port, web in _turned(list(webs.items()), number)]
        for number in range(rounds + 1)  # the first one warms up
    ]
    ordered = [_turned(pair, number) for number, pair in enumerate(pairs)][1:]
    work = statistics.median(kept[0] / none[0] for kept, none in ordered) - 1
    rate = statistics.median(none[1] / kept[1] for kept, none in ordered) - 1
    hold(f"a mint with the log: {work:+.1%} of a core's time, {rate:+.1%} of its seconds",
         work <= LOG_SHARE)  # fmt: skip
    time.sleep(2 * EVERY_SECONDS)
    with tenant_scope(acme.tenant.pk):
        rows = ApiRequest.objects.count()
        hold(f"{rows} rows were written", rows >= len(mints) * rounds)
        ApiRequest.objects.update(at=timezone.now() - timedelta(days=8))
        begun, deleted = time.perf_counter(), 0
        while found := requests_expire(tenant_id=acme.tenant.pk, most=5000):
            deleted += found
    print(f"          deleting them: {deleted / (time.perf_counter() - begun):.0f} rows a second")


def _turned(pair: list[Turned], number: int) -> list[Turned]:
    return pair if number % 2 == 0 else pair[::-1]


def _round(port: int, web: psutil.Process, requests: list[bytes]) -> tuple[float, float]:
    """Seconds of a core for a request, its queue emptied; and requests a second."""
    before = _worked(web)
    result = hammer(port, requests, connections=CONNECTIONS)
    if set(result.statuses) != {200}:
        raise Missed(f"mint: {result.statuses}")
    time.sleep(1.5 * EVERY_SECONDS)  # what waits in its queue belongs to this round
    return (_worked(web) - before) / len(requests), result.rate


def _redeem(token: str) -> bytes:
    return post(f"{API}/roleplay/session", REDEEM_BODY, token)


def _tokens(acme: Integrator, count: int) -> list[str]:
    caller = caller_find(acme.secret, None)
    return [
        session_mint(caller=caller, external_user_id=f"rep{n}", external_agency_id=None).token
        for n in range(count)
    ]


def _slots_free() -> None:
    LiveSlot.objects.update(call_id=None, tenant_id=None, lease_until=None)


# --- races ---------------------------------------------------------------------------------------


def races(acme: Integrator, ports: list[int], tokens: int) -> None:
    print(f"{RACERS} racers for each of {tokens} tokens, over {len(ports)} web processes")
    with tenant_scope(acme.tenant.pk):
        before = Call.objects.count()
    outcomes, waits = asyncio.run(_races(acme, ports, tokens))
    with tenant_scope(acme.tenant.pk):
        calls = Call.objects.count() - before
    told = Hammered(waits=waits, seconds=1.0)
    hold(f"{outcomes[200]} wins, {calls} calls", outcomes[200] == calls == tokens)
    hold(f"every other answer a refusal: {dict(outcomes)}", set(outcomes) <= {200, 401, 503})
    p50, p99 = told.percentile(0.5), told.percentile(0.99)
    print(f"          p50 {p50:.1f} ms, p99 {p99:.1f} ms of {len(waits)} requests", flush=True)


async def _races(
    acme: Integrator, ports: list[int], tokens: int
) -> tuple[Counter[int], list[float]]:
    """Every racer asks until it knows: a 503 (a crowded pool) spends nothing and is tried again."""
    opened = [await Connection.open(ports[n % len(ports)]) for n in range(RACERS)]
    outcomes: Counter[int] = Counter()
    waits: list[float] = []

    async def run(racer: Connection, request: bytes) -> None:
        status = 503
        while status == 503:
            sent = time.perf_counter()
            status = await racer.ask(request)
            waits.append(time.perf_counter() - sent)
            outcomes[status] += 1

    for begin in range(0, tokens, BATCH):
        count = min(BATCH, tokens - begin)
        for token in await asyncio.to_thread(_tokens, acme, count):
            async with asyncio.TaskGroup() as racing:
                for racer in opened:
                    racing.create_task(run(racer, _redeem(token)))
        await asyncio.to_thread(_slots_free)
    for racer in opened:
        racer.close()
    return outcomes, waits


def main() -> None:
    rounds, tokens, parts = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    (VAR / "static").mkdir(exist_ok=True)  # WhiteNoise warns of a missing one
    call_command("migrate", database="owner", verbosity=0, interactive=False)
    acme = make_integrator("Bench")
    make_drill()
    make_worker(slots=max(REQUESTS, BATCH))
    LiveWorker.objects.update(heartbeat_at=timezone.now() + timedelta(days=1))  # beats for ever
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    if "check" in parts:
        check(acme)
    if {"http", "log", "races"} & set(parts):
        first = free_ports()
        with ExitStack() as webs:
            web = webs.enter_context(web_process(first))
            if "http" in parts:
                over_http(acme, web, first, rounds)
            if "log" in parts:
                beside = webs.enter_context(web_process(first + 2, keeps_log=False))
                with_log(acme, {first: web, first + 2: beside}, rounds)
            if "races" in parts:
                webs.enter_context(web_process(first + 1))
                races(acme, [first, first + 1], tokens)
    print(f"load {os.getloadavg()[0]:.1f}")
    if _missed:
        raise SystemExit(f"{len(_missed)} missed")


if __name__ == "__main__":
    main()
