"""The canaries are everywhere, the search finds them, and the signalling socket carries none."""

import asyncio
import json

import pytest
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.db import connection

from athos.asgi import application
from calls.models import LiveSlot
from tenants.isolation import tenant_scope
from tests.isolation.matrix import ask
from tests.isolation.routes import ROUTES, V1
from tests.isolation.world import NOT_FILLED, forbidden, tenant_models, text_columns

KEPT_ELSEWHERE = {"scoring_rubric", "calls_drill"}  # the catalogue's rows have no canary


def test_both_tenants_have_a_row_in_every_table_of_tenants(world):
    for side in (world.a, world.b):
        with tenant_scope(side.tenant.pk):
            empty = [m.__name__ for m in tenant_models() if not m.objects.exists()]
        assert empty == []


def test_every_text_column_of_a_tenant_holds_a_canary(world):
    missing = []
    for model in tenant_models():
        for column in text_columns(model):
            if column.name in NOT_FILLED:
                continue
            with tenant_scope(world.b.tenant.pk):
                values = model.objects.values_list(column.name, flat=True)
                if not any("canary" in (value or "") for value in values):
                    missing.append((model.__name__, column.name))
    assert missing == []


def test_the_search_finds_a_tenants_own_words_and_would_find_a_strangers(world, everybody):
    asker = {identity.name: identity for identity in everybody}
    path = f"{V1}/calls/{world.b.ids['call']['one']}"
    answer = ask(asker["live key of B"], "GET", path, ROUTES[f"{V1}/calls"]["GET"], world.b)
    assert world.b.canary("one").encode() in answer.body
    assert forbidden(world, "a", {"one"}).found_in(answer.everything)
    assert not forbidden(world, "b", {"one"}).found_in(answer.everything)


def test_no_row_of_the_other_tenant_comes_by_plain_sql(world):
    with tenant_scope(world.a.tenant.pk), connection.cursor() as cursor:
        for model in tenant_models():
            cursor.execute(f"SELECT * FROM {model._meta.db_table} AS t")
            text = repr(cursor.fetchall())
            assert f"canary{world.run}b" not in text, model
            assert str(world.b.tenant.pk) not in text, model


# --- the signalling socket -----------------------------------------------------------------------


async def said_to(message: object, origin: str = "") -> list[dict]:
    """What comes back to one message; a close as its code."""
    headers = [(b"origin", origin.encode())] if origin else []
    socket = WebsocketCommunicator(application, "/live/v1", headers=headers)
    assert (await socket.connect())[0]
    await socket.send_to(text_data=json.dumps(message))
    answers = []
    while not answers or answers[-1].get("type") == "error":
        output = await socket.receive_output(10)
        if output["type"] == "websocket.close":
            answers.append({"type": "close", "code": output["code"]})
        else:
            answers.append(json.loads(output["text"]))
    await socket.disconnect()
    return answers


@pytest.mark.parametrize("kind", ["sealed", "site", "call", "membership", "key"])
async def test_nothing_but_a_ticket_joins(world, kind):
    """What is sealed for another purpose, and every id, are as good as junk."""
    junk = await said_to({"type": "join", "ticket": "junk", "version": 1})
    for side in (world.a, world.b):
        for value in side.ids[kind].values():
            assert await said_to({"type": "join", "ticket": value, "version": 1}) == junk
    assert junk[-1] == {"type": "close", "code": 4401}


async def test_a_ticket_joins_its_own_call_whatever_else_is_named(world):
    a, b = world.a, world.b
    canaries = forbidden(world, "a", {"one"})
    stranger = {"callId": b.open_call.public_id, "call": str(b.open_call.pk)}
    stranger["tenant"] = str(b.tenant.pk)
    message = {"type": "join", "ticket": a.ids["join_ticket"]["one"], "version": 1} | stranger
    origin = f"https://{a.canary()}.example"
    (joined,) = await said_to(message, origin)
    assert (joined["type"], joined["callId"]) == ("joined", a.open_call.public_id)
    assert not canaries.found_in(json.dumps(joined).encode())


async def test_what_goes_to_the_worker_names_the_tickets_call_and_tenant(world):
    a, b = world.a, world.b
    socket = WebsocketCommunicator(
        application, "/live/v1", headers=[(b"origin", f"https://{a.canary()}.example".encode())]
    )
    await socket.connect()
    await socket.send_to(
        text_data=json.dumps({"type": "join", "ticket": a.ids["join_ticket"]["one"]})
    )
    assert json.loads((await socket.receive_output(10))["text"])["type"] == "joined"
    forged = {"type": "end", "call": str(b.open_call.pk), "tenant": str(b.tenant.pk)}
    await socket.send_to(text_data=json.dumps(forged))
    worker = await LiveSlot.objects.values_list("worker_id", flat=True).afirst()
    layer, message = get_channel_layer(), {"type": "left"}
    while message["type"] == "left":  # of sockets before
        message = await asyncio.wait_for(layer.receive(f"live.{worker.hex}"), 10)
    assert message["type"] == "end"
    assert (message["call"], message["tenant"]) == (str(a.open_call.pk), str(a.tenant.pk))
    await socket.disconnect()


async def test_a_web_site_of_another_tenant_may_not_join(world):
    message = {"type": "join", "ticket": world.a.ids["join_ticket"]["one"], "version": 1}
    answers = await said_to(message, f"https://{world.b.canary()}.example")
    assert answers[-1] == {"type": "close", "code": 4401}
