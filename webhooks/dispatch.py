"""The sender's loop: claim what is due, keep many attempts in flight, write each one down.

Meant to run once on a machine (`webhooks.place`): one event loop keeps hundreds of attempts in
flight, and a second would only take a worker's process from other quick work.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from typing import TypeVar

from django.db import connection

from webhooks.models import Delivery
from webhooks.outcomes import Outcome, Parcel
from webhooks.place import Place
from webhooks.selectors import parcels
from webhooks.sending import DEADLINE_SECONDS, Internet, Sender
from webhooks.writing import AT_ONCE, Writer, claim_fail
from work import bell
from work.claims import Claim, claim_batch, hold_open

IN_FLIGHT = 512  # attempts of one sender at once; the caps per endpoint and tenant are in sql.py
BATCH = 48  # claimed in one go, so that the first of them leave soon
LOOK_SECONDS = 0.2  # what becomes due while others are in flight waits so long at most
GATHER_SECONDS = 0.1  # attempts that end together make room for one look, not one look each
THREADS = AT_ONCE + 2  # writing; claiming, giving back
LIMIT_SECONDS = bell.DRAIN_SECONDS + 2 * DEADLINE_SECONDS  # after which no lease is renewed

Result = TypeVar("Result")
Job = tuple[Claim[Delivery], Parcel | None]  # None: the endpoint was disabled


class Dispatcher:
    """Sends until nothing is due and nothing in flight, or its time is up."""

    def __init__(
        self, internet: Internet, *, deadline: float = DEADLINE_SECONDS, in_flight: int = IN_FLIGHT
    ) -> None:
        self._internet = internet
        self._deadline = deadline
        self._most = in_flight
        self._claims: list[Claim[Delivery]] = []
        self._attempts: set[asyncio.Task[None]] = set()

    async def run(self, *, seconds: float, place: Place | None = None) -> None:
        """Claim for so many seconds, leave the place to the next, and end what is in flight."""
        self._place = place
        self._ended = asyncio.Event()  # an attempt did, since we looked last
        self._writer = Writer(self._in_thread)
        with (
            ThreadPoolExecutor(THREADS, thread_name_prefix="deliver") as self._threads,
            hold_open(self._claims, limit=LIMIT_SECONDS),
        ):
            async with Sender(self._internet, deadline=self._deadline) as self._sender:
                try:
                    await self._claim_until(time.monotonic() + seconds)
                finally:
                    if place:
                        place.leave()
                    while self._attempts:
                        await asyncio.wait(self._attempts)

    async def _claim_until(self, until: float) -> None:
        while time.monotonic() < until:
            if self._place:
                self._place.keep()
            self._ended.clear()
            room = min(BATCH, self._most - len(self._attempts))
            jobs = await self._in_thread(_claim, room) if room > 0 else []
            for job in jobs:
                self._start(job)
            if not self._attempts:
                if not self._ended.is_set():
                    return
                continue  # one that ended while we looked may have made room for what is due
            if len(jobs) < BATCH:
                await self._pause()
        await self._in_thread(bell.ring, "deliver")

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), LOOK_SECONDS)
        await asyncio.sleep(GATHER_SECONDS)

    def _start(self, job: Job) -> None:
        claim, _ = job
        self._claims.append(claim)
        attempt = asyncio.create_task(self._attempt(job))
        self._attempts.add(attempt)

        def ended(_: "asyncio.Task[None]") -> None:
            self._attempts.discard(attempt)
            self._claims.remove(claim)
            self._ended.set()

        attempt.add_done_callback(ended)

    async def _attempt(self, job: Job) -> None:
        """One delivery to its end. The rim: no fault of one reaches another."""
        claim, parcel = job
        try:
            outcome = None if parcel is None else await self._outcome(parcel)
        except Exception as cause:  # noqa: BLE001 - it is this delivery's fault alone
            await self._in_thread(claim_fail, claim, cause)
        else:
            await self._writer.write(claim, outcome)

    async def _outcome(self, parcel: Parcel) -> Outcome:
        return parcel.pretended or await self._sender.send(parcel)

    async def _in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _with_database, work, *arguments)


def _claim(room: int) -> list[Job]:
    """Claim due deliveries of all tenants and read what each is to send."""
    claimed = sorted(claim_batch(Delivery, kind="deliver", size=room), key=_tenant)
    jobs: list[Job] = []
    for tenant_id, group in groupby(claimed, key=_tenant):
        mine = list(group)
        found = parcels(tenant_id=tenant_id, delivery_ids=[claim.pk for claim in mine])
        jobs += [(claim, found.get(claim.pk)) for claim in mine]
    return jobs


def _with_database(work: Callable[..., Result], *arguments: object) -> Result:
    try:
        return work(*arguments)
    finally:
        connection.close()  # this thread's; back to the pool


def _tenant(claim: Claim[Delivery]) -> uuid.UUID:
    return claim.tenant_id
