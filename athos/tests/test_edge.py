"""The edge around an application that fails, and around every route of the product."""

import json
import re

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from athos.edge import AnswerCutShort, Edge
from calls.tests.making import API

MINT, REDEEM = f"{API}/session", f"{API}/roleplay/session"
HASHES = "/sdk/integrity.json"


# --- an application that fails -------------------------------------------------------------------


async def ask(application, path=MINT, **scope):
    """The messages that come out of the edge around this application."""
    sent = []

    async def send(message):
        sent.append(message)

    given = {"type": "http", "path": path, "method": "GET", "headers": []} | scope
    await Edge(application)(given, None, send)
    return sent


async def failing(scope, receive, send):
    raise RuntimeError("a secret text")


async def failing_late(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("a secret text")


def answering(status):
    async def application(scope, receive, send):
        headers = [(b"Content-Length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return application


async def test_an_application_that_fails_is_answered_for(caplog):
    start, body = await ask(failing, request_id="req_x")
    assert start["status"] == 500
    assert dict(start["headers"])[b"X-Athos-Request-Id"] == b"req_x"
    error = json.loads(body["body"])["error"]
    assert (error["code"], error["requestId"]) == ("INTERNAL_ERROR", "req_x")
    assert b"secret" not in body["body"]
    assert "request failed" in caplog.text


async def test_only_redeem_may_be_read_by_other_sites_when_it_fails():
    start, _ = await ask(failing, path=REDEEM)
    assert dict(start["headers"])[b"Access-Control-Allow-Origin"] == b"*"
    start, _ = await ask(failing, path=MINT)
    assert not any(name.lower().startswith(b"access-control") for name, _ in start["headers"])


async def test_an_application_that_fails_late_has_its_connection_cut():
    with pytest.raises(AnswerCutShort):
        await ask(failing_late)


async def test_an_answer_without_id_gets_one_and_204_no_length():
    start, _ = await ask(answering(204))
    names = [name for name, _ in start["headers"]]
    assert names == [b"X-Athos-Request-Id"]


async def test_a_websocket_passes_through():
    seen = []

    async def application(scope, receive, send):
        seen.append((scope, receive, send))

    await Edge(application)({"type": "websocket"}, 1, 2)
    assert seen == [({"type": "websocket"}, 1, 2)]


# --- every route ---------------------------------------------------------------------------------


def routes(patterns=None, before=""):
    """Each address of the product, its parameters filled in."""
    for found in patterns if patterns is not None else get_resolver().url_patterns:
        path = before + str(found.pattern)
        if isinstance(found, URLResolver):
            yield from routes(found.url_patterns, path)
        elif isinstance(found, URLPattern):
            yield "/" + re.sub(r"<(\w+:)?\w+>|\(\?P.*\)", "x", path).strip("^$")


@pytest.mark.django_db
def test_every_route_answers_in_our_form_and_lets_other_web_sites_read_redeem_alone():
    """The SDK's files and their hashes are public, and other sites load them; `x` is none."""
    found = list(routes())
    assert {REDEEM, MINT, "/sdk/x", "/calls/x"} <= set(found)
    client = Client(
        raise_request_exception=False,
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    for path in found:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = client.generic(method, path)
            told = [name for name in answer.headers if name.lower().startswith("access-control")]
            public = path == REDEEM or (path == HASHES and method in ("GET", "HEAD"))
            assert bool(told) == public, (method, path, told)
            assert "Access-Control-Allow-Credentials" not in told
            request_id = answer.headers["X-Athos-Request-Id"]
            assert request_id.startswith("req_")
            if path.startswith("/api/") and answer.status_code >= 400 and method != "HEAD":
                assert answer.json()["error"]["requestId"] == request_id, (method, path)
