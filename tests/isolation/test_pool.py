"""A pool of one connection, two tenants, requests that fail or are cancelled: no wrong row."""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from django.db import connections

from athos.asgi import application
from calls.history import listing
from tests.isolation.identities import Identity
from tests.isolation.routes import V1
from tests.isolation.world import World, forbidden

REQUESTS, AT_ONCE = 400, 16


@pytest.fixture
def pool_of_one(world) -> Iterator[None]:
    database = connections["default"]
    options = database.settings_dict["OPTIONS"]
    before = options["pool"]
    database.close()
    database.close_pool()
    options["pool"] = {"min_size": 1, "max_size": 1, "timeout": 60.0}
    try:
        yield
    finally:
        database.close()
        database.close_pool()
        options["pool"] = before


async def request(path: str, headers: dict[str, str], patience: float | None) -> tuple[int, bytes]:
    """One request to the whole application, as a server makes it; status 0 when it was left.

    Who asks goes away after `patience` seconds, which cancels the request.
    """
    path, _, query = path.partition("?")
    named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), *named],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    answer: dict[str, Any] = {"status": 0, "body": b""}
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await asyncio.sleep(3600 if patience is None else patience)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer["status"] = message["status"]
        else:
            answer["body"] += message.get("body", b"")

    await application(scope, receive, send)
    return answer["status"], answer["body"]


class Trouble:
    """Breaks reads in the middle of a scope: by an error of Python, and by one of PostgreSQL."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._calls = listing.Reader.calls

    def calls(self, reader: listing.Reader) -> Any:
        dice = self._chance.random()
        if dice < 0.1:
            raise KeyError("on purpose")
        if dice < 0.2:
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT 1/0")
        return self._calls(reader)


async def cancel_queries(chance: random.Random) -> None:
    """Now and then PostgreSQL is told to end whatever runs."""
    while True:
        await asyncio.sleep(chance.uniform(0.01, 0.2))
        await asyncio.to_thread(_cancel)


def _cancel() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
        other.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE usename = current_user AND pid <> pg_backend_pid() AND state = 'active'"
        )


async def one(world: World, who: Identity, chance: random.Random, tally: Counter[str]) -> None:
    side = world.b if who.side == "b" else world.a
    path = chance.choice([f"{V1}/calls?from=2020-01-01", f"{V1}/calls/{side.ids['call'][who.own]}"])
    patience = chance.uniform(0, 0.1) if chance.random() < 0.3 else None
    status, body = await request(path, who.headers, patience)
    if status == 0:
        tally["cancelled"] += 1
        return
    tally[str(status)] += 1
    if forbidden(world, who.side, set(who.parts)).found_in(body):
        tally["wrong"] += 1
    if status == 200 and side.canary(who.own).encode() not in body:
        tally["empty"] += 1
    if status not in {200, 500, 503}:
        tally[f"odd {json.loads(body)}"] += 1


@pytest.mark.timeout(300)
async def test_a_pool_of_one_connection_never_gives_a_wrong_row(world, everybody, pool_of_one):
    seed = random.randrange(2**32)
    chance, tally = random.Random(seed), Counter()
    wanted = {"live key of A", "limited key of A", "test key of A", "live key of B"}
    asking = [identity for identity in everybody if identity.name in wanted]
    room = asyncio.Semaphore(AT_ONCE)

    async def turn() -> None:
        async with room:
            await one(world, chance.choice(asking), chance, tally)

    trouble = Trouble(chance)
    with patch.object(listing.Reader, "calls", lambda reader: trouble.calls(reader)):
        cancelling = asyncio.create_task(cancel_queries(chance))
        await asyncio.wait_for(asyncio.gather(*(turn() for _ in range(REQUESTS))), 240)
        cancelling.cancel()
        await asyncio.gather(cancelling, return_exceptions=True)
    facts = f"seed {seed}: {dict(tally)}"
    assert tally["wrong"] == tally["empty"] == 0, facts
    assert not [name for name in tally if name.startswith("odd")], facts
    # enough of each happened to say something
    assert tally["200"] > 120, facts
    assert tally["500"] > 15, facts
    assert tally["cancelled"] > 40, facts
