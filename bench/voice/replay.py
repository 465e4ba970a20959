"""The turn decisions of the product over recorded takes, on a virtual clock.

What a worker does with a microphone, without connection, persona and waiting: windows to the
detector, its decisions followed, the words and the turn model asked as they are asked in a call,
their answers delivered after the time they take on a quiet machine. Models' answers are kept on
disk by the sound they were asked about, so that a curve over many settings is made in seconds.
"""

import asyncio
import hashlib
import heapq
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Protocol

import numpy as np

from bench.voice import sounds
from bench.voice.sounds import Sound
from bench.voice.takes import Take
from calls.live.codec import OpusDecoder, OpusEncoder, Resampler48to16
from calls.live.echo import EchoGuard
from calls.live.events import FRAME_SAMPLES, Pcm, SpeechWindow
from calls.live.foreground import Foreground
from calls.live.turns import (
    OFF,
    AskTurnModel,
    Decision,
    Hold,
    Interrupt,
    RepStarted,
    Transcribe,
    TurnDropped,
    TurnEnded,
)
from calls.live.vad import SpeechStage
from calls.providers.silero import SileroDetector
from calls.providers.smart_turn import SmartTurnDetector
from calls.providers.transcriber import prompt
from speech.whisper import Whisper

LEAD = 1.0  # seconds before a take's sound
TAIL = 6.0  # seconds after it: nobody waits longer
FLOOR = -72.0  # dBFS: the noise of a good microphone
ANSWER_SECONDS = 0.06  # from the decision to the first sound on the wire, lines on disk
RATE = 16_000


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that answers take, measured on two quiet cores (bench/voice/README.md)."""

    words: float = 0.085  # of a pass
    words_per_second: float = 0.016  # of sound in it
    verdict: float = 0.030
    complete_per_word: float = 0.008  # of the last eight

    def of_complete(self, text: str) -> float:
        return self.complete_per_word * min(len(text.split()) + 1, 9)

    def of_words(self, seconds: float) -> float:
        return self.words + self.words_per_second * seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the decisions made of one take. Times in seconds, None where it did not happen."""

    kind: str
    human: bool
    expected: str
    text: str
    note: str
    cut_off: bool = False  # an answer was heard before the rep had finished
    taken_back: int = 0  # answers begun too early, but not a sound of them heard
    wait: float | None = None  # last sound to the decision
    held: float | None = None  # first sound over the persona to her silence
    interrupted: float | None = None  # ... to her being cut for good
    answered_nothing: bool = False  # a turn was made of what is no turn


class Models:
    """The models of a worker, their answers kept in `folder`."""

    def __init__(self, folder: Path, models: Path) -> None:
        self._file = folder / "answers.json"
        self._folder = folder
        self._models = models
        self._answers = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._dirty = False

    def windows(self, pcm48k: Pcm, played: Sequence[bytes] = ()) -> tuple[list[SpeechWindow], Pcm]:
        """The detector's view of all windows, without the echo of what was played from the
        beginning on, and the sound at 16 kHz."""
        guard, foreground = EchoGuard(OpusDecoder().decode), Foreground()
        stage, resampler = SpeechStage(SileroDetector(self._models).probability), Resampler48to16()
        found: list[SpeechWindow] = []
        heard: list[Pcm] = []
        for number in range(len(pcm48k) // FRAME_SAMPLES):
            frame = pcm48k[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]
            pcm = resampler.resample(frame)
            windows = stage.push((number + 1) * 0.02, pcm)
            guard.played(number * 0.02, played[number] if number < len(played) else None)
            guard.hear((number + 1) * 0.02, pcm)
            for window in windows:
                speech = window.probability >= OFF
                if speech and (foreground.is_far(window.at, window.pcm) or guard.hears_persona()):
                    window = replace(window, probability=0.0)
                found.append(window)
            heard.append(pcm)
        return found, np.concatenate(heard)

    def words(self, pcm: Pcm, before: str) -> str:
        def ask() -> str:
            samples = pcm.astype(np.float32) / 32768
            return self._whisper.live(samples, language="en", prompt=prompt((), before)).text

        return str(self._kept("words", pcm, before, ask))

    def complete(self, text: str) -> float:
        nothing = np.zeros(0, np.int16)
        return float(
            self._kept("complete", nothing, text, lambda: self._whisper.complete(text, "en"))
        )

    def verdict(self, pcm: Pcm) -> float:
        return float(self._kept("turn", pcm, "", lambda: self._ask_turn_model(pcm)))

    def save(self) -> None:
        if self._dirty:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps(self._answers))
            part.replace(self._file)
            self._dirty = False

    def _kept(
        self, what: str, pcm: Pcm, context: str, ask: Callable[[], str | float]
    ) -> str | float:
        digest = hashlib.sha256(pcm.tobytes() + context.encode()).hexdigest()[:32]
        name = f"{what} {digest}"
        if name not in self._answers:
            self._answers[name] = ask()
            self._dirty = True
        return self._answers[name]

    def _ask_turn_model(self, pcm: Pcm) -> float:
        return asyncio.run(self._smart_turn.complete(pcm))

    @cached_property
    def _whisper(self) -> Whisper:
        return Whisper(self._models / "whisper-base")

    @cached_property
    def _smart_turn(self) -> SmartTurnDetector:
        return SmartTurnDetector(self._models)


@dataclass(frozen=True, slots=True)
class Heard:
    """A take as the worker hears it: the detector's windows and the sound at 16 kHz."""

    take: Take
    windows: Sequence[SpeechWindow]
    pcm: Pcm
    lead: float  # seconds before the take's sound begins


def lead_of(take: Take, persona: Sound) -> float:
    """Seconds before the take's sound. An echo needs the persona to speak first."""
    return LEAD if take.echo is None else sounds.seconds_of(persona) + LEAD


def microphone(take: Take, persona: Sound) -> Pcm:
    """A take with its room, the noise of a microphone, and what it picks up of the persona."""
    lead = lead_of(take, persona)
    sound = np.concatenate((sounds.silence(lead), take.sound, sounds.silence(TAIL)))
    seed = int.from_bytes(hashlib.sha256(take.sound.tobytes()).digest()[:4])
    hiss = np.random.default_rng(seed).normal(size=len(sound)).astype(np.float32)
    sound += sounds.louder(hiss, FLOOR)
    if take.room is not None:
        sound += np.resize(take.room, len(sound))
    if take.echo is not None:
        decibels, delay = take.echo
        start = round(delay * sounds.RATE)
        echo = sounds.louder(persona, decibels)[: len(sound) - start]
        sound[start : start + len(echo)] += echo
    whole = len(sound) // FRAME_SAMPLES * FRAME_SAMPLES
    return (np.clip(sound[:whole], -1, 1) * 32767).astype(np.int16)


def hear(takes: Iterable[Take], models: Models, persona: Sound) -> list[Heard]:
    """Each take through the detector, once for all settings."""
    heard = []
    for take in takes:
        played = packets(persona) if take.echo is not None else []
        windows, pcm = models.windows(microphone(take, persona), played)
        heard.append(Heard(take, windows, pcm, lead_of(take, persona)))
    return heard


def packets(sound: Sound) -> list[bytes]:
    """As the worker would send it, 20 ms each."""
    encoder, pcm = OpusEncoder(), (np.clip(sound, -1, 1) * 32767).astype(np.int16)
    whole = len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES
    return [encoder.encode(frame) for frame in pcm[:whole].reshape(-1, FRAME_SAMPLES)]


class Rule(Protocol):
    """What a replay needs of a `TurnTaker`, or of a rival to it."""

    def persona(self, *, speaking: bool) -> None: ...

    def window(self, at: float, probability: float) -> list[Decision]: ...

    def words(self, piece: int, end: float, text: str) -> None: ...

    def complete(self, piece: int, end: float, chance: float) -> None: ...

    def verdict(self, question: int, probability: float) -> None: ...


class Replay:
    """One call: its takes in order through one rule, which may learn the rep's pauses."""

    def __init__(self, models: Models, taker: Rule, costs: Costs) -> None:
        self._models = models
        self._taker = taker
        self._costs = costs
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()
        self._texts: dict[int, str] = {}

    def run(self, call: Sequence[Heard]) -> list[Outcome]:
        at = 0.0
        outcomes = []
        for heard in call:
            outcomes.append(self._take(heard, at))
            at += heard.windows[-1].at + 1.0
        return outcomes

    def _take(self, heard: Heard, at: float) -> Outcome:
        """`at` is when this take's microphone begins, in seconds of the call."""
        persona_until = _persona_until(heard)
        speaking = False
        told: list[Decision] = []
        for window in heard.windows:
            now = at + window.at
            if speaking != (window.at < persona_until):
                speaking = not speaking
                self._taker.persona(speaking=speaking)
            while self._later and self._later[0][0] <= now:
                heapq.heappop(self._later)[2]()
            for decision in self._taker.window(now, window.probability):
                told.append(decision)
                self._carry_out(decision, now, heard, at)
                if isinstance(decision, Interrupt):
                    persona_until, speaking = 0.0, False
        return _judged(heard.take, told, at + heard.lead)

    def _carry_out(self, decision: Decision, now: float, heard: Heard, at: float) -> None:
        """Ask what is wanted; the answer comes after the time it takes."""
        if isinstance(decision, Transcribe):
            pcm = _between(heard.pcm, decision.start - at - 0.1, decision.end - at)
            before = [self._texts[p] for p in sorted(self._texts) if p != decision.piece]
            text = self._models.words(pcm, " ".join(before))
            due = now + self._costs.of_words(len(pcm) / RATE)
            self._at(due, partial(self._words, decision, text))
            if text:
                so_far = f"{' '.join(before)} {text}".strip()
                due += self._costs.of_complete(so_far)
                self._at(due, partial(self._complete, decision, self._models.complete(so_far)))
        elif isinstance(decision, AskTurnModel):
            start = max(decision.start - at - 0.2, decision.at - at - 8.0)
            verdict = self._models.verdict(_between(heard.pcm, start, decision.at - at))
            due = now + self._costs.verdict
            self._at(due, partial(self._taker.verdict, decision.question, verdict))
        elif isinstance(decision, TurnEnded | TurnDropped):
            self._texts.clear()

    def _at(self, due: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (due, next(self._number), act))

    def _words(self, wanted: Transcribe, text: str) -> None:
        self._texts[wanted.piece] = text.strip()
        self._taker.words(wanted.piece, wanted.end, text)

    def _complete(self, wanted: Transcribe, chance: float) -> None:
        self._taker.complete(wanted.piece, wanted.end, chance)


def _persona_until(heard: Heard) -> float:
    """The persona speaks from the start of the recording until then."""
    if heard.take.echo is not None:
        return heard.lead - LEAD
    return 0.0 if heard.take.over_persona is None else heard.lead + heard.take.end + 2.0


def _between(pcm: Pcm, start: float, end: float) -> Pcm:
    return pcm[max(0, round(start * RATE)) : max(0, round(end * RATE))]


def _judged(take: Take, told: Sequence[Decision], begins: float) -> Outcome:
    """`begins` is when the take's sound begins, in seconds of the call."""
    first, last = begins + take.start, begins + take.end
    ended = [d for d in told if isinstance(d, TurnEnded)]
    early = [d for d in ended if d.at + ANSWER_SECONDS < last]
    heard_early = [d for d in early if not _taken_back(d, told)]
    final = next((d for d in ended if d.at + ANSWER_SECONDS >= last), None)
    holds = [d.at for d in told if isinstance(d, Hold)]
    cuts = [d.at for d in told if isinstance(d, Interrupt)]
    return Outcome(
        kind=take.kind,
        human=take.human,
        expected=take.expected,
        text=take.text,
        note=take.note,
        cut_off=take.expected == "answer" and bool(heard_early),
        taken_back=len(early) - len(heard_early),
        wait=final.at - last if final is not None else None,
        held=min(holds + cuts) - first if holds + cuts else None,
        interrupted=cuts[0] - first if cuts else None,
        answered_nothing=take.expected == "nothing" and bool(ended),
    )


def _taken_back(ended: TurnEnded, told: Sequence[Decision]) -> bool:
    """The rep was heard again before the first sound of the answer was out."""
    index = told.index(ended)
    again = next((d for d in told[index:] if isinstance(d, RepStarted)), None)
    return again is not None and again.at + 0.1 < ended.at + ANSWER_SECONDS
