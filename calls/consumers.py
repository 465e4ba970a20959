"""The signalling socket: a ticket, then messages to and fro between a browser and its worker.

The wire protocol is docs/live-protocol.md. The web process keeps nothing but the ticket's call and
its worker's channel; the audio never passes here.
"""

import asyncio
import json
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from channels.exceptions import ChannelFull
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.core.signing import BadSignature
from django.db import connections
from redis.exceptions import RedisError

from calls.selectors import Joinable, call_joinable
from calls.services.tickets import Ticket, ticket_read

logger = logging.getLogger(__name__)

JOIN_SECONDS = 5.0
MAX_MESSAGE = 64 * 1024
MAX_CANDIDATES = 64
BAD_MESSAGE, TICKET_REFUSED, NO_JOIN, TAKEN_OVER, CALL_OVER, NO_WORKER = (
    *(4400, 4401, 4408, 4409, 4410, 4503),
)
_CLOSE_AFTER = {"taken_over": TAKEN_OVER, "ended": CALL_OVER, "error": NO_WORKER}

# Threads of our own: signalling never waits behind slow pages, nor they behind it.
_threads = ThreadPoolExecutor(4, thread_name_prefix="signalling")


async def _find_call(holder: Ticket) -> Joinable | None:
    """Gives its connection back by itself: `database_sync_to_async` of channels 4.3 looks for it
    outside the context in which asgiref 3.13 keeps it, and so leaks it."""

    def find() -> Joinable | None:
        try:
            return call_joinable(tenant_id=holder.tenant_id, call_id=holder.call_id)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_threads, find)


class SignallingConsumer(AsyncWebsocketConsumer):
    """One browser connection. Messages to the worker carry our channel, so it can always answer."""

    call: uuid.UUID | None = None
    tenant: uuid.UUID
    worker: str
    candidates = 0

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
        if self.call is not None:
            await self._to_worker("left", {})

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message = _parse(text_data)
        if message is None:
            await self.close(BAD_MESSAGE)
        elif self.call is None:
            await self._join(message)
        else:
            await self._relay(message)

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
        call = await _find_call(holder)
        if call is None:
            await self._refuse("CALL_NOT_FOUND", "This call is over.", CALL_OVER)
            return
        if call.origins and self._origin() not in {*call.origins, settings.PUBLIC_URL}:
            await self._refuse("INVALID_TOKEN", "This web site may not join.", TICKET_REFUSED)
            return
        if call.worker_id is None:
            await self._refuse("SERVICE_UNAVAILABLE", "Nobody carries the call now.", NO_WORKER)
            return
        self._join_deadline.cancel()
        self.call, self.tenant = holder.call_id, holder.tenant_id
        self.worker = f"live.{call.worker_id.hex}"
        await self._send(
            {"type": "joined", "callId": holder.public_id, "iceServers": settings.ICE_SERVERS}
        )

    def _origin(self) -> str:
        headers = dict(self.scope["headers"])
        return str(headers.get(b"origin", b"").decode("latin-1"))

    async def _relay(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "ping":
                await self._send({"type": "pong", "t": message.get("t")})
            case "candidate" if self.candidates < MAX_CANDIDATES:
                self.candidates += 1
                await self._to_worker("candidate", message)
            case "offer" | "end":
                await self._to_worker(message["type"], message)

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
            if kind != "left":
                await self._refuse("SERVICE_UNAVAILABLE", "The call cannot be reached.", NO_WORKER)

    async def live_message(self, event: dict[str, Any]) -> None:
        """A message from the worker."""
        body = event["body"]
        await self._send(body)
        if body["type"] in _CLOSE_AFTER:
            await self.close(_CLOSE_AFTER[body["type"]])

    async def _refuse(self, code: str, message: str, close: int) -> None:
        await self._send({"type": "error", "code": code, "message": message})
        await self.close(close)

    async def _send(self, message: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(message))


def _parse(text: str | None) -> dict[str, Any] | None:
    if text is None or len(text) > MAX_MESSAGE:
        return None
    try:
        message = json.loads(text)
    except ValueError:
        return None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return None
    return message
