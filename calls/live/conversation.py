"""The talk itself: what the turns decided, carried out between the rep's words and the persona.

Knows the stages and the ports, no connection and no database. Times are seconds of the call.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from calls.live.codec import OpusDecoder
from calls.live.events import FRAME_SECONDS, LineEnded, LineStarted, Pcm, Turn
from calls.live.ledger import Overlaps, first_sound, leading_silence
from calls.live.persona import ASIDE, EXCUSE, FILLER, GO_AHEAD, SpokenLine, SpokenReply
from calls.live.playout import Clip, Playout
from calls.live.stt import RATE, Ear, WordStage
from calls.live.tts import LineCache, VoiceStage, voice_key
from calls.live.turns import (
    AskTurnModel,
    Decision,
    Hold,
    Interrupt,
    Prepare,
    RepPaused,
    RepStarted,
    Resume,
    Transcribe,
    TurnDropped,
    TurnEnded,
    TurnTaker,
)
from calls.live.vad import acoustic_end
from calls.ports import (
    Heard,
    Line,
    PersonaBrain,
    ProviderError,
    SentenceModel,
    Transcriber,
    TurnDetector,
    Voice,
)

logger = logging.getLogger(__name__)

SILENCE_FIRST, SILENCE_EVERY = 8.0, 4.0  # seconds of quiet after which the brain is asked
MOST_PROMPTS = 2  # to a rep who says nothing, however often the brain has something to say
MERGE_WITHIN = 0.7  # seconds: a reply heard for less than this had cut the rep off
WORDS_WITHIN = 5.0  # seconds; a machine that needs more cannot hold a conversation
ONSET_BEFORE = 0.15  # seconds around the detector's word in which speech really began
FILL_AFTER = 2.0  # seconds of quiet where an answer is due
MOST_FILLERS = 3  # in one answer
MAX_FAILURES = 3  # providers that failed in a row before the call is given up

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallBrief:
    """What the conversation must know about its call. `hints` are names to expect."""

    public_id: str
    persona_name: str
    voice: str
    speed: float = 1.0
    hints: tuple[str, ...] = ()
    max_seconds: float = 7200.0


@dataclass(frozen=True, slots=True)
class Engines:
    """The ports of one call. `detect` keeps state, so it is this call's own.

    `fillers` are lines for when the answer is slow, `excuses` for when the voice fails; said only
    where their sound is at hand.
    """

    detect: Callable[[Pcm], float]
    turn_detector: TurnDetector
    sentence_model: SentenceModel
    transcriber: Transcriber
    brain: PersonaBrain
    voice: Voice
    lines: LineCache
    fillers: tuple[str, ...] = ()
    excuses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the session lends: its clock, its tasks, the browser, the log, the way out."""

    now: Callable[[], float]
    own: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    notify: Callable[[Message], None]
    store: Callable[[Turn], None]
    give_up: Callable[[], None]


@dataclass
class _Answering:
    """The rep's turn that is being answered, to be taken back if it was not over."""

    heard: Heard
    snapshot: Mapping[str, Any]
    marks: dict[str, float] = field(default_factory=dict)  # when each step of the answer was done


class Conversation:
    """One persona, one rep. Everything happens on the loop; what waits is a task of the session."""

    def __init__(
        self,
        *,
        brief: CallBrief,
        engines: Engines,
        turns: TurnTaker,
        ear: Ear,
        around: Surroundings,
    ) -> None:
        self._brief = brief
        self._engines = engines
        self._turns = turns
        self._ear = ear
        self._around = around
        self.playout = Playout(self._on_line)
        self._words = WordStage(ear, self._recognise, self._on_words, self._on_words_failed)
        self._voice = VoiceStage(
            speak=lambda text: engines.voice.speak(text, voice=brief.voice, speed=brief.speed),
            cache=engines.lines,
            voice_key=voice_key(engines.voice.version, brief.voice, brief.speed),
        )
        self._pieces: list[int] = []
        self._reply: SpokenReply | None = None
        self._reply_task: asyncio.Task[None] | None = None
        self._last_reply: SpokenReply | None = None  # of those that are over
        self._answering: _Answering | None = None
        self._unfinished: _Answering | None = None  # taken back: the rep went on
        self._overlaps = Overlaps()
        self._line_number = 0
        self._quiet_since = 0.0
        self._ask_silence_at = SILENCE_FIRST
        self._prompts = 0  # said since the rep last spoke
        self._words_at = 0.0  # when the last words came
        self._failures = 0
        self._words_failed = False
        self._filled_at: float | None = None  # the end of speech after which a filler was said
        self._spoken_to = False  # the persona has opened the call

    def begin(self) -> None:
        """The persona speaks first."""
        self._answer(self._engines.brain.opening(), None)

    def standing(self) -> dict[str, Any]:
        """JSON from which `resume` goes on, on another worker too: the brain, and the rep's turn
        that was not answered to its end."""
        prepared = self._answering if self._reply and not self._reply.confirmed else None
        waiting = self._unfinished if prepared else self._answering or self._unfinished
        settled = prepared or waiting
        brain = dict(settled.snapshot) if settled else self._engines.brain.snapshot()
        return {"brain": brain, "heard": asdict(waiting.heard) if waiting else None}

    def resume(self, standing: Mapping[str, Any] | None) -> None:
        """Another worker carried the call until now: excuse that, then answer or give the floor.

        Without a standing nothing was said yet, so there is nothing to excuse.
        """
        self._quiet_since = self._around.now()
        if standing is None:
            self.begin()
            return
        brain = self._engines.brain
        heard = standing["heard"]
        try:
            brain.restore(standing["brain"])
        except ProviderError as failure:  # of a release that kept it in another form
            self._log_failure("persona lost her thread", failure)
            heard = None
        self._answer(_excused(None if heard is None else brain.reply(Heard(**heard))), None)

    def line_down(self) -> None:
        """The rep hears nothing: keep quiet."""
        self.playout.pause()

    def line_up(self, since: float) -> None:
        """The rep is back. What was being said when the line went down is said again."""
        reply = self._reply or self._last_reply
        lost = reply.lost_since(since) if reply is not None else []
        if self._reply is not None:
            self.playout.rewind([(line.number, line.packets) for line in lost])
            for line in lost:
                line.unsaid()
        elif lost and not self._turns.turn_open:
            self._answer(_again(lost), None)
        self.playout.resume()

    def go_on(self, since: float) -> None:
        """The rep paused the call then: what was being said begins again, no wait counts."""
        self.line_up(since)
        paused = self._around.now() - since
        self._quiet_since += paused
        waiting = self._answering
        if waiting is not None and (self._reply is None or self._reply.started_at is None):
            waiting.heard = replace(waiting.heard, end=waiting.heard.end + paused)
            waiting.marks = {step: at + paused for step, at in waiting.marks.items()}

    def tell_who_speaks(self) -> None:
        """To a browser that has just come back: what it was told before may not have reached it."""
        persona = self._reply is not None and self._reply.started_at is not None
        self._around.notify({"type": "userSpeaking", "speaking": self._turns.rep_speaking})
        self._around.notify({"type": "personaSpeaking", "speaking": persona})

    def button(self, *, pressed: bool | None) -> None:
        """The rep's press-to-talk button; None when it is not used any more."""
        self.carry_out(self._turns.button(pressed=pressed))

    def watch_silence(self) -> None:
        """Called a few times a second: when nobody speaks for long, the persona does."""
        self._watch_words()
        self._watch_answer()
        busy = self._reply is not None or self._turns.turn_open or self._unfinished is not None
        if busy or self._prompts >= MOST_PROMPTS:
            return
        quiet = self._around.now() - self._quiet_since
        if quiet >= self._ask_silence_at:
            self._ask_silence_at = quiet + SILENCE_EVERY
            self._answer(self._engines.brain.silence(quiet), None)

    def _watch_words(self) -> None:
        """Words that take long must not be a silence either: once for each end of speech."""
        since = self._turns.words_missing_since
        if since is None or since == self._filled_at or self._reply is not None:
            return
        if self._around.now() - since >= FILL_AFTER and self._engines.fillers:
            self._filled_at = since
            self._around.own(self._fill_wait(since))

    async def _fill_wait(self, since: float) -> None:
        """Say a filler if it is at hand and the words have not come meanwhile."""
        text = self._engines.fillers[self._line_number % len(self._engines.fillers)]
        packets = await self._voice.known(text)
        if packets is None or self._reply or self._turns.words_missing_since != since:
            return
        self._reply_task = None
        self._reply = SpokenReply(complete=True, asked_at=self._around.now())
        self._overlaps = Overlaps()
        self._say_made(self._reply, text, packets, {ASIDE: "filler", FILLER: True})

    def _watch_answer(self) -> None:
        """An answer that does not come must not be a silence."""
        reply = self._reply
        if reply is None or not reply.confirmed or reply.over or self.playout.pending:
            return
        late = self._around.now() - reply.quiet_since >= FILL_AFTER
        fillers = self._engines.fillers[:MOST_FILLERS]
        if late and reply.fillers < len(fillers):
            text = fillers[(self._line_number + reply.fillers) % len(fillers)]
            reply.fillers += 1
            self._around.own(self._fill(reply, text))

    async def _fill(self, reply: SpokenReply, text: str) -> None:
        """Say it if it is at hand and the answer has not come meanwhile."""
        packets = await self._voice.known(text)
        if packets is None or reply is not self._reply or reply.over or self.playout.pending:
            return
        self._say_made(reply, text, packets, {ASIDE: "filler", FILLER: True})

    async def close(self) -> None:
        """Cut the persona, keep what was heard of it, end the recognition."""
        self._finish_reply(cut=True)
        await self._words.close()

    # -- what the turns decided

    def carry_out(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            match decision:
                case RepStarted(at):
                    self._overlaps.began_at = self._first_sound(at)
                    self._around.notify({"type": "userSpeaking", "speaking": True})
                    self._take_back_unheard_reply()
                case RepPaused():
                    self._around.notify({"type": "userSpeaking", "speaking": False})
                case Transcribe():
                    self._transcribe(decision)
                case AskTurnModel():
                    self._around.own(self._ask_turn_model(decision))
                case Prepare():
                    self._prepare(decision)
                case TurnEnded():
                    self._turn_ended(decision)
                case TurnDropped(at):
                    self._turn_dropped(at)
                case Hold():
                    self.playout.pause()
                    self._overlaps.silenced(self.playout.position)
                case Resume():
                    self.playout.resume()
                    self._overlaps.let_pass()
                case Interrupt():
                    self._overlaps.interrupted(self.playout.position)
                    self._finish_reply(cut=True)

    def _transcribe(self, wanted: Transcribe) -> None:
        before = [piece for piece in self._pieces if piece != wanted.piece]
        if wanted.piece not in self._pieces:
            self._pieces.append(wanted.piece)
        self._words.start(wanted.piece, wanted.start, wanted.end, before)

    async def _ask_turn_model(self, asked: AskTurnModel) -> None:
        pcm = self._ear.between(max(asked.start - 0.2, asked.at - 8.0), asked.at)
        try:
            verdict = await self._engines.turn_detector.complete(pcm)
        except ProviderError:
            logger.warning("turn model failed", extra={"call_id": self._brief.public_id})
        else:
            self._turns.verdict(asked.question, verdict)

    async def _recognise(self, pcm: Pcm, before: str) -> str:
        transcript = await self._engines.transcriber.live(
            pcm, hints=self._brief.hints, previous=before, deadline=WORDS_WITHIN
        )
        return transcript.text

    def _on_words(self, piece: int, end: float, text: str) -> None:
        self._words_failed = False
        self._words_at = self._around.now()
        self._turns.words(piece, end, text)
        if text and not self._turns.rep_speaking:
            self._around.own(self._ask_sentence_model(piece, end))

    async def _ask_sentence_model(self, piece: int, end: float) -> None:
        try:
            chance = await self._engines.sentence_model.complete(self._words.text(self._pieces))
        except ProviderError:
            logger.warning("sentence model failed", extra={"call_id": self._brief.public_id})
        else:
            self._turns.complete(piece, end, chance)

    def _on_words_failed(self, piece: int, end: float, failure: Exception) -> None:
        self._words_failed = True
        self._turns.words(piece, end, "")  # do not wait for them
        self._log_failure("recognition failed", failure)

    def _turn_dropped(self, at: float) -> None:
        """A murmur, or speech that could not be recognised: then the persona asks again."""
        self._forget_pieces()
        self._discard_prepared()
        if self._reply is not None and not self._reply.only_fills:
            self._words_failed = False  # she is speaking: it was over her
        elif self._words_failed:
            self._words_failed = False
            self._failed()
            self._unfinished = None
            self._answer(self._engines.brain.reply(Heard("", at, at)), None)
        elif self._unfinished is not None:
            self._answering, self._unfinished = self._unfinished, None
            self._answer(self._engines.brain.reply(self._answering.heard), self._answering)

    def _heard(self, turn: Prepare | TurnEnded) -> Heard:
        sound = self._ear.between(turn.start, turn.end + 0.1)
        end = turn.start + acoustic_end(sound)
        return Heard(self._words.text(turn.pieces), turn.start, end, turn.interrupting)

    def _with_unfinished(self, heard: Heard) -> Heard:
        """What the rep has said since the persona last answered and was heard."""
        if self._unfinished is None:
            return heard
        before = self._unfinished.heard
        return replace(heard, text=f"{before.text} {heard.text}", start=before.start)

    def _prepare(self, wanted: Prepare) -> None:
        """Make the answer while we wait whether the turn is over; it is not heard before that."""
        if self._reply is None:
            self._begin_answer(self._with_unfinished(self._heard(wanted)), confirmed=False)

    def _begin_answer(self, heard: Heard, *, confirmed: bool) -> None:
        answering = _Answering(heard, self._engines.brain.snapshot())
        self._answer(self._engines.brain.reply(heard), answering, confirmed=confirmed)
        self._answering = answering

    def _confirm(self, heard: Heard) -> bool:
        """The turn is over: say what was prepared. False when nothing usable was."""
        reply, answering = self._reply, self._answering
        if reply is None or reply.confirmed or answering is None:
            return False
        if reply.failed or answering.heard.text != heard.text:
            self._discard_prepared()
            return False
        reply.confirmed, answering.heard = True, heard
        reply.asked_at = self._around.now()
        for number, clip in reply.waiting:
            self.playout.add(number, clip)
        reply.waiting.clear()
        if reply.over:
            self._finish_reply(cut=False)
        return True

    def _discard_prepared(self) -> None:
        """The rep went on, or said something else: it never was."""
        if self._reply is None or self._reply.confirmed or self._answering is None:
            return
        answering, self._answering = self._answering, None
        self._drop_reply()
        self._engines.brain.restore(answering.snapshot)

    def _turn_ended(self, ended: TurnEnded) -> None:
        heard = self._heard(ended)
        text = heard.text
        self._forget_pieces()
        self._prompts, self._ask_silence_at = 0, SILENCE_FIRST
        turn = Turn("user", text, heard.start, heard.end, False, self._ledger(ended, heard.end))
        heard = self._with_unfinished(heard)
        self._unfinished = None
        if not self._confirm(heard):
            self._begin_answer(heard, confirmed=True)
        if self._answering is not None:
            self._answering.marks["decided"] = ended.at
        self._around.store(turn)

    def _ledger(self, ended: TurnEnded, sound_end: float) -> dict[str, float]:
        """How this turn's end was found, in milliseconds after its last sound."""
        ledger = {
            "detector": 1000 * (ended.end - sound_end),
            "words": 1000 * (self._words_at - sound_end),
            "decided": 1000 * (ended.at - sound_end),
            "own_pause": 1000 * ended.own_pause,
        }
        if ended.verdict is not None:
            ledger["verdict"] = 100 * ended.verdict  # percent
        if self._unfinished is not None:
            ledger["cut_off"] = 1.0
        return ledger

    def _first_sound(self, detected: float) -> float:
        """When the speech that was detected then really began; the detector is a little late."""
        start = max(0.0, detected - ONSET_BEFORE)
        sound = first_sound(self._ear.between(start, detected + ONSET_BEFORE), RATE)
        return detected if sound is None else start + sound

    def _forget_pieces(self) -> None:
        self._words.forget(self._pieces)
        self._pieces = []

    def _take_back_unheard_reply(self) -> None:
        """The rep goes on before a sound of the reply was heard: the turn was not over."""
        self._discard_prepared()
        if self._reply is None or self._reply.started_at is not None:
            return
        if self._answering is None:
            if self._spoken_to:  # a prompt to a silent rep: not needed any more
                self._drop_reply()
            return
        self._turns.answered_too_early()
        self._unfinished, self._answering = self._answering, None
        self._drop_reply()
        self._engines.brain.restore(self._unfinished.snapshot)

    # -- the persona speaks

    def _answer(
        self,
        lines: AsyncGenerator[Line, None],
        answering: _Answering | None,
        *,
        confirmed: bool = True,
    ) -> None:
        if self._reply is not None and self._reply.only_fills:
            self._finish_reply(cut=True)
        self._drop_reply()
        self._reply = SpokenReply(confirmed=confirmed, asked_at=self._around.now())
        self._overlaps = Overlaps()
        self._reply_task = self._around.own(self._speak(self._reply, lines, answering))

    def _drop_reply(self) -> None:
        """Forget a reply of which nothing was heard."""
        if self._reply_task is not None:
            self._reply_task.cancel()
        self._reply_task = self._reply = None
        self.playout.stop()

    async def _speak(
        self, reply: SpokenReply, lines: AsyncGenerator[Line, None], answering: _Answering | None
    ) -> None:
        marks = answering.marks if answering is not None else {}
        try:
            async with aclosing(lines):  # a model that writes them stops with us
                async for line in lines:
                    marks.setdefault("brain", self._around.now())
                    await self._speak_line(reply, line, marks)
        except ProviderError as failure:
            self._log_failure("persona could not speak", failure)
            reply.failed = True
            if reply.confirmed:
                self._failed()
            await self._excuse(reply)
        else:
            self._failures = 0
        finally:
            reply.complete = True
        if reply is self._reply and reply.confirmed and reply.over:
            self._finish_reply(cut=False)

    async def _speak_line(self, reply: SpokenReply, line: Line, marks: dict[str, float]) -> None:
        self._line_number += 1
        spoken = SpokenLine(self._line_number, line.text, line.cue, authored=line.authored)
        reply.lines.append(spoken)
        clip = Clip()
        added = False
        try:
            async for packets in self._voice.packets(line.text, keep=line.authored):
                clip.extend(packets)
                if packets and not added:
                    marks.setdefault("voice", self._around.now())
                    spoken.packets = clip.packets
                    self._say(reply, spoken.number, clip)
                    added = True
        finally:
            spoken.made = True
            clip.close()
            spoken.over = spoken.over or not added

    def _say(self, reply: SpokenReply, number: int, clip: Clip) -> None:
        """At once, or as soon as the turn it answers is known to be over."""
        if reply.confirmed:
            self.playout.add(number, clip)
        else:
            reply.waiting.append((number, clip))

    async def _excuse(self, reply: SpokenReply) -> None:
        """The voice failed, perhaps in the middle of a word: say what was made in time of peace."""
        for text in self._engines.excuses:
            packets = await self._voice.known(text)
            if packets is not None:
                self._say_made(reply, text, packets, {ASIDE: "lost_thread"})
                return

    def _say_made(
        self, reply: SpokenReply, text: str, packets: list[bytes], cue: Mapping[str, Any]
    ) -> None:
        """A line of the conversation's own, whose sound is at hand."""
        self._line_number += 1
        line = SpokenLine(self._line_number, text, cue, made=True, packets=packets)
        begun = sum(other.started_at is not None for other in reply.lines)
        reply.lines.insert(begun if line.filler else len(reply.lines), line)
        self._say(reply, line.number, Clip(packets, closed=True))

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            self._around.give_up()

    def _log_failure(self, message: str, failure: Exception) -> None:
        reason = str(failure) if isinstance(failure, ProviderError) else ""  # our own words
        facts = {"call_id": self._brief.public_id, "error": type(failure).__name__}
        facts |= {"reason": reason}
        logger.warning(message, extra=facts)

    # -- what the rep hears of it

    def _on_line(self, event: LineStarted | LineEnded) -> None:
        reply = self._reply
        line = reply.line(event.line) if reply is not None else None
        if reply is None or line is None:
            return
        if isinstance(event, LineStarted):
            is_first = reply.started_at is None
            line.started_at = event.at
            self._turns.persona_says(reply.begun_text())
            if is_first:
                self._reply_started(reply, event.at)
            self._around.notify({"type": "caption", "text": line.text})
            return
        line.ended_at, line.heard, line.over = event.at, event.heard, True
        if reply.over and not reply.cut:
            self._finish_reply(cut=False)

    def _reply_started(self, reply: SpokenReply, at: float) -> None:
        self._turns.persona(speaking=True)
        self._around.notify({"type": "personaSpeaking", "speaking": True})
        if self._answering is not None and not reply.latency:  # a line said again is no answer
            sound_end, marks = self._answering.heard.end, self._answering.marks
            decided = marks["decided"]  # an answer made before that took no time of its own
            thought = max(marks.get("brain", decided), decided)
            made = max(marks.get("voice", thought), thought)
            reply.latency = {
                "silence": 1000 * (decided - sound_end),
                "brain": 1000 * (thought - decided),
                "voice": 1000 * (made - thought),
                "playout": 1000 * (at - made),
                "total": 1000 * (at - sound_end),
            }

    def _finish_reply(self, *, cut: bool) -> None:
        """The reply is over or was cut: keep what was heard, tell the brain, free the floor."""
        reply = self._reply
        if reply is None:
            return
        if cut:
            reply.cut = True
            if self._reply_task is not None:
                self._reply_task.cancel()
            for cut_line in self.playout.stop():
                line = reply.line(cut_line.line)
                if line is not None:
                    line.cut(cut_line.played * FRAME_SECONDS, cut_line.heard)
        self._reply, answering, self._answering = None, self._answering, None
        self._last_reply = reply
        self.playout.resume()
        self._turns.persona(speaking=False)
        if reply.started_at is None:
            return
        self._prompts += self._spoken_to and answering is None
        self._spoken_to = True
        self._quiet_since = self._around.now()
        self._ask_silence_at = SILENCE_FIRST
        self._around.notify({"type": "personaSpeaking", "speaking": False})
        if cut and answering is not None and reply.barely_heard(MERGE_WITHIN):
            self._unfinished = answering
            self._turns.answered_too_early()
            self._engines.brain.restore(answering.snapshot)
        elif reply.from_brain:
            self._engines.brain.spoken(reply.heard_from_brain(), complete=not cut)
        self._store_reply(reply)

    def _store_reply(self, reply: SpokenReply) -> None:
        text, start, end = reply.text(), reply.started_at, reply.ended_at
        if not text or start is None:
            return
        cues = {"cues": [dict(line.cue) for line in reply.lines if line.started_at is not None]}
        until = end if end is not None else self._around.now()
        latency = self._answer_ledger(reply)
        self._around.store(Turn("assistant", text, start, until, reply.cut, latency, cues))

    def _answer_ledger(self, reply: SpokenReply) -> dict[str, float]:
        """What the answer took until it could be heard, and who spoke over it."""
        ledger = {**reply.latency, **self._overlaps.figures()}
        answer = reply.answer
        if "total" in ledger and answer is not None and answer.started_at is not None:
            ledger["lead"] = 1000 * leading_silence(answer.packets, OpusDecoder().decode)
            filled = 1000 * (answer.started_at - (reply.started_at or 0.0))
            ledger["mouth_to_ear"] = ledger["total"] + filled + ledger["lead"]
            ledger |= {"filled": filled} if filled else {}
        return ledger


async def _excused(answer: AsyncGenerator[Line, None] | None) -> AsyncGenerator[Line, None]:
    """The excuse, then the answer, or an invitation where none is due."""
    yield Line(EXCUSE, {ASIDE: "excuse"})
    if answer is None:
        yield Line(GO_AHEAD, {ASIDE: "excuse"})
        return
    async with aclosing(answer):
        async for line in answer:
            yield line


async def _again(lines: Sequence[SpokenLine]) -> AsyncGenerator[Line, None]:
    for line in lines:
        yield Line(line.text, {**line.cue, ASIDE: "repeated"}, authored=line.authored)
