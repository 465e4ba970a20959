"""A sender that dies in the middle: nothing is lost, what it had not written is sent again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from athos.engines.programs import signal_group
from webhooks.tests import making
from webhooks.tests.making import in_database
from webhooks.tests.receivers import Receiver, serving

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("bells"),
]
EVENTS = 12
STARTS_WITHIN, ENDS_WITHIN = 120.0, 180.0  # seconds, on a machine that has much else to do


@pytest.fixture
def sender(tmp_path):
    """Start senders; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[bytes]] = []
    (tmp_path / "static").mkdir()

    def start() -> "subprocess.Popen[bytes]":
        with (tmp_path / f"{len(running)}.txt").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "webhooks.tests.sender_process"],
                env=os.environ | {"ATHOS_VAR": str(tmp_path), "ATHOS_EMBEDDED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running.append(process)
        return process

    yield start
    for process in running:
        signal_group(process.pid, signal.SIGKILL)
        process.wait(10)


async def until(happened, seconds: float, what: str) -> float:
    started = time.monotonic()
    while not await happened():
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.1)
    return time.monotonic() - started


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "suspended"])
async def test_what_a_dead_sender_had_in_flight_is_delivered_by_the_next(sender, stop):
    acme = await in_database(making.make_tenant)
    receiver = Receiver(pause=60)  # the first sender gets no answer
    async with serving(receiver.handle) as port:
        await in_database(making.make_endpoint, acme, f"http://127.0.0.1:{port}/webhook")
        for _ in range(EVENTS):
            await in_database(making.publish, acme)
        first = sender()

        async def in_flight() -> bool:
            return len(receiver.got) == 8  # the cap of one endpoint

        await until(in_flight, STARTS_WITHIN, "eight in flight")
        os.kill(first.pid, stop)
        receiver.pause = 0.0
        killed_at = time.monotonic()

        async def all_delivered() -> bool:
            done = await in_database(making.deliveries, acme)
            return all(delivery.state == "delivered" for delivery in done)

        while not await all_delivered():
            assert time.monotonic() - killed_at < ENDS_WITHIN
            again = sender()  # what the sweep would make a worker do
            await asyncio.to_thread(again.wait, ENDS_WITHIN)
            await asyncio.sleep(0.2)
        print(f"after {stop.name}: all delivered in {time.monotonic() - killed_at:.1f} s")
    times = Counter(got.headers["X-Athos-Webhook-Id"] for got in receiver.got)
    assert len(times) == EVENTS
    assert max(times.values()) <= 2
    assert sum(times.values()) == EVENTS + 8
    attempts = await in_database(making.attempts, acme)
    assert Counter(a.delivery_id for a in attempts).most_common(1)[0][1] == 1
    assert {a.error for a in attempts} == {""}
    if stop is signal.SIGSTOP:
        os.kill(first.pid, signal.SIGCONT)  # it wakes up, and may not write any more
        assert await asyncio.to_thread(first.wait, ENDS_WITHIN) == 0
        assert await in_database(making.attempts, acme) == attempts
