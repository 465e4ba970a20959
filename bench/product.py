"""A running `up` from outside: seeding calls, looking into the database, hurting its parts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from psycopg.rows import class_row

from athos.engines.folders import Folders
from athos.engines.postgres import DATABASE, SUPERUSER
from tests.conftest import (
    OWN_SETTINGS,
    ROOT,
    Product,
    free_ports,
    product_start,
    product_stop,
)

SEEDED_WITHIN = 120.0  # seconds for one call


@dataclass(frozen=True)
class Seeded:
    id: str
    public_id: str
    due: float  # seconds of the clock on the wall


@dataclass(frozen=True)
class CallFacts:
    """What the database says of a call, seen as its superuser."""

    id: str
    stage: str
    failure: str
    scored_at: datetime | None
    last_error: str
    parked: bool
    tries: int
    scorecards: int
    events: int
    deliveries: int
    delivered: int
    recordings: int
    rep_lines: int
    lines: int
    leftovers: int

    @property
    def over(self) -> bool:
        return self.stage in ("scored", "failed") or self.parked

    @property
    def told_once(self) -> bool:
        return (self.events, self.deliveries, self.delivered) == (1, 1, 1)

    @property
    def scored_once(self) -> bool:
        """One of everything, and nothing left behind."""
        kept = (self.scorecards, self.recordings, self.leftovers)
        return self.stage == "scored" and kept == (1, 1, 0) and self.told_once


_FACTS = """
SELECT c.id::text, c.stage, c.failure, c.scored_at, c.last_error, c.tries,
    c.parked_at IS NOT NULL AS parked,
    (SELECT count(*) FROM scoring_scorecard s WHERE s.call_id = c.id) AS scorecards,
    (SELECT count(*) FROM webhooks_event e WHERE e.subject_id = c.id) AS events,
    (SELECT count(*) FROM webhooks_delivery d JOIN webhooks_event e ON e.id = d.event_id
        WHERE e.subject_id = c.id) AS deliveries,
    (SELECT count(*) FROM webhooks_delivery d JOIN webhooks_event e ON e.id = d.event_id
        WHERE e.subject_id = c.id AND d.state = 'delivered') AS delivered,
    (SELECT count(*) FROM calls_recording r WHERE r.call_id = c.id) AS recordings,
    (SELECT count(*) FROM calls_transcriptline l WHERE l.call_id = c.id AND l.role = 'user')
        AS rep_lines,
    (SELECT count(*) FROM calls_transcriptline l WHERE l.call_id = c.id) AS lines,
    (SELECT count(*) FROM calls_heardchunk h WHERE h.call_id = c.id) AS leftovers
FROM calls_call c WHERE c.id = ANY(%s::uuid[]) ORDER BY c.scored_at
"""


@dataclass
class Database:
    """Looks as the superuser, past row security; a new connection each time, so it may be away."""

    var: Path

    def rows(self, query: str, *values: Any) -> list[tuple]:
        with self._connect() as connection:
            return connection.execute(query, values).fetchall()

    def facts(self, seeded: list[Seeded]) -> list[CallFacts]:
        with (
            self._connect() as connection,
            connection.cursor(row_factory=class_row(CallFacts)) as c,
        ):
            return c.execute(_FACTS, [[call.id for call in seeded]]).fetchall()

    def at_work(self) -> list[int]:
        """The tries of each call somebody works on now."""
        query = "SELECT tries FROM calls_call WHERE lease_token IS NOT NULL AND lease_until > now()"
        return [tries for (tries,) in self.rows(query)]

    def wait(
        self,
        seeded: list[Seeded],
        happened: Callable[[CallFacts], bool],
        seconds: float,
    ) -> list[CallFacts]:
        """The facts once they are so of every call, or when the time is over."""
        until = time.monotonic() + seconds
        while True:
            try:
                facts = self.facts(seeded)
                if all(map(happened, facts)) or time.monotonic() > until:
                    return facts
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.2)

    def _connect(self) -> "psycopg.Connection[tuple]":
        return psycopg.connect(
            host=str(Folders(self.var).sockets),
            user=SUPERUSER,
            dbname=DATABASE,
            autocommit=True,
            connect_timeout=5,
        )


class Seeder:
    """The process of `bench.seeding`."""

    def __init__(self, var: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not OWN_SETTINGS.match(name)}
        self._log = (var / "seeding.log").open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.seeding"],
            cwd=ROOT,
            env=kept | {"ATHOS_VAR": str(var)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def call(self, dialogue: Path) -> Seeded:
        """An ended call of that dialogue, due now."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{dialogue}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the seeding ended: see {self._log.name}")
        return Seeded(**json.loads(answer))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()


@contextmanager
def seeding(var: Path) -> Iterator[Seeder]:
    seeder = Seeder(var)
    try:
        yield seeder
    finally:
        seeder.close()


@contextmanager
def running_product(keep: bool = False) -> Iterator[Product]:
    """An `up` of its own in a folder thrown away. Models come from MODELS_DIR or the checkout."""
    var = Path(tempfile.mkdtemp(prefix="athos-bench-"))
    var.chmod(0o711)
    product = product_start(var, free_ports())
    try:
        yield product
    finally:
        try:
            product_stop(product)
        finally:
            if not keep:
                shutil.rmtree(var, ignore_errors=True)


# --- hurting -------------------------------------------------------------------------------------


def slow_worker_kill(product: Product) -> float:
    """kill -9 to the worker of transcriptions and all below it; the time of the wall's clock."""
    worker = product.child("worker", "slow")
    children = worker.children(recursive=True)
    for process in [worker, *children]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive, "a killed worker lives"
    return time.time()


def slow_worker_wait(product: Product, seconds: float = 30.0) -> float:
    """Until the supervisor started it again; the time of the wall's clock."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if product.child("worker", "slow").status() != psutil.STATUS_ZOMBIE:
                return time.time()
        except (LookupError, psutil.Error):
            pass
        time.sleep(0.05)
    raise RuntimeError("the supervisor did not start the worker again")


def valkey_flush(product: Product) -> None:
    """Forget every bell, channel and count."""
    socket = Folders(product.var).sockets / "valkey.sock"
    client = redis.Redis(unix_socket_path=str(socket), socket_timeout=5)
    client.flushall()
    client.close()


def postgres_stop_immediately(product: Product) -> None:
    """SIGQUIT to the postmaster: it drops everybody and recovers at its next start."""
    pid = int((product.var / "pg" / "postmaster.pid").read_text().split()[0])
    below = {child.pid for child in psutil.Process(product.process.pid).children(recursive=True)}
    assert pid in below, "that is not our server"
    os.kill(pid, signal.SIGQUIT)
