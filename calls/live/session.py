"""One live call: what its stages decided, carried out.

The session owns the call's tasks and everything that waits: connections, recognition, the turn
model, the persona, its voice, and the log. It outlives connections: an offer for a live call makes
the next generation and closes the one before. What it needs comes in as arguments; it knows no
database, no vendor and no wall clock.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from calls.live.codec import OpusDecoder, Resampler48to16
from calls.live.events import FRAME_SECONDS, LineEnded, LineStarted, Part, Pcm, Turn
from calls.live.peer import InboundPacket, Peer, PeerSettings
from calls.live.persona import SpokenLine, SpokenReply
from calls.live.pipeline import Pipeline
from calls.live.playout import Clip, Playout
from calls.live.recorder import Recorder
from calls.live.stt import Ear, WordStage
from calls.live.tts import LineCache, VoiceStage
from calls.live.turns import (
    AskTurnModel,
    Decision,
    Hold,
    Interrupt,
    RepPaused,
    RepStarted,
    Resume,
    Transcribe,
    TurnDropped,
    TurnEnded,
    TurnTaker,
)
from calls.live.vad import SpeechStage, acoustic_end
from calls.ports import Heard, Line, PersonaBrain, ProviderError, Transcriber, TurnDetector, Voice

logger = logging.getLogger(__name__)

LINE_DOWN_AFTER = 1.5  # seconds without a packet from the browser
NETWORK_LOST_AFTER = 30.0
CONNECT_WITHIN = 30.0  # seconds from the first offer to the first connection
SILENCE_PROMPTS = (8.0, 20.0)  # seconds of quiet after which the persona says something
MERGE_WITHIN = 0.7  # a reply heard for less than this had cut the rep off
MAX_FAILURES = 3  # providers that failed in a row before the call is given up
WRITE_QUEUE = 256

Message = Mapping[str, Any]
Notify = Callable[[Message], None]


class Fenced(Exception):
    """The call belongs to another worker now, or is over: say nothing more, write nothing more."""


class CallLog(Protocol):
    """Where a call is kept. Every method raises `Fenced` when the call is not ours any more."""

    async def live(self) -> None: ...

    async def turn(self, number: int, turn: Turn) -> None: ...

    async def part(self, part: Part) -> None: ...

    async def ended(self, reason: str, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class CallBrief:
    """What the session must know about its call."""

    public_id: str
    persona_name: str
    voice: str
    speed: float = 1.0
    hints: tuple[str, ...] = ()
    max_seconds: float = 7200.0


@dataclass(frozen=True, slots=True)
class Engines:
    """The ports of one call; `detect` keeps state, so it is this call's own."""

    detect: Callable[[Pcm], float]
    turn_detector: TurnDetector
    transcriber: Transcriber
    brain: PersonaBrain
    voice: Voice
    lines: LineCache


@dataclass
class _Answering:
    """The rep's turn that is being answered, to be taken back if it turns out not to be over."""

    heard: Heard
    snapshot: Mapping[str, Any]
    sound_end: float  # its last sound, seconds of the call
    marks: dict[str, float] = field(default_factory=dict)


class Session:
    """See the module. `notify` reaches the browser that carries the call now."""

    def __init__(
        self,
        *,
        brief: CallBrief,
        engines: Engines,
        log: CallLog,
        peers: PeerSettings,
        clock: Callable[[], float],
    ) -> None:
        self.brief = brief
        self._engines = engines
        self._log = log
        self._peer_settings = peers
        self._clock = clock
        self._notify: Notify = _nobody
        self._peer: Peer | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writes: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue(WRITE_QUEUE)
        self._writer: asyncio.Task[None] | None = None
        self._began: float | None = None
        self._frame = 0
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._closing = False

        self._turn_number = 0
        self._line_number = 0
        self._pieces: list[int] = []
        self._reply: SpokenReply | None = None
        self._reply_task: asyncio.Task[None] | None = None
        self._answering: _Answering | None = None
        self._unfinished: _Answering | None = None  # taken back: the rep went on
        self._quiet_since = 0.0
        self._prompts = 0
        self._failures = 0
        self._words_failed = False
        self._line_down_since: float | None = None
        self._build()
        self._own(self._expect_connection())

    async def _expect_connection(self) -> None:
        await asyncio.sleep(CONNECT_WITHIN)
        if self._began is None:
            self._own_end("never_connected")

    def _build(self) -> None:
        engines = self._engines
        self._turns = TurnTaker()
        self._ear = Ear()
        self._playout = Playout(self._on_line)
        self._recorder = Recorder(self._on_part)
        self._words = WordStage(self._ear, self._recognise, self._on_words, self._on_failure)
        self._voice = VoiceStage(
            speak=lambda text: engines.voice.speak(
                text, voice=self.brief.voice, speed=self.brief.speed
            ),
            cache=engines.lines,
            voice_key=f"{engines.voice.version}|{self.brief.voice}|{self.brief.speed}",
        )
        self._pipeline = Pipeline(
            decode=OpusDecoder().decode,
            speech=SpeechStage(engines.detect, Resampler48to16().resample),
            ear=self._ear,
            turns=self._turns,
            playout=self._playout,
            recorder=self._recorder,
            on_decisions=self._carry_out,
        )

    # -- the outside: connections and the end

    @property
    def now(self) -> float:
        """Seconds since the call went live; 0 before."""
        return 0.0 if self._began is None else self._clock() - self._began

    async def offer(self, sdp: str, notify: Notify) -> str:
        """A browser wants to carry the call. Returns the answer; the former connection closes."""
        if notify is not self._notify:
            self._notify({"type": "taken_over"})
            self._notify = notify
        generation = Peer(
            self._peer_settings,
            on_packet=lambda packet: self._on_packet(generation, packet),
            next_packet=lambda: self._next_packet(generation),
            on_state=lambda state: self._on_state(generation, state),
        )
        answer = await generation.answer(sdp)
        former, self._peer = self._peer, generation
        if former is not None:
            self._own(former.close())
        return answer

    async def candidate(self, candidate: Mapping[str, Any]) -> None:
        if self._peer is not None:
            await self._peer.add_candidate(dict(candidate))

    async def end(self, reason: str) -> None:
        """End the call: flush the recording, write what is left, tell the browser."""
        if self._closing:
            return
        self._closing = True
        seconds = self.now
        self._finish_reply(cut=True)
        self._recorder.close()
        await self._close_stages()
        if self._began is not None:
            self._write(lambda: self._log.ended(reason, seconds))
        await self._drain_writes()
        self._notify(self._ended_message(reason, seconds))
        if not self.ended.done():
            self.ended.set_result(reason)

    async def abandon(self) -> None:
        """Fall silent and let go without writing: the call is somebody else's."""
        if self._closing:
            return
        self._closing = True
        await self._close_stages()
        if self._writer is not None:
            self._writer.cancel()
        if not self.ended.done():
            self.ended.set_result("fenced")

    def _ended_message(self, reason: str, seconds: float) -> Message:
        return {
            "type": "ended",
            "callId": self.brief.public_id,
            "durationSec": round(seconds),
            "reason": reason,
        }

    async def _close_stages(self) -> None:
        await self._words.close()
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._peer is not None:
            await self._peer.close()

    # -- tasks and writes

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _write(self, write: Callable[[], Awaitable[None]]) -> None:
        """In order, behind the call: the audio never waits for the database."""
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        try:
            self._writes.put_nowait(write)
        except asyncio.QueueFull:
            logger.error(
                "log of the call fell too far behind", extra={"call": self.brief.public_id}
            )
            self._own(self.abandon())

    async def _write_all(self) -> None:
        while True:
            write = await self._writes.get()
            try:
                await write()
            except Fenced:
                logger.warning("call was fenced off", extra={"call": self.brief.public_id})
                self._own(self.abandon())
                return
            finally:
                self._writes.task_done()

    async def _drain_writes(self) -> None:
        if self._writer is None:
            return
        drained = asyncio.ensure_future(self._writes.join())
        await asyncio.wait({drained, self._writer}, timeout=10, return_when="FIRST_COMPLETED")
        for task in (drained, self._writer):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # -- audio, on the loop, never waiting

    def _on_packet(self, peer: Peer, packet: InboundPacket) -> None:
        if peer is not self._peer or self._began is None or self._closing:
            return
        self._pipeline.microphone(
            packet=packet.payload,
            samples=packet.samples,
            captured=packet.captured_at - self._began,
        )

    def _next_packet(self, peer: Peer) -> bytes | None:
        if peer is not self._peer or self._began is None or self._closing:
            return None
        # After a gap between two connections the line of time goes on where the clock is.
        self._frame = max(self._frame + 1, int((self.now - 0.5) / FRAME_SECONDS))
        return self._pipeline.next_packet(self._frame * FRAME_SECONDS)

    def _on_state(self, peer: Peer, state: str) -> None:
        if peer is not self._peer or self._closing or state != "connected":
            return
        if self._began is None:
            self._began = self._clock()
            self._write(self._log.live)
            self._own(self._watch())
            self._answer(self._engines.brain.opening(), None)
        self._notify({"type": "ready", "persona": {"name": self.brief.persona_name}})

    def _on_part(self, part: Part) -> None:
        self._write(lambda: self._log.part(part))

    async def _watch(self) -> None:
        """Four times a second: is the line up, is it quiet, is it time to stop."""
        while not self._closing:
            await asyncio.sleep(0.25)
            if self.now > self.brief.max_seconds:
                self._own_end("ceiling")
                return
            self._watch_line()
            self._watch_silence()

    def _watch_line(self) -> None:
        last = self._peer.last_packet_at if self._peer is not None else None
        silent = self._clock() - (last if last is not None else self._began or 0.0)
        if silent < LINE_DOWN_AFTER:
            if self._line_down_since is not None:
                self._line_down_since = None
                self._playout.resume()
            return
        if self._line_down_since is None:
            self._line_down_since = self.now - silent
            self._playout.pause()
        if self.now - self._line_down_since > NETWORK_LOST_AFTER:
            self._own_end("network_lost")

    def _watch_silence(self) -> None:
        busy = self._reply is not None or self._turns.turn_open or self._unfinished is not None
        if busy or self._line_down_since is not None or self._prompts >= len(SILENCE_PROMPTS):
            return
        quiet = self.now - self._quiet_since
        if quiet >= SILENCE_PROMPTS[self._prompts]:
            self._prompts += 1
            self._answer(self._engines.brain.silence(quiet), None)

    def _own_end(self, reason: str) -> None:
        """End from inside one of our own tasks, which ending would otherwise cancel."""
        if not self._closing:
            task = asyncio.create_task(self.end(reason))
            task.add_done_callback(_log_failure)
            self._ending = task

    # -- decisions

    def _carry_out(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            match decision:
                case RepStarted():
                    self._notify({"type": "userSpeaking", "speaking": True})
                    self._take_back_unheard_reply()
                case RepPaused():
                    self._notify({"type": "userSpeaking", "speaking": False})
                case Transcribe(piece, start, end):
                    before = [known for known in self._pieces if known != piece]
                    if piece not in self._pieces:
                        self._pieces.append(piece)
                    self._words.start(piece, start, end, before)
                case AskTurnModel(question, start, at):
                    self._own(self._ask_turn_model(question, start, at))
                case TurnEnded():
                    self._turn_ended(decision)
                case TurnDropped(at):
                    self._turn_dropped(at)
                case Hold():
                    self._playout.pause()
                case Resume():
                    self._playout.resume()
                case Interrupt():
                    self._finish_reply(cut=True)

    async def _ask_turn_model(self, question: int, start: float, at: float) -> None:
        pcm = self._ear.between(max(start - 0.2, at - 8.0), at)
        try:
            self._turns.verdict(question, await self._engines.turn_detector.complete(pcm))
        except ProviderError:
            logger.warning("turn model failed", extra={"call": self.brief.public_id})

    async def _recognise(self, pcm: Pcm, before: str) -> str:
        transcript = await self._engines.transcriber.live(
            pcm, hints=self.brief.hints, previous=before
        )
        return transcript.text

    def _on_words(self, piece: int, end: float, text: str) -> None:
        self._words_failed = False
        self._turns.words(piece, end, text)

    def _on_failure(self, failure: Exception) -> None:
        self._words_failed = True
        logger.warning(
            "recognition failed",
            extra={"call": self.brief.public_id, "error": type(failure).__name__},
        )

    def _turn_dropped(self, at: float) -> None:
        self._forget_pieces()
        if self._unfinished is not None:
            self._answer_again(self._unfinished)
        elif self._words_failed:
            self._words_failed = False
            self._failed()
            self._answer(self._engines.brain.reply(Heard("", at, at)), None)

    def _forget_pieces(self) -> None:
        self._words.forget(self._pieces)
        self._pieces = []

    def _turn_ended(self, ended: TurnEnded) -> None:
        text = self._words.text(ended.pieces)
        sound = self._ear.between(ended.start, ended.end + 0.1)
        sound_end = ended.start + acoustic_end(sound)
        heard = Heard(text, ended.start, sound_end, interrupting=ended.interrupting)
        self._forget_pieces()
        self._prompts = 0
        latency = {"silence": 1000 * (ended.at - sound_end)}
        if self._unfinished is not None:
            latency["cut_off"] = 1.0
        self._store(Turn("user", text, heard.start, heard.end, False, latency))
        if self._unfinished is not None:
            before = self._unfinished.heard
            heard = replace(heard, text=f"{before.text} {text}", start=before.start)
            self._unfinished = None
        self._answering = _Answering(
            heard, self._engines.brain.snapshot(), sound_end, {"decided": ended.at}
        )
        self._answer(self._engines.brain.reply(heard), self._answering)

    def _take_back_unheard_reply(self) -> None:
        """The rep goes on before a sound of the reply was heard: the turn was not over."""
        if self._answering is None or self._reply is None or self._reply.started_at is not None:
            return
        self._unfinished, self._answering = self._answering, None
        self._stop_reply()
        self._engines.brain.restore(self._unfinished.snapshot)

    def _answer_again(self, unfinished: _Answering) -> None:
        """What sounded like the rep going on was nothing: answer what was said."""
        self._unfinished = None
        self._answering = unfinished
        self._answer(self._engines.brain.reply(unfinished.heard), unfinished)

    # -- the persona

    def _answer(self, lines: AsyncIterator[Line], answering: _Answering | None) -> None:
        self._stop_reply()
        self._reply = SpokenReply(answering)
        self._reply_task = self._own(self._speak(self._reply, lines))

    async def _speak(self, reply: SpokenReply, lines: AsyncIterator[Line]) -> None:
        try:
            async for line in lines:
                self._mark(reply, "brain")
                await self._speak_line(reply, line)
        except ProviderError as failure:
            logger.warning(
                "persona could not speak",
                extra={"call": self.brief.public_id, "error": type(failure).__name__},
            )
            self._failed()
        else:
            self._failures = 0
        finally:
            reply.complete = True
        self._finish_if_over(reply)

    async def _speak_line(self, reply: SpokenReply, line: Line) -> None:
        self._line_number += 1
        spoken = SpokenLine(self._line_number, line.text, line.cue)
        clip = Clip()
        reply.lines.append(spoken)
        added = False
        try:
            async for packets in self._voice.packets(line.text):
                clip.extend(packets)
                self._mark(reply, "voice")
                if not added and packets:
                    self._playout.add(spoken.number, clip)
                    added = True
        finally:
            clip.close()
            if not added:
                spoken.over = True

    def _mark(self, reply: SpokenReply, part: str) -> None:
        if isinstance(reply.heard_turn, _Answering):
            reply.heard_turn.marks.setdefault(part, self.now)

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            self._notify(
                {
                    "type": "error",
                    "code": "SERVICE_UNAVAILABLE",
                    "message": "The speech service is not available. The call was ended.",
                }
            )
            self._own_end("rep_ended")

    def _on_line(self, event: LineStarted | LineEnded) -> None:
        reply = self._reply
        line = _line_of(reply, event.line)
        if reply is None or line is None:
            return
        if isinstance(event, LineStarted):
            line.started_at = event.at
            if reply.lines[0] is line:
                self._reply_started(reply, event.at)
            return
        line.ended_at, line.over = event.at, True
        line.heard = event.heard if reply.complete else self._share_of_unfinished(line, event)
        self._finish_if_over(reply)

    def _share_of_unfinished(self, line: SpokenLine, event: LineEnded) -> float:
        """Of a line cut while it was still being made nobody knows the length: 14 letters a second."""
        if not event.cut or line.started_at is None:
            return event.heard
        expected = max(len(line.text) / 14.0, 0.1)
        return min(event.heard, (event.at - line.started_at) / expected)

    def _reply_started(self, reply: SpokenReply, at: float) -> None:
        self._turns.persona(speaking=True)
        self._notify({"type": "personaSpeaking", "speaking": True})
        answering = reply.heard_turn
        if isinstance(answering, _Answering):
            marks = answering.marks
            reply.latency = {
                "silence": 1000 * (marks["decided"] - answering.sound_end),
                "brain": 1000 * (marks["brain"] - marks["decided"]),
                "voice": 1000 * (marks["voice"] - marks["brain"]),
                "playout": 1000 * (at - marks["voice"]),
                "total": 1000 * (at - answering.sound_end),
            }

    def _finish_if_over(self, reply: SpokenReply) -> None:
        if reply is self._reply and reply.over:
            self._finish_reply(cut=False)

    def _finish_reply(self, *, cut: bool) -> None:
        """The reply is over or was cut: keep what was heard, tell the brain, free the floor."""
        reply, self._reply = self._reply, None
        answering, self._answering = self._answering, None
        if reply is None:
            return
        if cut:
            self._cut(reply)
        self._playout.resume()
        self._turns.persona(speaking=False)
        self._quiet_since = self.now
        if reply.started_at is None:
            return
        self._notify({"type": "personaSpeaking", "speaking": False})
        if cut and answering is not None and reply.seconds_heard() < MERGE_WITHIN:
            self._unfinished = answering
            self._engines.brain.restore(answering.snapshot)
        else:
            self._engines.brain.spoken(reply.text(), complete=not cut)
        self._store_reply(reply, cut=cut)

    def _cut(self, reply: SpokenReply) -> None:
        if self._reply_task is not None:
            self._reply_task.cancel()
        self._reply = reply  # the events of stop() belong to it
        reply.cut = True
        for event in self._playout.stop():
            line = _line_of(reply, event.line)
            if line is not None:
                line.ended_at, line.over = event.at, True
                line.heard = self._share_of_unfinished(line, event)
        self._reply = None

    def _stop_reply(self) -> None:
        """Drop a reply of which nothing was heard."""
        if self._reply_task is not None:
            self._reply_task.cancel()
        self._reply_task = self._reply = None
        self._playout.stop()

    def _store_reply(self, reply: SpokenReply, *, cut: bool) -> None:
        text = reply.text()
        if not text or reply.started_at is None:
            return
        cues = {"cues": [dict(line.cue) for line in reply.lines if line.started_at is not None]}
        end = reply.ended_at if reply.ended_at is not None else self.now
        self._store(Turn("assistant", text, reply.started_at, end, cut, reply.latency, cues))

    def _store(self, turn: Turn) -> None:
        number = self._turn_number
        self._turn_number += 1
        self._write(lambda: self._log.turn(number, turn))


def _line_of(reply: SpokenReply | None, number: int) -> SpokenLine | None:
    lines = reply.lines if reply is not None else []
    return next((line for line in lines if line.number == number), None)


def _nobody(message: Message) -> None:
    """No browser is connected yet."""


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("ending a call failed", exc_info=task.exception())
