"""A process that carries calls: its place in the database, its sessions, its messages.

The only module of the live call that knows the database and the channel layer. Database work runs
in a small pool of threads; the loop that carries audio never waits for it.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer
from django.db import DatabaseError, connections
from redis.exceptions import RedisError

from calls import metrics
from calls.live.capacity import LOOK_SECONDS as LAG_LOOK_SECONDS
from calls.live.capacity import WINDOW_SECONDS, Admission
from calls.live.conversation import CallBrief, Engines
from calls.live.events import Part, Turn
from calls.live.peer import PeerError, PeerSettings
from calls.live.session import Carried, Fenced, Notify, Session
from calls.services import live as services
from calls.services.ledger import MISSED_END

logger = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
BEAT_WITHIN = 2.0  # seconds until the database must have answered
SILENT_AFTER = 5.0  # seconds since the last renewal: in one more, others may own our calls
LOOK_SECONDS = 0.5  # between looks whether the last call has ended, while draining
DATABASE_THREADS = 4
OUTBOX = 1000  # messages waiting for the channel layer
WRITE_TRIES = (0.2, 0.5, 1.0, 2.0)  # seconds between tries while the database is away

Result = TypeVar("Result")
MakeEngines = Callable[[services.OwnedCall], Awaitable[Engines]]


class Database:
    """Runs services in threads of its own, each on a connection given back afterwards."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="database")

    async def __call__(self, service: Callable[..., Result], **arguments: Any) -> Result:
        def run() -> Result:
            try:
                return service(**arguments)
            finally:
                connections.close_all()

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    async def persist(self, service: Callable[..., None], **arguments: Any) -> None:
        """Write, waiting out a short absence of the database. Raises Fenced or DatabaseError."""
        for pause in (*WRITE_TRIES, None):
            try:
                await self(service, **arguments)
            except services.CallNotOurs as lost:
                raise Fenced from lost
            except DatabaseError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                return

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class DatabaseLog:
    """Keeps one call. See `calls.live.session.CallLog`."""

    def __init__(self, database: Database, call: services.OwnedCall) -> None:
        self._database = database
        self._call = call

    async def live(self) -> None:
        await self._database.persist(services.call_live, call=self._call)

    async def turn(self, number: int, turn: Turn, standing: Mapping[str, Any]) -> None:
        values = {
            "role": turn.role,
            "text": turn.text,
            "start_time": turn.start,
            "end_time": turn.end,
            "interrupted": turn.interrupted,
            "latency": {part: round(value, 1) for part, value in turn.latency.items()},
            "director": dict(turn.director),
        }
        metrics.turn_taken(turn.latency, missed_end=MISSED_END)
        await self._database.persist(
            services.turn_add, call=self._call, number=number, values=values, standing=standing
        )

    async def part(self, part: Part) -> None:
        await self._database.persist(
            services.recording_part_add,
            call=self._call,
            channel=part.channel,
            number=part.number,
            offset=part.offset,
            duration=part.duration,
            data=part.data,
        )

    async def ended(self, reason: str, seconds: float) -> None:
        await self._database.persist(
            services.call_end, call=self._call, reason=reason, seconds=seconds
        )


class Worker:
    """Takes calls whose slot it holds, and answers the browsers that carry them."""

    def __init__(
        self,
        *,
        host: str,
        slots: int,
        layer: BaseChannelLayer,
        peers: PeerSettings,
        make_engines: MakeEngines,
    ) -> None:
        self._host = host
        self._admission = Admission(slots)
        self._layer = layer
        self._peers = peers
        self._make_engines = make_engines
        self._database = Database()
        self._sessions: dict[uuid.UUID, Session] = {}
        self._opening: WeakValueDictionary[uuid.UUID, asyncio.Lock] = WeakValueDictionary()
        self._notifiers: WeakValueDictionary[str, Notify] = WeakValueDictionary()
        self._outbox: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue(OUTBOX)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()
        self._renewed = 0.0  # loop time at which our leases were renewed last
        self.id: uuid.UUID | None = None

    @property
    def calls(self) -> int:
        """How many it carries now."""
        return len(self._sessions)

    async def run(self) -> None:
        """Serve until `drain` is done; what is live then is left to other workers."""
        slots = self._admission.slots
        worker = await self._database(services.worker_register, host=self._host, slots=slots)
        self.id, self._renewed = worker.pk, asyncio.get_running_loop().time()
        logger.info("live worker ready", extra={"worker_id": self.id, "slots": slots})
        beat = asyncio.create_task(self._beat())
        watch = asyncio.create_task(self._watch_lag())
        listen = asyncio.create_task(self._listen())
        send = asyncio.create_task(self._send_all())
        try:
            await self._stopping.wait()
        finally:
            await _end(listen, watch)
            await self._leave(beat)
            await _end(send)

    async def drain(self, limit: float) -> None:
        """Take no new calls; stop when the last has ended, or after `limit` seconds.

        Calls whose browser is on its way here are waited for as well.
        """
        until = asyncio.get_running_loop().time() + limit
        while self.id is not None and limit > 0:
            with suppress(DatabaseError):  # asked again in a moment
                await self._database(services.worker_drain, worker_id=self.id)
                expected = await self._database(services.worker_expected, worker_id=self.id)
                if not expected and not self._sessions:
                    break
            if asyncio.get_running_loop().time() >= until:
                logger.warning("drained too long", extra={"calls": len(self._sessions)})
                break
            await asyncio.sleep(LOOK_SECONDS)
        self._stopping.set()

    async def _leave(self, beat: asyncio.Task[None]) -> None:
        """Hand the calls over, their leases renewed until then, and sign off."""
        leaving = [session.hand_over() for session in self._sessions.values()]
        await asyncio.gather(*leaving, return_exceptions=True)
        await _end(beat)
        try:
            await self._database(services.worker_leave, worker_id=self.id)
        except DatabaseError:
            logger.warning("could not sign off; the heartbeat will tell")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._outbox.join(), 1.0)
        for task in list(self._tasks):
            task.cancel()
        self._database.close()

    # -- the lease

    def _held(self) -> bool:
        """Whether nobody else can own our calls. Needs no look: a process that was stopped and
        wakes up knows before it does anything."""
        return asyncio.get_running_loop().time() - self._renewed < SILENT_AFTER

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self._renew()

    async def _renew(self) -> None:
        calls, asked_at = list(self._sessions), asyncio.get_running_loop().time()
        try:
            held = await asyncio.wait_for(
                self._database(
                    services.worker_beat,
                    worker_id=self.id,
                    calls=calls,
                    slots=self._admission.limit,
                ),
                BEAT_WITHIN,
            )
        except (DatabaseError, TimeoutError):
            logger.warning("lease could not be renewed")
            if not self._held():
                await self._let_go(calls)
            return
        self._renewed = asked_at
        await self._let_go([call for call in calls if call not in held])

    async def _let_go(self, calls: list[uuid.UUID]) -> None:
        for call in calls:
            session = self._sessions.pop(call, None)
            if session is not None:
                logger.warning("call let go", extra={"call_id": session.brief.public_id})
                await session.abandon()

    async def _watch_lag(self) -> None:
        """A loop that runs late delays the sound of all calls: then take fewer."""
        loop = asyncio.get_running_loop()
        while True:
            late = []
            window_ends = loop.time() + WINDOW_SECONDS
            while (due := loop.time() + LAG_LOOK_SECONDS) < window_ends:
                await asyncio.sleep(LAG_LOOK_SECONDS)
                late.append(loop.time() - due)
            before = self._admission.limit
            now = self._admission.window(late, calls=self.calls)
            if now != before:
                facts = {"worker_id": self.id, "calls": self.calls, "slots": now}
                logger.warning("worker takes another number of calls", extra=facts)

    # -- messages

    async def _listen(self) -> None:
        assert self.id is not None
        channel = f"live.{self.id.hex}"
        while True:
            try:
                message = await self._layer.receive(channel)
            except (OSError, RedisError):
                logger.warning("channel layer is away")
                await asyncio.sleep(0.5)
                continue
            task = asyncio.create_task(self._handle(message))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a message of a call failed", exc_info=task.exception())

    async def _handle(self, message: Mapping[str, Any]) -> None:
        if not self._held():
            return  # we were stopped meanwhile; the web process asks another worker by now
        call = uuid.UUID(message["call"])
        notify = self._notifier(message["reply"])
        if message["type"] == "offer":
            await self._offer(call, uuid.UUID(message["tenant"]), message["body"], notify)
            return
        async with self._lock(call):  # a candidate may overtake the offer it belongs to
            session = self._sessions.get(call)
        if session is None:
            return
        if message["type"] == "candidate":
            await session.candidate(message["body"].get("candidate") or {})
        elif message["type"] == "talk":
            session.talk(message["body"].get("pressed"), notify)
        elif message["type"] == "pause":
            session.pause(message["body"].get("paused"), notify)
        elif message["type"] == "end":
            await session.end("rep_ended")

    def _lock(self, call: uuid.UUID) -> asyncio.Lock:
        """Of one call, while anybody uses it."""
        return self._opening.setdefault(call, asyncio.Lock())

    def _notifier(self, channel: str) -> Notify:
        """Sends to one browser connection; the same connection gives the same function."""
        return self._notifiers.setdefault(channel, lambda body: self._send(channel, body))

    def _send(self, channel: str, body: Mapping[str, Any]) -> None:
        try:
            self._outbox.put_nowait((channel, body))
        except asyncio.QueueFull:
            logger.warning("messages to browsers were dropped")

    async def _send_all(self) -> None:
        """One after the other, so that a browser gets its messages in order."""
        while True:
            channel, body = await self._outbox.get()
            try:
                await self._layer.send(channel, {"type": "live.message", "body": dict(body)})
            except (ChannelFull, OSError, RedisError):
                logger.warning("a message to a browser was lost")
            finally:
                self._outbox.task_done()

    async def _offer(
        self, call: uuid.UUID, tenant: uuid.UUID, body: Mapping[str, Any], notify: Notify
    ) -> None:
        sdp = body.get("sdp")
        if not isinstance(sdp, str):
            notify(_error("INVALID_REQUEST", "The offer has no session description."))
            return
        try:
            async with self._lock(call):
                session = self._sessions.get(call) or await self._open(call, tenant)
                answer = await session.offer(sdp, notify)
        except services.CallOver:
            notify(_error("CALL_NOT_FOUND", "This call is over."))
        except services.CallNotOurs:
            logger.info("offer of another worker's call", extra={"call_id": str(call)})
        except PeerError as refused:
            notify(_error("INVALID_REQUEST", str(refused)))
        else:
            notify({"type": "answer", "sdp": answer})

    async def _open(self, call_id: uuid.UUID, tenant: uuid.UUID) -> Session:
        asked_at = asyncio.get_running_loop().time()
        call = await self._database(
            services.call_take, tenant_id=tenant, call_id=call_id, worker_id=self.id
        )
        carried = None
        if call.elapsed is not None:
            carried = Carried(asked_at - call.elapsed, call.turns, call.standing)
        session = Session(
            brief=_brief(call),
            engines=await self._make_engines(call),
            log=DatabaseLog(self._database, call),
            peers=self._peers,
            clock=asyncio.get_running_loop().time,
            carried=carried,
            held=self._held,
        )
        self._sessions[call_id] = session
        session.ended.add_done_callback(lambda _: self._forget(call_id))
        taken = "call taken over" if carried is not None else "call taken"
        logger.info(taken, extra={"call_id": call.public_id, "epoch": call.epoch})
        return session

    def _forget(self, call: uuid.UUID) -> None:
        self._sessions.pop(call, None)


def _brief(call: services.OwnedCall) -> CallBrief:
    persona = call.pack["persona"]
    return CallBrief(
        public_id=call.public_id,
        persona_name=persona["name"],
        voice=persona["voice"],
        speed=float(persona.get("speed", 1.0)),
        hints=tuple(call.pack.get("hints", ())),
    )


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel, twice if need be: redis-py may take a cancellation for a time-out of its own."""
    for _ in range(3):
        for task in tasks:
            task.cancel()
        _, pending = await asyncio.wait(tasks, timeout=0.3)
        if not pending:
            return
    logger.warning("a task of the worker did not end")


def _error(code: str, message: str) -> dict[str, str]:
    return {"type": "error", "code": code, "message": message}
