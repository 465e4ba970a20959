"""The signalling socket: a ticket, then messages to and fro between a browser and its worker.

The wire protocol is docs/live-protocol.md. The web process keeps nothing but the ticket's call, its
worker's channel and an offer until it is answered; the audio never passes here.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from channels.exceptions import ChannelFull
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.core.signing import BadSignature
from django.db import DatabaseError, connections
from redis.exceptions import RedisError

from calls.selectors import call_joinable
from calls.services.slots import slot_ensure
from calls.services.tickets import ticket_read
from calls.services.tokens import session_token_read
from calls.services.turn import ice_servers
from tenants.errors import AthosError

logger = logging.getLogger(__name__)

JOIN_SECONDS = 5.0
MAX_MESSAGE = 64 * 1024
MAX_CANDIDATES = 64
MAX_CANDIDATE = 4 * 1024  # characters of the whole message
LOOK_AGAIN = 0.5  # seconds between looks for another worker, while an offer is not answered
ANSWER_WITHIN = 20.0  # seconds from the offer; a dead worker is known after six
CHECK_SECONDS = 60  # what a check is given is good for no call
DONE, BAD_MESSAGE, TICKET_REFUSED, NO_JOIN, TAKEN_OVER, CALL_OVER, NO_WORKER = (
    *(1000, 4400, 4401, 4408, 4409, 4410, 4503),
)
_CLOSE_AFTER = {"taken_over": TAKEN_OVER, "ended": CALL_OVER, "error": NO_WORKER}

# Threads of our own: signalling never waits behind slow pages, nor they behind it.
_threads = ThreadPoolExecutor(4, thread_name_prefix="signalling")


Result = TypeVar("Result")


async def _database(service: Callable[..., Result], **arguments: Any) -> Result:
    """Gives its connection back by itself: `database_sync_to_async` of channels 4.3 looks for it
    outside the context in which asgiref 3.13 keeps it, and so leaks it."""

    def run() -> Result:
        try:
            return service(**arguments)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_threads, run)


class SignallingConsumer(AsyncWebsocketConsumer):
    """One browser connection. Messages to the worker carry our channel, so it can always answer."""

    call: uuid.UUID | None = None
    tenant: uuid.UUID
    worker: str
    candidates = 0
    captions = False  # asked for
    offer: dict[str, Any] | None = None  # not answered yet
    trickled: list[dict[str, Any]]  # the candidates that belong to it
    closed = False  # by us
    _looking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """channels-redis 4.3 keeps the buffer of a receiver that is cancelled while it holds the
        layer's lock, about 2 KiB a connection: it goes with us."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            buffers = getattr(self.channel_layer, "receive_buffer", {})
            buffers.pop(getattr(self, "channel_name", None), None)

    async def connect(self) -> None:
        await self.accept()
        self._join_deadline = asyncio.get_running_loop().call_later(
            JOIN_SECONDS, lambda: asyncio.ensure_future(self._late())
        )

    async def _late(self) -> None:
        if self.call is None:
            await self.close(NO_JOIN)

    async def disconnect(self, code: int) -> None:
        self._join_deadline.cancel()
        await self._answered()

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        self.closed = True
        await super().close(code, reason)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.closed:
            return  # the offer comes right behind the ticket, which was refused
        message = _parse(text_data)
        if message is None:
            await self.close(BAD_MESSAGE)
        elif self.call is None:
            await (self._check(message) if message["type"] == "check" else self._join(message))
        else:
            await self._relay(message)

    async def _check(self, message: dict[str, Any]) -> None:
        """Before a call: what it would be given to find its way. The token stays unspent."""
        token = message.get("token")
        try:
            _, claims = session_token_read(token if isinstance(token, str) else "")
        except AthosError as refused:
            await self._refuse(refused.code, refused.message, TICKET_REFUSED)
            return
        servers = ice_servers(call=str(claims.jti), seconds=CHECK_SECONDS)
        await self._send({"type": "checked", "iceServers": servers})
        await self.close(DONE)

    async def _join(self, message: dict[str, Any]) -> None:
        ticket = message.get("ticket")
        if message["type"] != "join" or not isinstance(ticket, str):
            await self.close(BAD_MESSAGE)
            return
        try:
            holder = ticket_read(ticket)
        except BadSignature:
            await self._refuse(
                "INVALID_TOKEN", "The connection ticket is not valid.", TICKET_REFUSED
            )
            return
        names = {"tenant_id": holder.tenant_id, "call_id": holder.call_id}
        origins = await _database(call_joinable, **names)
        if origins is None:
            await self._refuse("CALL_NOT_FOUND", "This call is over.", CALL_OVER)
            return
        if origins and self._origin() not in {*origins, settings.PUBLIC_URL}:
            await self._refuse("INVALID_TOKEN", "This web site may not join.", TICKET_REFUSED)
            return
        worker = await _database(slot_ensure, **names)
        if worker is None:
            await self._refuse("SERVICE_UNAVAILABLE", "Nobody carries the call now.", NO_WORKER)
            return
        self._join_deadline.cancel()
        self.call, self.tenant = holder.call_id, holder.tenant_id
        self.captions = message.get("captions") is True
        self.worker = _channel(worker)
        servers = ice_servers(call=holder.public_id)
        await self._send({"type": "joined", "callId": holder.public_id, "iceServers": servers})

    def _origin(self) -> str:
        headers = dict(self.scope["headers"])
        return str(headers.get(b"origin", b"").decode("latin-1"))

    async def _relay(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "ping":
                await self._send({"type": "pong", "t": message.get("t")})
            case "candidate" if self.candidates < MAX_CANDIDATES:
                self.candidates += 1
                if self.offer is not None:
                    self.trickled.append(message)
                await self._to_worker("candidate", message)
            case "offer":
                await self._answered()
                self.offer, self.trickled = message, []
                self._looking = asyncio.create_task(self._look_for_another())
                await self._to_worker("offer", message)
            case "end" | "talk" | "pause" as kind:
                await self._to_worker(kind, message)

    async def _look_for_another(self) -> None:
        """Until the offer is answered: if the worker that has it dies, another one gets it."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                while True:
                    await asyncio.sleep(LOOK_AGAIN)
                    await self._look()
        except TimeoutError:
            self._looking = None  # `disconnect`, which the refusal brings, must not end us
            await self._refuse("SERVICE_UNAVAILABLE", "Nobody carries the call now.", NO_WORKER)

    async def _look(self) -> None:
        with suppress(DatabaseError):  # looked for again in a moment
            worker = await _database(slot_ensure, tenant_id=self.tenant, call_id=self.call)
            if worker is None or self.worker == _channel(worker) or self.offer is None:
                return
            self.worker = _channel(worker)
            logger.info("offer moved", extra={"call_id": str(self.call), "worker_id": worker})
            for message in (self.offer, *self.trickled):
                await self._to_worker(message["type"], message)

    async def _answered(self) -> None:
        """The offer needs no care any more."""
        self.offer, self.trickled = None, []
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _to_worker(self, kind: str, body: dict[str, Any]) -> None:
        envelope = {
            "type": kind,
            "call": str(self.call),
            "tenant": str(self.tenant),
            "reply": self.channel_name,
            "body": body,
        }
        try:
            await self.channel_layer.send(self.worker, envelope)
        except (ChannelFull, OSError, RedisError):
            logger.warning("worker cannot be reached", extra={"call_id": str(self.call)})
            await self._refuse("SERVICE_UNAVAILABLE", "The call cannot be reached.", NO_WORKER)

    async def live_message(self, event: dict[str, Any]) -> None:
        """A message from the worker."""
        body = event["body"]
        if body["type"] in {"answer", *_CLOSE_AFTER}:
            await self._answered()
        if body["type"] == "let_go":  # for us: the browser sees that the socket closes
            await self.close(NO_WORKER)
            return
        if body["type"] == "caption" and not self.captions:
            return
        await self._send(body)
        if body["type"] in _CLOSE_AFTER:
            await self.close(_CLOSE_AFTER[body["type"]])

    async def _refuse(self, code: str, message: str, close: int) -> None:
        await self._send({"type": "error", "code": code, "message": message})
        await self.close(close)

    async def _send(self, message: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(message))


def _channel(worker: uuid.UUID) -> str:
    return f"live.{worker.hex}"


def _parse(text: str | None) -> dict[str, Any] | None:
    if text is None or len(text) > MAX_MESSAGE:
        return None
    try:
        message = json.loads(text)
    except ValueError:
        return None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return None
    if message["type"] == "candidate" and len(text) > MAX_CANDIDATE:
        return None
    return message
