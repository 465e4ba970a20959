"""The engines of a live worker: made once, handed to each call, warm before the first word."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from calls.live.conversation import Engines
from calls.live.persona import EXCUSE, GO_AHEAD
from calls.live.tts import LineCache, VoiceStage, voice_key
from calls.ports import ProviderError
from calls.providers.director import AuthoredLine, DirectorBrain, all_lines, likely_lines, prepare
from calls.providers.kept_vectors import vectors_kept
from calls.providers.registry import Providers
from calls.services.live import OwnedCall

logger = logging.getLogger(__name__)

_WARM_TRIES = 3
DIFFICULTIES = ("Beginner", "Advanced", "Elite")


class LiveEngines:
    """What all calls of a process share. The folders keep vectors and lines between starts."""

    def __init__(self, providers: Providers, *, vectors: Path, lines: Path) -> None:
        self.busy: Callable[[], bool] = lambda: False  # while it is, nothing is made ahead
        self._providers = providers
        self._vectors = vectors
        self._lines = LineCache(lines)

    async def for_call(self, call: OwnedCall) -> Engines:
        """The engines of one call; its detector and its brain are its own."""
        providers = self._providers
        await prepare(call.pack, providers.embedder, folder=self._vectors)
        with suppress(ProviderError):  # tells the speech process that a call is live from now on
            await providers.embedder.embed(("ready",))
        return Engines(
            detect=providers.speech_detector().probability,
            turn_detector=providers.turn_detector,
            transcriber=providers.transcriber,
            brain=DirectorBrain(call.pack, call.difficulty, call.seed, providers.embedder),
            voice=providers.voice,
            lines=self._lines,
        )

    async def prepare(self, packs: Iterable[Mapping[str, Any]]) -> None:
        """What no call should wait for: all packs with the vectors of their examples."""
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
        for choose in (likely_lines, all_lines):
            for pack in packs:
                await self._warm_lines(
                    dict.fromkeys(line for level in DIFFICULTIES for line in choose(pack, level))
                )
        for pack in packs:
            await self._warm_lines(_excuses(pack))
        removed = await asyncio.to_thread(self._lines.trim)
        logger.info("lines are warm", extra={"removed": removed})

    async def _warm_lines(self, lines: Iterable[AuthoredLine]) -> None:
        voice = self._providers.background_voice
        for line in lines:
            while self.busy():  # noqa: ASYNC110 - a look a second is all it takes
                await asyncio.sleep(1.0)
            stage = VoiceStage(
                speak=partial(voice.speak, voice=line.voice, speed=line.speed),
                cache=self._lines,
                voice_key=voice_key(voice.version, line.voice, line.speed),
            )
            for _ in range(_WARM_TRIES):
                try:
                    await stage.warm(line.text)
                except ProviderError:  # behind a transcript, or the engine is away
                    await asyncio.sleep(5.0)
                else:
                    break


def _excuses(pack: Mapping[str, Any]) -> list[AuthoredLine]:
    """What a persona says when another worker goes on with its call."""
    persona = pack["persona"]
    speed = float(persona.get("speed", 1.0))
    return [AuthoredLine(text, persona["voice"], speed) for text in (EXCUSE, GO_AHEAD)]
