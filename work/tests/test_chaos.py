"""Real Celery workers, a real beat, and a Valkey of each test's own that may be killed.

The lease is 10 s, renewed every 3, and the sweep looks every second: a row whose worker is gone
must be done 12 s later.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from celery import current_app
from django.conf import settings
from redis import Redis

from athos.engines.folders import Folders
from athos.engines.programs import signal_group, start
from athos.engines.valkey import Valkey
from tenants.isolation import tenant_scope
from work import bell
from work.tests.conftest import tenant_make
from work.tests.probe import Probe, probe_add

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("probe_table"),
]

NOT_HELD_UP = 10.0  # seconds; it takes half of one, and for ever where it waits for Valkey
TAKEN_OVER_WITHIN = 12.0  # seconds: a lease and a sweep
CELERY = [sys.executable, "-m", "celery", "-A", "work.tests.worker"]


class Machine:
    """The processes of one test. All of them are gone when it ends."""

    def __init__(self, folder: Path) -> None:
        self.engine = Valkey(Folders(folder), durable=False)
        self.engine.folders.create()
        self.logs = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self.valkey = self.valkey_start()

    def valkey_start(self) -> "subprocess.Popen[bytes]":
        process = start(self.engine.program(), subprocess.DEVNULL)
        self._running.append(process)
        wait(self.engine.answers, 10, "Valkey answers")
        return process

    def worker(self, name: str) -> "subprocess.Popen[bytes]":
        options = ["worker", "-c", "1", "-n", f"{name}@%h", "-l", "INFO"]
        return self._celery(name, *options, "--without-gossip", "--without-mingle")

    def beat(self) -> "subprocess.Popen[bytes]":
        return self._celery("beat", "beat", "--pidfile=")

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.txt").read_text()

    def stop(self) -> None:
        for process in self._running:
            signal_group(process.pid, signal.SIGKILL)
            process.wait(10)

    def _celery(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.logs / f"{name}.txt").open("wb") as log:
            process = subprocess.Popen(
                [*CELERY, *arguments],
                env=os.environ | {"REDIS_URL": self.engine.url, "LOG_LEVEL": "INFO"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(process)
        return process


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Iterator[Machine]:
    found = Machine(tmp_path)
    monkeypatch.setattr(settings, "REDIS_URL", found.engine.url)
    monkeypatch.setattr(bell, "_resting_until", 0.0)
    broker = current_app.conf.broker_url
    _use_broker(found.engine.url.replace("unix://", "redis+socket://"))
    yield found
    found.stop()
    _use_broker(broker)


def _use_broker(url: str) -> None:
    """This process rings the same Valkey as the workers hear."""
    bell._valkey.cache_clear()
    current_app.conf.broker_url = url


def wait(happened: Callable[[], object], seconds: float, what: str) -> float:
    """Seconds until it happened."""
    started = time.monotonic()
    while not happened():
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - started


def now_of(tenant: uuid.UUID, probe: Probe) -> Probe:
    with tenant_scope(tenant):
        return Probe.objects.get(pk=probe.pk)


def held(machine: Machine, tenant: uuid.UUID, probe: Probe) -> list[psutil.Process]:
    """Wait until a worker sits on the row; its pool child and the worker itself."""
    wait(lambda: now_of(tenant, probe).behaviour == "quick", 25, "the row is held")
    child = psutil.Process(now_of(tenant, probe).holder)
    main = child.parent()
    assert main is not None
    return [main, child]


def done(tenant: uuid.UUID, probe: Probe) -> bool:
    return now_of(tenant, probe).effects > 0


def test_killed_in_the_middle_another_finishes_once(machine):
    tenant = tenant_make()
    probe = probe_add(tenant, behaviour="hold")
    machine.beat()
    machine.worker("one")
    machine.worker("two")
    for process in held(machine, tenant, probe):
        process.kill()
    seconds = wait(lambda: done(tenant, probe), TAKEN_OVER_WITHIN, "the other worker finishes")
    time.sleep(1)
    assert now_of(tenant, probe).effects == 1
    print(f"\nkill -9: done by another worker after {seconds:.1f} s")


def test_a_killed_pool_child_costs_no_more(machine):
    """Celery looks after its children every 5 s; the row itself waits for its lease."""
    tenant = tenant_make()
    probe = probe_add(tenant, behaviour="hold")
    other = probe_add(tenant, due_at=None)
    machine.beat()
    machine.worker("one")
    held(machine, tenant, probe)[1].kill()
    with tenant_scope(tenant):
        Probe.objects.filter(pk=other.pk).update(due_at="2020-01-01T00:00Z")
    seconds = wait(lambda: done(tenant, other), 8, "the other row is not held up")
    wait(lambda: done(tenant, probe), TAKEN_OVER_WITHIN, "the row is done by a new child")
    assert now_of(tenant, probe).effects == 1
    print(f"\npool child killed: the next row done after {seconds:.1f} s")


def test_a_suspended_worker_finds_its_row_gone(machine):
    tenant = tenant_make()
    probe = probe_add(tenant, behaviour="hold")
    machine.beat()
    machine.worker("one")
    machine.worker("two")
    zombie = held(machine, tenant, probe)
    for process in zombie:
        process.suspend()
    try:
        seconds = wait(lambda: done(tenant, probe), TAKEN_OVER_WITHIN, "the other one finishes")
    finally:
        for process in zombie:
            process.resume()
    logs = lambda: machine.log("one") + machine.log("two")  # noqa: E731
    wait(lambda: "lease_lost" in logs(), 10, "the zombie's commit is refused")
    assert now_of(tenant, probe).effects == 1
    print(f"\nSIGSTOP: done by another worker after {seconds:.1f} s, the zombie was refused")


def test_a_flushed_valkey_loses_nothing(machine):
    tenant = tenant_make()
    probe = probe_add(tenant)
    bell.ring("probe")
    valkey = Redis.from_url(machine.engine.url)
    assert valkey.llen("quick") == 1
    valkey.flushall()
    machine.worker("one")
    wait(lambda: "ready" in machine.log("one"), 20, "the worker is up")
    machine.beat()
    seconds = wait(lambda: done(tenant, probe), 12, "the sweep rings again")
    print(f"\nFLUSHALL: done {seconds:.1f} s after the beat was started")


def test_a_valkey_that_is_away_loses_nothing(machine):
    """Down at the commit, and while worker and beat are running; then it comes back empty."""
    tenant = tenant_make()
    machine.beat()
    machine.worker("one")
    wait(lambda: "ready" in machine.log("one"), 20, "the worker is up")
    machine.valkey.kill()
    machine.valkey.wait(5)
    probe = probe_add(tenant)
    started = time.monotonic()
    bell.ring("probe")
    assert time.monotonic() - started < NOT_HELD_UP
    time.sleep(8)
    assert not done(tenant, probe)
    machine.valkey_start()
    seconds = wait(lambda: done(tenant, probe), 30, "worker and beat find Valkey again")
    print(f"\nValkey away for 8 s: done {seconds:.1f} s after it was back")


def test_a_hung_valkey_holds_nobody_up(machine, monkeypatch):
    os.kill(machine.valkey.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        bell.ring("probe")
        bell.answered("probe")
        seconds = time.monotonic() - started
    finally:
        os.kill(machine.valkey.pid, signal.SIGCONT)
    assert seconds < NOT_HELD_UP
    monkeypatch.setattr(bell, "_resting_until", 0.0)
    bell.ring("probe")
    assert Redis.from_url(machine.engine.url).llen("quick") == 1
    print(f"\nhung Valkey: ring returned after {seconds:.2f} s")


def test_valkey_hanging_between_two_commands_holds_nobody_up(machine, monkeypatch):
    """The worst moment: the bell is taken, the message not yet sent."""
    bell.ring("probe")  # connections are open
    bell.answered("probe")
    wanted = bell._wanted

    def then_hang(kind) -> bool:
        answer = wanted(kind)
        os.kill(machine.valkey.pid, signal.SIGSTOP)
        return answer

    monkeypatch.setattr(bell, "_wanted", then_hang)
    try:
        started = time.monotonic()
        bell.ring("probe")
        seconds = time.monotonic() - started
    finally:
        os.kill(machine.valkey.pid, signal.SIGCONT)
    assert seconds < NOT_HELD_UP
    print(f"\nValkey hung in the middle: ring returned after {seconds:.2f} s")
