"""One live call: its connections, its tasks, its log and its end.

The session outlives connections: an offer for a live call makes the next generation, which takes
the call over from the one before as soon as it is connected. The call outlives the session: another
worker goes on from what is kept with every turn. What it needs comes in as arguments; it knows no
database, no vendor and no wall clock.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from calls import metrics
from calls.live.codec import OpusDecoder, SpeechDecoder
from calls.live.conversation import CallBrief, Conversation, Engines, Message, Surroundings
from calls.live.echo import EchoGuard
from calls.live.events import Part, Turn
from calls.live.peer import InboundPacket, Peer, PeerSettings
from calls.live.pipeline import Pipeline
from calls.live.recorder import Recorder
from calls.live.stt import Ear
from calls.live.turns import TurnTaker
from calls.live.vad import SpeechStage

logger = logging.getLogger(__name__)

LINE_DOWN_AFTER = 1.5  # seconds without a packet from the browser
NETWORK_LOST_AFTER = 30.0
PAUSED_AT_MOST = 600.0  # then the call goes on by itself
CONNECT_WITHIN = 30.0  # seconds from the first offer to the first connection
WRITE_QUEUE = 256  # turns and parts waiting for the database
DRAIN_SECONDS = 10.0

Notify = Callable[[Message], None]


class Fenced(Exception):
    """The call belongs to another worker now, or is over: say nothing more, write nothing more."""


class CallLog(Protocol):
    """Where a call is kept. Every method raises `Fenced` when the call is not ours any more."""

    async def live(self) -> None: ...

    async def turn(self, number: int, turn: Turn, standing: Mapping[str, Any]) -> None: ...

    async def part(self, part: Part) -> None: ...

    async def ended(self, reason: str, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Carried:
    """How far another worker has carried the call. `began` is on the session's clock."""

    began: float
    turns: int  # the number of the next one
    standing: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Line:
    """One generation: a connection, and the socket that asked for it."""

    peer: Peer
    notify: Notify


class Session:
    """See the module. `ended` is set to the reason when all is done.

    `carried` tells of the worker before us. While `held` says no, the call may be another worker's:
    nothing is sent, said or written then.
    """

    def __init__(
        self,
        *,
        brief: CallBrief,
        engines: Engines,
        log: CallLog,
        peers: PeerSettings,
        clock: Callable[[], float],
        carried: Carried | None = None,
        held: Callable[[], bool] = lambda: True,
    ) -> None:
        self.brief = brief
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._log = log
        self._peer_settings = peers
        self._clock = clock
        self._carried = carried
        self._held = held
        self._line: _Line | None = None  # carries the call
        self._coming: _Line | None = None  # answered, not connected yet
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writes: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue(WRITE_QUEUE)
        self._writer: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._closing = False
        self._began = carried.began if carried is not None else None
        self._heard_at = clock()  # when the last packet of any connection came
        self._turn_number = carried.turns if carried is not None else 0
        self._line_down_since: float | None = None
        self._paused_since: float | None = None
        self._paused = 0.0  # seconds since the last turn was kept
        self._standing: Mapping[str, Any] | None = None  # where it is handed over
        self._build(engines)
        self._own(self._expect_connection())

    def _build(self, engines: Engines) -> None:
        turns, ear = TurnTaker(), Ear()
        self._recorder = Recorder(lambda part: self._write(lambda: self._log.part(part)))
        around = Surroundings(
            now=lambda: self.now,
            own=self._own,
            notify=self._notify,
            store=self._store,
            give_up=self._give_up,
        )
        self._conversation = Conversation(
            brief=self.brief, engines=engines, turns=turns, ear=ear, around=around
        )
        self._pipeline = Pipeline(
            decode=SpeechDecoder().decode,
            speech=SpeechStage(engines.detect),
            ear=ear,
            turns=turns,
            playout=self._conversation.playout,
            recorder=self._recorder,
            echo=EchoGuard(OpusDecoder().decode),
            on_decisions=self._conversation.carry_out,
        )

    @property
    def now(self) -> float:
        """Seconds since the call went live; 0 before."""
        return 0.0 if self._began is None else self._clock() - self._began

    # -- connections

    async def offer(self, sdp: str, notify: Notify) -> str:
        """A browser wants to carry the call. Returns the answer.

        The connection that carries it goes on until this one is connected, and for good if it
        never is.
        """
        peer: Peer = Peer(
            self._peer_settings,
            on_packet=lambda packet: self._on_packet(peer, packet),
            next_packet=lambda due: self._next_packet(peer, due),
            on_state=lambda state: self._on_state(peer, state),
        )
        try:
            answer = await peer.answer(sdp)
        except BaseException:
            await peer.close()
            raise
        if self._coming is not None:
            self._own(self._coming.peer.close())
        self._coming = _Line(peer, notify)
        return answer

    def talk(self, pressed: object, notify: Notify) -> None:
        """Press-to-talk; None ends its use, anything but that and a truth value is ignored."""
        if self._is_told_by(notify) and (pressed is None or isinstance(pressed, bool)):
            self._conversation.button(pressed=pressed)

    def pause(self, paused: object, notify: Notify) -> None:
        """The rep pauses the call, or goes on. Nothing is heard, said or recorded meanwhile; the
        time of the call runs on. Anything but a truth value is ignored."""
        if not self._is_told_by(notify) or not isinstance(paused, bool):
            return
        if not paused:
            self._go_on()
        elif self._paused_since is None:
            self._paused_since = self.now
            self._conversation.line_down()
        self._tell_pause()

    def _is_told_by(self, notify: Notify) -> bool:
        """Whether that socket carries the call. What was under way on one before it comes late:
        the browser has said on the new one how things stand since."""
        return self._began is not None and self._line is not None and self._line.notify is notify

    def _go_on(self) -> None:
        since, self._paused_since = self._paused_since, None
        if since is not None:
            self._paused += self.now - since
            self._conversation.go_on(since)

    def _tell_pause(self) -> None:
        self._notify({"type": "paused", "paused": self._paused_since is not None})

    async def candidate(self, candidate: Mapping[str, Any]) -> None:
        line = self._coming or self._line
        if line is not None:
            await line.peer.add_candidate(candidate)

    def _on_state(self, peer: Peer, state: str) -> None:
        coming = self._coming
        if coming is None or peer is not coming.peer or self._closing:
            return
        if state in {"failed", "closed"}:
            self._coming = None
            self._own(peer.close())
        if state == "connected":
            self._coming = None
            self._connected(coming)

    def _connected(self, line: _Line) -> None:
        """Make before break: the former connection has carried the call until now."""
        former, self._line = self._line, line
        if former is not None:
            self._own(former.peer.close())
            if former.notify is not line.notify:
                former.notify({"type": "taken_over"})
        self._notify({"type": "ready", "persona": {"name": self.brief.persona_name}})
        if former is None:
            self._first_connected()
        else:
            self._conversation.tell_who_speaks()
            self._tell_pause()

    def _first_connected(self) -> None:
        self._heard_at = self._clock()
        if self._carried is None:
            self._began = self._heard_at
            self._write(self._log.live)
            self._conversation.begin()
        else:
            self._conversation.resume(self._carried.standing)
        self._own(self._watch())

    def _notify(self, message: Message) -> None:
        line = self._line or self._coming
        if line is not None and self._held():
            line.notify(message)

    def _carries(self, peer: Peer) -> bool:
        """Whether this connection is the one of a call that goes on, and is ours."""
        current = self._line is not None and peer is self._line.peer
        return current and not self._closing and self._held()

    def _on_packet(self, peer: Peer, packet: InboundPacket) -> None:
        if self._began is None or not self._carries(peer):
            return
        if packet.payload is not None:
            self._heard_at = self._clock()
        if self._paused_since is not None:
            return
        self._pipeline.microphone(
            packet=packet.payload,
            samples=packet.samples,
            captured=packet.captured_at - self._began,
        )

    def _next_packet(self, peer: Peer, due: float) -> bytes | None:
        if self._began is None or not self._carries(peer) or self._paused_since is not None:
            return None
        metrics.frame_sent(self._clock() - due)
        return self._pipeline.next_packet(due - self._began)

    # -- the watch

    async def _expect_connection(self) -> None:
        await asyncio.sleep(CONNECT_WITHIN)
        if self._line is None:
            self._end_soon("never_connected" if self._carried is None else "network_lost")

    async def _watch(self) -> None:
        """Four times a second: is the line up, is it quiet, is it time to stop."""
        while not self._closing:
            await asyncio.sleep(0.25)
            if self.now > self.brief.max_seconds:
                self._end_soon("ceiling")
            self._watch_line()
            self._watch_pause()
            if self._line_down_since is None and self._paused_since is None:
                self._conversation.watch_silence()

    def _watch_pause(self) -> None:
        if self._paused_since is not None and self.now - self._paused_since > PAUSED_AT_MOST:
            self._go_on()
            self._tell_pause()

    def _watch_line(self) -> None:
        silent = self._clock() - self._heard_at
        if silent < LINE_DOWN_AFTER:
            since, self._line_down_since = self._line_down_since, None
            if since is not None:
                self._conversation.line_up(since)
            return
        if self._line_down_since is None:
            self._line_down_since = self.now - silent
            self._conversation.line_down()
        if silent > NETWORK_LOST_AFTER:
            self._end_soon("network_lost")

    # -- the end

    async def end(self, reason: str) -> None:
        """End the call: flush the recording, write what is left, tell the browser."""
        if self._closing:
            return
        seconds = await self._stop()
        if self._began is not None:
            self._write(lambda: self._log.ended(reason, seconds))
        await self._drain_writes()
        self._notify(
            {
                "type": "ended",
                "callId": self.brief.public_id,
                "durationSec": round(seconds),
                "reason": reason,
            }
        )
        self._settle(reason)

    async def hand_over(self) -> None:
        """Leave the call to another worker: all is written, and the browser joins again."""
        if self._closing:
            return
        self._standing = self._conversation.standing()
        await self._stop()
        await self._drain_writes()
        self._notify({"type": "let_go"})
        self._settle("handed_over")

    async def abandon(self) -> None:
        """Fall silent and let go without writing: the call is somebody else's, or will be."""
        if self._closing:
            return
        self._closing = True
        await self._conversation.close()
        await self._let_go()
        if self._writer is not None:
            self._writer.cancel()
        line = self._line or self._coming
        if line is not None:
            line.notify({"type": "let_go"})
        self._settle("fenced")

    async def _stop(self) -> float:
        """No more sound; the recording is flushed. The length of the call in seconds."""
        self._closing = True
        seconds = self.now
        await self._conversation.close()
        self._recorder.close()
        await self._let_go()
        return seconds

    def _settle(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    async def _let_go(self) -> None:
        """Nothing of the call goes on: no task, no socket."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for line in (self._line, self._coming):
            if line is not None:
                await line.peer.close()

    def _end_soon(self, reason: str) -> None:
        self._apart(self.end(reason))

    def _apart(self, ending: Coroutine[Any, Any, None]) -> None:
        """Run an ending outside our own tasks, which it cancels."""
        if self._closing or self._ending is not None:
            ending.close()
            return
        self._ending = asyncio.create_task(ending)
        self._ending.add_done_callback(_log_failure)

    def _give_up(self) -> None:
        logger.error("speech is away, call given up", extra={"call_id": self.brief.public_id})
        self._end_soon("engines_failed")

    # -- tasks and writes

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_failure)
        return task

    def _store(self, turn: Turn) -> None:
        number = self._turn_number
        self._turn_number += 1
        standing = self._standing or self._conversation.standing()
        if self._paused:
            turn = replace(turn, latency={**turn.latency, "paused": 1000 * self._paused})
            self._paused = 0.0
        self._write(lambda: self._log.turn(number, turn, standing))

    def _write(self, write: Callable[[], Awaitable[None]]) -> None:
        """In order, behind the call: the audio never waits for the database."""
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        try:
            self._writes.put_nowait(write)
        except asyncio.QueueFull:
            logger.error("log of a call fell behind", extra={"call_id": self.brief.public_id})
            self._apart(self.abandon())

    async def _write_all(self) -> None:
        while True:
            write = await self._writes.get()
            try:
                if not self._held():
                    raise Fenced
                await write()
            except Exception as failure:  # noqa: BLE001 - whatever it is, the call cannot be kept
                facts = {"call_id": self.brief.public_id, "error": type(failure).__name__}
                logger.warning("call could not be written", extra=facts)
                self._apart(self.abandon())
                return
            finally:
                self._writes.task_done()

    async def _drain_writes(self) -> None:
        if self._writer is None:
            return
        drained = asyncio.ensure_future(self._writes.join())
        await asyncio.wait(
            {drained, self._writer}, timeout=DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        for task in (drained, self._writer):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("a task of a call failed", exc_info=task.exception())
