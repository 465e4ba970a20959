"""The outermost layer of HTTP: every request has an id, every failure an answer of ours.

`Edge` wraps the application. `edge_answer` also serves athos/edge_server.py, for what never becomes
a request: what can't be parsed, is too large or comes too slowly.
"""

import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from athos.errors import as_refusal, envelope, headers_of
from athos.metrics import request_answered
from calls.api import CORS
from calls.urls import API
from tenants.errors import AthosError

logger = logging.getLogger(__name__)

LEFT = 499  # as a status in the metrics: who asked went away
REQUEST_ID_HEADER = "X-Athos-Request-Id"
_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()
# The one address that other web sites call: their script must be able to read a refusal.
REDEEM_PATH = f"/{API}roleplay/session"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class AnswerCutShort(Exception):
    """The application failed after its answer had begun; the server must cut the connection."""


@dataclass(frozen=True, slots=True)
class EdgeAnswer:
    """A whole answer, ready for the wire."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def request_id_make() -> str:
    return f"req_{uuid.uuid4()}"


def edge_answer(refusal: AthosError, *, request_id: str, path: str) -> EdgeAnswer:
    """The refusal in the envelope, whatever the address: who gets here is no browser."""
    body = json.dumps(envelope(refusal, request_id)).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        REQUEST_ID_HEADER: request_id,
        **headers_of(refusal),
        **(CORS if path == REDEEM_PATH else {}),
    }
    return EdgeAnswer(refusal.status, [(n.encode(), v.encode()) for n, v in headers.items()], body)


class Edge:
    """The ASGI application behind an answer to everything. WebSockets pass through."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope.setdefault("request_id", request_id_make())
        began, status, begun = time.monotonic(), LEFT, False

        async def stamped(message: Message) -> None:
            nonlocal begun, status
            if message["type"] == "http.response.start":
                begun, status = True, message["status"]
                message = {**message, "headers": _headers(message, request_id)}
            await send(message)

        try:
            await self._application(scope, receive, stamped)
        except Exception as failure:  # the rim of a request
            logger.error("request failed", exc_info=failure, extra={"request_id": request_id})
            if begun:
                raise AnswerCutShort from None
            answer = edge_answer(as_refusal(failure), request_id=request_id, path=scope["path"])
            status = answer.status
            start = {"type": "http.response.start", "status": answer.status}
            await send({**start, "headers": answer.headers})
            await send({"type": "http.response.body", "body": answer.body})
        finally:
            seconds = time.monotonic() - began
            request_answered(method=scope["method"], status=status, seconds=seconds)


def _headers(message: Message, request_id: str) -> list[tuple[bytes, bytes]]:
    """The application's header fields with the id, and without what HTTP forbids (RFC 9110)."""
    headers = list(message.get("headers", ()))
    if message["status"] == 204:
        headers = [(n, v) for n, v in headers if n.lower() != b"content-length"]
    if not any(name.lower() == _REQUEST_ID for name, _ in headers):
        headers.append((REQUEST_ID_HEADER.encode(), request_id.encode()))
    return headers
