"""Kills and outages while ended calls are processed: nothing lost, nothing doubled.

    python -m bench.chaos             # 20 kills of the worker; then Valkey and PostgreSQL

An `up` of its own runs in a temporary folder. `kills` is kill -9 to the worker of transcriptions
and all its children while it holds a call; the supervisor starts it again. `outages` lets Valkey
forget everything and stops PostgreSQL at once, while the API is asked for session tokens: every
token it gave must stand in the database. A row that was killed twice is spared a third kill: three
are a poisoned row, which is parked by design.
"""

import argparse
import base64
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from bench.dialogues import SHORT, converse, voices
from bench.product import (
    CallFacts,
    Database,
    Product,
    Seeded,
    Seeder,
    postgres_stop_immediately,
    running_product,
    seeding,
    slow_worker_kill,
    slow_worker_wait,
    valkey_flush,
)

TRIES_SPARED = 2  # starts of a call after which it is not killed again: the third parks it
STARTS_WINDOW = 61.0  # the supervisor gives up on five starts within a minute
WORK_WITHIN = 60.0  # seconds until the worker must hold a call


# --- kills ---------------------------------------------------------------------------------------


@dataclass
class Kills:
    """What came of a run of kills."""

    seeded: list[Seeded] = field(default_factory=list)
    killed: list[float] = field(default_factory=list)  # seconds of the wall's clock
    restarted: list[float] = field(default_factory=list)
    facts: list[CallFacts] = field(default_factory=list)

    def waits(self) -> list[float]:
        """Of each call: seconds from its turn to its score.

        Its turn has come when it is due, the worker runs, and the one before is scored.
        """
        due = {call.id: call.due for call in self.seeded}
        waits, before = [], 0.0
        for call in self.facts:
            if call.scored_at is None:
                continue
            scored = call.scored_at.timestamp()
            restarts = [at for at in self.restarted if at < scored]
            waits.append(scored - max([due[call.id], before, *restarts[-1:]]))
            before = scored
        return waits


def kills(
    product: Product, seeder: Seeder, dialogue: Path, *, times: int, calls: int, seed: int = 1
) -> Kills:
    """Kill that many times, with work at hand all the while; then let it finish."""
    database, chance, run = Database(product.var), random.Random(seed), Kills()
    starts = [product.child("worker", "slow").create_time()]
    for _ in range(times):
        respect_supervisor(starts)
        wait_for_victim(run, database, seeder, dialogue)
        time.sleep(chance.uniform(0.0, 6.0))
        wait_for_victim(run, database, seeder, dialogue)
        run.killed.append(slow_worker_kill(product))
        run.restarted.append(slow_worker_wait(product))
        starts.append(run.restarted[-1])
    while len(run.seeded) < calls:
        feed(run, database, seeder, dialogue)
        time.sleep(0.2)
    run.facts = database.wait(
        run.seeded, lambda call: call.scored_once or call.failure != "" or call.parked, 300
    )
    return run


def feed(run: Kills, database: Database, seeder: Seeder, dialogue: Path) -> None:
    """Two calls that are not scored yet."""
    waiting = sum(not call.over for call in database.facts(run.seeded))
    for _ in range(2 - waiting):
        run.seeded.append(seeder.call(dialogue))


def wait_for_victim(run: Kills, database: Database, seeder: Seeder, dialogue: Path) -> None:
    """Until the worker holds a call that may be killed."""
    until = time.monotonic() + WORK_WITHIN
    feed(run, database, seeder, dialogue)
    while not any(tries <= TRIES_SPARED for tries in database.at_work()):
        if time.monotonic() > until:
            raise RuntimeError(f"nothing is worked on after {WORK_WITHIN:.0f} s")
        feed(run, database, seeder, dialogue)
        time.sleep(0.05)


def respect_supervisor(starts: list[float]) -> None:
    """Wait until one more end of the worker is not its fifth start within a minute."""
    if len(starts) >= 5:
        time.sleep(max(0.0, starts[-5] + STARTS_WINDOW - time.time()))


# --- outages -------------------------------------------------------------------------------------


@dataclass
class Mints:
    """Every answer to POST /session while parts were away."""

    tokens: list[str] = field(default_factory=list)
    refused: int = 0  # 503 in the envelope
    wrong: list[str] = field(default_factory=list)  # anything else
    slowest: float = 0.0  # seconds


@dataclass
class Outages:
    seeded: list[Seeded]
    facts: list[CallFacts]
    mints: Mints
    missing: int  # tokens given that are not in the database
    away: list[float]  # seconds from each stop of PostgreSQL to its next answer


def outages(
    product: Product,
    seeder: Seeder,
    dialogue: Path,
    *,
    calls: int,
    flushes: int,
    stops: int,
    seed: int = 1,
) -> Outages:
    """Seed a batch, then flush and stop at random moments while it is worked on."""
    database, chance = Database(product.var), random.Random(seed)
    seeded = [seeder.call(dialogue) for _ in range(calls)]
    moves = ["flush"] * flushes + ["stop"] * stops
    chance.shuffle(moves)
    away = []
    with minting(product) as mints:
        for move in moves:
            time.sleep(chance.uniform(0.5, 4.0))
            if move == "flush":
                valkey_flush(product)
                continue
            postgres_stop_immediately(product)
            away.append(postgres_wait(database))
            time.sleep(4.0)  # some answers after it
    facts = database.wait(
        seeded, lambda call: call.scored_once or call.failure != "" or call.parked, 240
    )
    return Outages(seeded, facts, mints, tokens_missing(database, mints.tokens), away)


def postgres_wait(database: Database, seconds: float = 60.0) -> float:
    began = time.monotonic()
    time.sleep(0.1)
    while time.monotonic() - began < seconds:
        try:
            database.rows("select 1")
            return time.monotonic() - began
        except OSError:
            time.sleep(0.05)
        except Exception as problem:
            if type(problem).__name__ != "OperationalError":
                raise
            time.sleep(0.05)
    raise RuntimeError("PostgreSQL did not come back")


@contextmanager
def minting(product: Product) -> Iterator[Mints]:
    """Ask for tokens without a pause for as long as the block runs, in two threads."""
    mints, stop, lock = Mints(), threading.Event(), threading.Lock()
    demo = product.demo

    def ask() -> None:
        while not stop.wait(0.05):
            began = time.monotonic()
            status, body = mint(demo)
            with lock:
                mints.slowest = max(mints.slowest, time.monotonic() - began)
                note(mints, status, body)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield mints
    finally:
        stop.set()
        for thread in threads:
            thread.join(40)


def mint(demo: dict[str, str]) -> tuple[int, bytes]:
    request = Request(
        f"{demo['baseUrl']}/api/external/v1/session",
        data=json.dumps({"externalUserId": "bench"}).encode(),
        headers={
            "Authorization": f"Bearer {demo['apiKey']}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except HTTPError as refused:
        return refused.code, refused.read()
    except OSError as problem:
        return 0, repr(problem).encode()


def note(mints: Mints, status: int, body: bytes) -> None:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    if 200 <= status < 300 and "token" in answer:
        mints.tokens.append(answer["token"])
    elif status == 503 and {"code", "message", "requestId"} <= answer.get("error", {}).keys():
        mints.refused += 1
    else:
        mints.wrong.append(f"{status} {body[:200]!r}")


def tokens_missing(database: Database, tokens: list[str]) -> int:
    """How many of these tokens have no row."""
    jtis = [token_id(token) for token in tokens]
    query = "select jti::text from calls_sessiontoken where jti = any(%s::uuid[])"
    rows = database.rows(query, jtis)
    return len(set(jtis) - {jti for (jti,) in rows}) + len(jtis) - len(set(jtis))


def token_id(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])


# --- the command ---------------------------------------------------------------------------------


def problems(facts: list[CallFacts], seeded: list[Seeded]) -> list[CallFacts]:
    assert len(facts) == len(seeded), "a call is gone"
    return [call for call in facts if not call.scored_once]


def report_kills(run: Kills) -> int:
    waits, bad = run.waits(), problems(run.facts, run.seeded)
    slow = [wait for wait in waits if wait > 30]
    print(
        f"kills: {len(run.killed)} kill -9, {len(run.seeded)} calls,"
        f" {len(run.seeded) - len(bad)} scored exactly once;"
        f" from its turn to its score: longest {max(waits, default=0):.1f} s,"
        f" over 30 s: {len(slow)}; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    for call in bad:
        print("  ", call)
    return len(bad) + len(slow)


def report_outages(run: Outages) -> int:
    bad, mints = problems(run.facts, run.seeded), run.mints
    away = ", ".join(f"{seconds:.1f}" for seconds in run.away)
    print(
        f"outages: {len(run.seeded)} calls, {len(run.seeded) - len(bad)} scored exactly once;"
        f" PostgreSQL away {away} s; {len(mints.tokens)} tokens given, {run.missing} without a row;"
        f" {mints.refused} answers 503, {len(mints.wrong)} others, slowest {mints.slowest:.1f} s;"
        f" load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    for call in bad:
        print("  ", call)
    for answer in sorted(set(mints.wrong))[:5]:
        print("  ", answer)
    return len(bad) + run.missing + len(mints.wrong) + (mints.refused == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--flushes", type=int, default=5)
    parser.add_argument("--stops", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dialogue", type=Path, help="spoken before, else it is spoken now")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    options = parser.parse_args()
    with running_product(options.keep) as product, seeding(product.var) as seeder:
        print(f"var {product.var}, ready after {product.ready_seconds:.1f} s", flush=True)
        dialogue = options.dialogue or converse(SHORT, voices(SHORT, product.speech_socket)).save(
            product.var / "short.npz"
        )
        wrong = 0
        if options.kills:
            wrong += report_kills(
                kills(product, seeder, dialogue, times=options.kills, calls=options.calls,
                      seed=options.seed)
            )  # fmt: skip
        if options.flushes or options.stops:
            wrong += report_outages(
                outages(product, seeder, dialogue, calls=6, flushes=options.flushes,
                        stops=options.stops, seed=options.seed)
            )  # fmt: skip
    raise SystemExit(min(wrong, 1))


if __name__ == "__main__":
    main()
