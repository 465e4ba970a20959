"""The engines of a live worker: made once, handed to each call, warm before the first word."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from calls.director.pack import Persona
from calls.live.conversation import Engines
from calls.live.persona import EXCUSE, GO_AHEAD
from calls.live.tts import LineCache, VoiceStage, voice_key
from calls.ports import ProviderError, Voice
from calls.providers.director import (
    EXCUSES,
    AuthoredLine,
    DirectorBrain,
    all_lines,
    excuses,
    likely_lines,
    prepare,
)
from calls.providers.free_text import FreeTextBrain
from calls.providers.kept_vectors import vectors_kept
from calls.providers.registry import Choices, Chosen, Providers
from calls.services.live import OwnedCall

logger = logging.getLogger(__name__)

_WARM_TRIES = 3
ChoicesOf = Callable[[uuid.UUID], Awaitable[Choices]]  # of a tenant
DIFFICULTIES = ("Beginner", "Advanced", "Elite")


class LiveEngines:
    """What all calls of a process share. The folders keep vectors and lines between starts."""

    def __init__(
        self,
        providers: Providers,
        *,
        vectors: Path,
        lines: Path,
        choices: ChoicesOf | None = None,
    ) -> None:
        self.busy: Callable[[], bool] = lambda: False  # while it is, nothing is made ahead
        self._providers = providers
        self._vectors = vectors
        self._lines = LineCache(lines)
        self._choices = choices
        self._warming: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End what is being made ahead for calls."""
        for task in self._warming:
            task.cancel()
        await asyncio.gather(*self._warming, return_exceptions=True)

    async def for_call(self, call: OwnedCall) -> Engines:
        """The engines of one call; its detector and its brain are its own."""
        providers = self._providers
        await prepare(call.pack, providers.embedder, folder=self._vectors)
        self._beside(self._tell_speech())
        chosen = await self._chosen(call)
        brain = DirectorBrain(call.pack, call.difficulty, call.seed, providers.embedder)
        self._excuses_ahead(brain, chosen.background_voice)
        return Engines(
            detect=providers.speech_detector().probability,
            turn_detector=providers.turn_detector,
            sentence_model=providers.sentence_model,
            transcriber=chosen.transcriber,
            brain=FreeTextBrain(brain, chosen.chat) if chosen.chat is not None else brain,
            voice=chosen.voice,
            lines=self._lines,
            fillers=excuses(brain.pack, "thinking"),
            excuses=excuses(brain.pack, "lost_thread"),
        )

    async def _chosen(self, call: OwnedCall) -> Chosen:
        """The tenant's own engines, where it chose some."""
        if self._choices is None:
            return self._providers.default
        return await self._providers.chosen(await self._choices(call.tenant_id))

    def _excuses_ahead(self, brain: DirectorBrain, voice: Voice) -> None:
        """In this call's voice, so that they are at hand should the voice fail in the call."""
        texts = [text for name in EXCUSES for text in excuses(brain.pack, name)]
        texts += [EXCUSE, GO_AHEAD]
        persona = brain.pack.persona
        lines = [AuthoredLine(text, persona.voice, persona.speed) for text in texts]
        self._beside(self._make_ahead(lines, voice))

    async def _tell_speech(self) -> None:
        """That a call is live from now on, so that other work makes room for it."""
        with suppress(ProviderError):
            await self._providers.embedder.embed(("ready",))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Nobody who connects waits for it."""
        task = asyncio.create_task(work)
        self._warming.add(task)
        task.add_done_callback(self._warming.discard)

    async def _make_ahead(self, lines: Sequence[AuthoredLine], voice: Voice) -> None:
        for line in lines:
            with suppress(ProviderError):
                await self._stage(line, voice).warm(line.text)

    async def prepare(self, packs: Iterable[Mapping[str, Any]]) -> None:
        """What no call should wait for: all packs with the vectors of their examples, and the
        detector's model, whose loading would hold up the sound of all calls for 40 ms."""
        self._providers.speech_detector()
        for pack in packs:
            await prepare(pack, self._providers.background_embedder, folder=self._vectors)

    async def warm_vectors(self, examples: Iterable[Sequence[str]]) -> None:
        """Of the rubrics' examples: whoever scores the first call of a machine waits for less."""
        for texts in examples:
            with suppress(ProviderError, TimeoutError):
                await vectors_kept(texts, self._providers.background_embedder, self._vectors)

    async def warm_lines(
        self, packs: Sequence[Mapping[str, Any]], *, first: Sequence[AuthoredLine] = ()
    ) -> None:
        """The `first` lines, then all of the packs, likely ones first. Rests while a call is live.

        Lines that are there already cost a look at the disk. What fails now is made when needed.
        """
        await self._warm_lines(first)
        ready = [await prepare(pack, None) for pack in packs]
        for choose in (likely_lines, all_lines):
            for pack in ready:
                await self._warm_lines(
                    dict.fromkeys(line for level in DIFFICULTIES for line in choose(pack, level))
                )
        for pack in ready:
            await self._warm_lines(_excuses(pack.persona))
        removed = await asyncio.to_thread(self._lines.trim)
        logger.info("lines are warm", extra={"removed": removed})

    async def _warm_lines(self, lines: Iterable[AuthoredLine]) -> None:
        voice = self._providers.default.background_voice
        for line in lines:
            while self.busy():  # noqa: ASYNC110 - a look a second is all it takes
                await asyncio.sleep(1.0)
            stage = self._stage(line, voice)
            for _ in range(_WARM_TRIES):
                try:
                    await stage.warm(line.text)
                except ProviderError:  # behind a transcript, or the engine is away
                    await asyncio.sleep(5.0)
                else:
                    break

    def _stage(self, line: AuthoredLine, voice: Voice) -> VoiceStage:
        return VoiceStage(
            speak=partial(voice.speak, voice=line.voice, speed=line.speed),
            cache=self._lines,
            voice_key=voice_key(voice.version, line.voice, line.speed),
        )


def _excuses(persona: Persona) -> list[AuthoredLine]:
    """What a persona says when another worker goes on with its call."""
    return [AuthoredLine(text, persona.voice, persona.speed) for text in (EXCUSE, GO_AHEAD)]
