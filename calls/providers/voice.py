"""Sound from an OpenAI-compatible `/audio/speech`, as 48 kHz chunks while it is being made.

A WAV is understood whatever was asked for.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Literal

import aiohttp

from calls.ports import Pcm, ProviderRefused
from calls.providers.sound_stream import SoundStream
from calls.providers.speech_client import Priority, SpeechClient

VENDOR_RATE = 24_000  # Hz, OpenAI's `pcm` format and ours
SECONDS = 30.0  # for one line, waiting and sound together
LINE_BYTES = 120 * VENDOR_RATE * 2 * 2  # at 48 kHz; two minutes of one line is a runaway

# Voices of a certain engine; all others belong to the default one.
ENGINE_OF_VOICE: Mapping[str, str] = {"heart": "hibari"}


class OpenAIVoice:
    """`priority` batch is for lines made ahead: they wait behind what somebody listens to.

    `name_of_voice` gives the engine's own name for a persona's voice; `quiet` are the seconds that
    may pass without a byte of sound. Raw `pcm` has 24 kHz at OpenAI and any rate elsewhere, so of
    engines that are not ours a `wav` is wanted.
    """

    def __init__(
        self,
        client: SpeechClient,
        *,
        model: str = "kokoro",
        version: str = "kokoro-v1.0-int8/1",
        engine_of_voice: Mapping[str, str] = ENGINE_OF_VOICE,
        name_of_voice: Callable[[str], str] = str,
        form: Literal["pcm", "wav"] = "pcm",
        priority: Priority = "live",
        quiet: float | None = None,
    ) -> None:
        self.version = version
        self._client = client
        self._model = model
        self._engine_of_voice = engine_of_voice
        self._name_of_voice = name_of_voice
        self._form = form
        self._priority: Priority = priority
        self._quiet = quiet

    async def speak(self, text: str, *, voice: str, speed: float = 1.0) -> AsyncIterator[Pcm]:
        body = {
            "model": self._engine_of_voice.get(voice, self._model),
            "input": text,
            "voice": self._name_of_voice(voice),
            "speed": speed,
            "response_format": self._form,
        }
        async with self._client.stream(
            "/audio/speech",
            body=body,
            priority=self._priority,
            seconds=SECONDS,
            quiet=self._quiet,
        ) as response:
            sound = SoundStream(_rate(response))
            async for block in response.content.iter_any():
                pcm = sound.feed(block)
                if sound.received > LINE_BYTES:
                    raise ProviderRefused("The voice does not come to an end.")
                if len(pcm):
                    yield pcm
        yield sound.finish()


def _rate(response: aiohttp.ClientResponse) -> int:
    """Of raw sound, in Hz; a WAV tells its own."""
    told = response.headers.get("X-Sample-Rate", "")
    return int(told) if told.isdecimal() else VENDOR_RATE
