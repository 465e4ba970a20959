"""The process of `bench.webhooks` that seeds and measures, with Django set up for its database."""

import argparse
import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db.models.functions import Now  # noqa: E402

from bench.many_calls import superuser  # noqa: E402
from bench.webhooks_net import HOSTILE, host_of  # noqa: E402
from tenants.isolation import tenant_scope  # noqa: E402
from tenants.models import Tenant  # noqa: E402
from webhooks.bodies import event_body  # noqa: E402
from webhooks.models import Delivery, Endpoint, Event, event_public_id  # noqa: E402
from webhooks.sealed_secrets import seal_secret  # noqa: E402
from webhooks.signing import secret_make  # noqa: E402
from webhooks.tests.making import facts, make_tenant  # noqa: E402

VAR = Path(os.environ["ATHOS_VAR"])
TENANTS, ENDPOINTS = 20, 10  # of each
WARM_SECONDS = 4.0  # not counted: the process starts
HANGING_SECONDS = 20.0  # nor are they: until the first attempts to those that hang are over
AHEAD = 320  # deliveries a second for which there is work
GOAL, GOAL_OF_BARE, GOAL_FIRST, GOAL_HEALTHY = 200.0, 0.7, 2.0, 0.9
GOAL_LONGEST, GOAL_GROWN = 15.5, 50.0
SENDS_WITHIN, STUCK_AFTER = 60.0, 90.0  # seconds, on a machine that is busy with other things


@dataclass(frozen=True)
class Sizes:
    seconds: int
    bare: int  # posts
    hostile: int  # of each kind
    events: int
    kills: int


WHOLE = Sizes(seconds=300, bare=10_000, hostile=100, events=10_000, kills=50)
SHORT = Sizes(seconds=20, bare=2_000, hostile=100, events=1_000, kills=5)


# --- the world -----------------------------------------------------------------------------------


def tenants_make(hanging: int = 0) -> list[tuple[Tenant, list[Endpoint]]]:
    """Each with ten endpoints, of which so many hang."""
    return [_tenant_make(number, hanging) for number in range(TENANTS)]


def _tenant_make(number: int, hanging: int) -> tuple[Tenant, list[Endpoint]]:
    tenant = make_tenant(f"Bench {number}")
    names = (host_of("hang" if n < hanging else "fine", number * ENDPOINTS + n) for n in range(10))
    with tenant_scope(tenant.pk):
        endpoints = Endpoint.objects.bulk_create(
            Endpoint(tenant=tenant, url=f"https://{n}/", sealed_secret=seal_secret(secret_make()))
            for n in names
        )
    return tenant, endpoints


def deliveries_make(world: Sequence[tuple[Tenant, list[Endpoint]]], count: int) -> None:
    """So many events, each for one endpoint, due now: the rows that `event_publish` makes."""
    each = -(-count // (len(world) * ENDPOINTS))
    for tenant, endpoints in world:
        with tenant_scope(tenant.pk):
            events = Event.objects.bulk_create(
                [_event(tenant) for _ in range(each * len(endpoints))], batch_size=2000
            )
            pairs = zip(events, endpoints * each, strict=True)
            Delivery.objects.bulk_create(
                [
                    Delivery(
                        tenant=tenant,
                        event=event,
                        endpoint=endpoint,
                        mode=endpoint.mode,
                        event_type=event.type,
                        due_at=Now(),
                    )
                    for event, endpoint in pairs
                ],
                batch_size=2000,
            )


def _event(tenant: Tenant) -> Event:
    public_id = event_public_id()
    made = {"occurredAt": "2026-06-05T18:09:14.000Z", "requestId": f"req_{uuid.uuid4()}"}
    body = event_body("call.scored", made | facts(), event_id=public_id)
    return Event(
        tenant=tenant, public_id=public_id, type="call.scored", subject_id=uuid.uuid4(), body=body
    )


def everything_end() -> None:
    """What is left of a part must not be sent in the next."""
    with superuser(VAR) as connection:
        connection.execute(
            "TRUNCATE webhooks_event, webhooks_delivery, webhooks_attempt, webhooks_endpoint"
            " CASCADE"
        )


def count_rows(query: str) -> int:
    with superuser(VAR) as connection:
        row = connection.execute(query).fetchone()
    assert row
    return int(row[0])


# --- processes -----------------------------------------------------------------------------------


@contextmanager
def receiving(*options: str) -> Iterator[dict[str, int]]:
    """The receivers' ports."""
    command = [sys.executable, "-m", "bench.webhooks_net", str(VAR), *options]
    with (VAR / "receivers.log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait(10)


def sender_start(ports: dict[str, int]) -> "subprocess.Popen[str]":
    with (VAR / "sender.log").open("a") as log:
        return subprocess.Popen(_sender(ports), stdout=log, stderr=log, text=True)


def _sender(ports: dict[str, int], *options: str) -> list[str]:
    return [sys.executable, "-m", "bench.webhooks_sender", str(VAR), json.dumps(ports), *options]


def sender_kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(10)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sender_ask(ports: dict[str, int], *options: str) -> object:
    """What a sender prints that ends by itself."""
    done = subprocess.run(_sender(ports, *options), stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


# --- parts ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """Of deliveries that arrived, and what each cost the sender's process."""

    a_second: float
    cpu_ms: float


def rate_measure(ports: dict[str, int], seconds: int, hanging: int = 0) -> Rate:
    """Over so many seconds of a backlog that does not end."""
    world = tenants_make(hanging)
    deliveries_make(world, int(AHEAD * (seconds + WARM_SECONDS + HANGING_SECONDS)))
    sender = sender_start(ports)
    try:
        time.sleep(WARM_SECONDS + (HANGING_SECONDS if hanging else 0))
        query = "SELECT count(*) FROM webhooks_delivery WHERE state = 'delivered'"
        before, began, cpu = count_rows(query), time.monotonic(), cpu_seconds(sender.pid)
        time.sleep(seconds)
        after, ended, cpu = count_rows(query), time.monotonic(), cpu_seconds(sender.pid) - cpu
    finally:
        sender_kill(sender)
    left = count_rows("SELECT count(*) FROM webhooks_delivery WHERE state = 'pending'")
    assert left, "the backlog ended: the figure would be too low"
    everything_end()
    arrived = after - before
    return Rate(arrived / (ended - began), 1000 * cpu / max(1, arrived))


def rate(ports: dict[str, int], sizes: Sizes) -> bool:
    bare = [_bare(ports, sizes)]
    ours = rate_measure(ports, sizes.seconds)
    bare.append(_bare(ports, sizes))
    share = ours.a_second / (sum(each.a_second for each in bare) / 2)
    print(
        f"rate: {ours.a_second:.0f} deliveries/s for {sizes.seconds} s, rows written; bare aiohttp"
        f" {bare[0].a_second:.0f} and {bare[1].a_second:.0f}/s: {share:.2f} of it; processor"
        f" {ours.cpu_ms:.2f} ms a delivery, bare {bare[0].cpu_ms:.2f} and {bare[1].cpu_ms:.2f}"
    )
    return ours.a_second >= GOAL or share >= GOAL_OF_BARE


def _bare(ports: dict[str, int], sizes: Sizes) -> Rate:
    found = sender_ask(ports, "--bare", str(sizes.bare))
    assert isinstance(found, dict)
    return Rate(found["aSecond"], found["cpuMs"])


def latency(ports: dict[str, int], sizes: Sizes) -> bool:
    world = tenants_make()
    sender = sender_start(ports)
    time.sleep(WARM_SECONDS)
    until, chance = time.monotonic() + min(sizes.seconds, 60), random.Random(7)
    while time.monotonic() < until:
        deliveries_make([chance.choice(world)], ENDPOINTS)  # an event for each of its endpoints
        time.sleep(0.1)
    time.sleep(3)
    sender_kill(sender)
    with superuser(VAR) as connection:
        found = connection.execute(
            "SELECT extract(epoch FROM a.started_at - d.created_at)::float8"
            " FROM webhooks_attempt a JOIN webhooks_delivery d ON d.id = a.delivery_id"
        ).fetchall()
        made = connection.execute("SELECT count(*) FROM webhooks_delivery").fetchone()
    everything_end()
    waits = [wait for (wait,) in found]
    p99 = quantiles(waits, n=100)[98]
    print(
        f"latency: {len(waits)} of {made[0]} first attempts, p99 {p99:.2f} s, max {max(waits):.2f}"
    )
    return p99 <= GOAL_FIRST and len(waits) == made[0]


def hanging(ports: dict[str, int], sizes: Sizes) -> bool:
    alone = rate_measure(ports, sizes.seconds).a_second
    beside = rate_measure(ports, sizes.seconds, hanging=3).a_second
    share = beside / alone
    print(f"hanging: {beside:.0f}/s beside 30 % that hang, {alone:.0f}/s without: {share:.2f}")
    return share >= GOAL_HEALTHY


def hostile(sizes: Sizes) -> bool:
    with receiving("--hostile") as ports:
        found = sender_ask(ports, "--hostile", str(sizes.hostile))
    assert isinstance(found, dict)
    longest = max(found["longest"].values())
    print(
        f"hostile: {len(HOSTILE)} kinds x {sizes.hostile} at once, longest attempt {longest:.2f} s,"
        f" memory + {found['grownMiB']} MiB; {found['longest']}"
    )
    return longest <= GOAL_LONGEST and found["grownMiB"] <= GOAL_GROWN


def killed(ports: dict[str, int], sizes: Sizes) -> bool:
    (VAR / "received.txt").write_text("")
    deliveries_make(tenants_make(), sizes.events)
    wanted = count_rows("SELECT count(*) FROM webhooks_event")
    pending = "SELECT count(*) FROM webhooks_delivery WHERE state = 'pending'"
    chance = random.Random(7)
    for _ in range(sizes.kills):
        arrived = _received()
        sender, until = sender_start(ports), time.monotonic() + SENDS_WITHIN
        while _received() == arrived:  # it sends, or it would not be killed in the middle
            assert time.monotonic() < until, "the sender does not begin"
            time.sleep(0.02)
        time.sleep(0.6 * chance.random())
        sender_kill(sender)
        if not count_rows(pending):
            deliveries_make(tenants_make(), TENANTS * ENDPOINTS)
            wanted = count_rows("SELECT count(*) FROM webhooks_event")
    sender, left, until = sender_start(ports), count_rows(pending), time.monotonic() + STUCK_AFTER
    while left and time.monotonic() < until:
        time.sleep(0.5)
        if (now_left := count_rows(pending)) < left:
            left, until = now_left, time.monotonic() + STUCK_AFTER
    sender_kill(sender)
    received = (VAR / "received.txt").read_text().split()
    lost = wanted - len(set(received)) - left
    print(
        f"killed: {sizes.kills} kills during {wanted} events: {lost} lost, {left} left,"
        f" {len(received) - len(set(received))} sent once more"
    )
    everything_end()
    return lost == 0 and left == 0


def _received() -> int:
    """Bytes of the receivers' list."""
    return (VAR / "received.txt").stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", nargs="+", required=True)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seconds", type=int)
    options = parser.parse_args()
    sizes = SHORT if options.short else WHOLE
    sizes = replace(sizes, seconds=options.seconds or sizes.seconds)
    call_command("migrate", database="owner", verbosity=0, interactive=False)
    (VAR / "static").mkdir(exist_ok=True)  # WhiteNoise warns of a missing one
    held = {}
    with receiving() as ports:
        for name, part in (
            ("rate", rate),
            ("latency", latency),
            ("hanging", hanging),
            ("killed", killed),
        ):
            if name in options.part:
                held[name] = part(ports, sizes)
    if "hostile" in options.part:
        held["hostile"] = hostile(sizes)
    print("held" if all(held.values()) else f"MISSED: {[n for n, ok in held.items() if not ok]}")
    raise SystemExit(0 if all(held.values()) else 1)


if __name__ == "__main__":
    main()
