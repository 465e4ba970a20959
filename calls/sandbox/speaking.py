"""The sound of both sides, by the real voices, as the Opus packets that a recording holds.

The persona's lines and those of named scripts are kept where live calls keep theirs, so that they
are made once on a machine. An integrator's own lines are not kept.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from calls.live.codec import ClipEncoder
from calls.live.events import Pcm
from calls.live.tts import LineCache, VoiceStage, voice_key
from calls.ports import Voice
from calls.sandbox.conversation import Packets, Said

REP_VOICE = "heart"  # the quickest of them: a minute of it takes two seconds


@dataclass(frozen=True, slots=True)
class Voices:
    """Who speaks. `keep_rep`: whether the rep's lines are ours and may be kept."""

    voice: Voice
    lines: LineCache
    persona_voice: str
    persona_speed: float
    keep_rep: bool

    async def sounds(self, turns: Sequence[Said]) -> dict[tuple[str, str], Packets]:
        """The packets of every line that is said, by role and line. Raises ProviderError."""
        wanted = list(dict.fromkeys((turn.role, line) for turn in turns for line in turn.lines))
        by_role = [[line for line in wanted if line[0] == role] for role in ("user", "assistant")]
        tasks = [asyncio.create_task(self._one_by_one(lines)) for lines in by_role]
        try:
            rep, persona = await asyncio.gather(*tasks)  # two voices are two engines
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return rep | persona

    async def _one_by_one(self, lines: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Packets]:
        return {(role, text): await self._packets(role, text) for role, text in lines}

    async def _packets(self, role: str, text: str) -> Packets:
        voice, speed = (
            (REP_VOICE, 1.0) if role == "user" else (self.persona_voice, self.persona_speed)
        )
        speak = partial(self.voice.speak, voice=voice, speed=speed)
        if role == "user" and not self.keep_rep:
            return await _encoded(speak(text))
        key = voice_key(self.voice.version, voice, speed)
        stage = VoiceStage(speak=speak, cache=self.lines, voice_key=key)
        return [packet async for packets in stage.packets(text) for packet in packets]


async def _encoded(sound: AsyncIterator[Pcm]) -> Packets:
    encoder = ClipEncoder()
    made: list[bytes] = []
    async for chunk in sound:
        made += await encoder.feed(chunk)
    return made + encoder.finish()
