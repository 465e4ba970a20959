"""One table per kind of engine: the name in the settings, and how it is made.

Nothing here reads settings; whoever starts a process passes them in, in `EngineChoice`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from calls.ports import FullTranscriber
from calls.providers.embedder import OpenAIEmbedder
from calls.providers.openai_whisper import OpenAIWhisperTranscriber
from calls.providers.silero import SileroDetector
from calls.providers.smart_turn import SmartTurnDetector
from calls.providers.speech_client import Priority, SpeechClient
from calls.providers.transcriber import OpenAITranscriber
from calls.providers.voice import OpenAIVoice

Made = TypeVar("Made")
MakeVoice = Callable[[SpeechClient, Priority], OpenAIVoice]

TRANSCRIBERS: Mapping[str, Callable[[SpeechClient], OpenAITranscriber]] = {
    "speech": OpenAITranscriber,
    "openai": partial(OpenAITranscriber, live_model="whisper-1", full_model="whisper-1"),
}
# For the record, after the call. The first answers at SPEECH_URL, the second in this process.
FULL_TRANSCRIBERS: Mapping[str, Callable[[SpeechClient, Path], FullTranscriber]] = {
    "faster-whisper": lambda client, models: OpenAITranscriber(client),
    "openai-whisper": lambda client, models: OpenAIWhisperTranscriber(models),
}
VOICES: Mapping[str, MakeVoice] = {
    "speech": lambda client, priority: OpenAIVoice(client, priority=priority),
    "openai": lambda client, priority: OpenAIVoice(
        client, model="tts-1", version="openai-tts-1", engine_of_voice={}, priority=priority
    ),
}


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What a deployment uses. `local_url` is our speech process, `url` and `key` any other place.

    The vectors are always ours: the director's thresholds were measured with them.
    """

    models: Path
    local_url: str
    transcriber: str = "speech"
    voice: str = "speech"
    url: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Providers:
    """The engines of one process. Those in the background wait behind what a live call asks."""

    transcriber: OpenAITranscriber
    voice: OpenAIVoice
    background_voice: OpenAIVoice
    embedder: OpenAIEmbedder
    background_embedder: OpenAIEmbedder
    turn_detector: SmartTurnDetector
    speech_detector: Callable[[], SileroDetector]  # one per call


@asynccontextmanager
async def open_providers(choice: EngineChoice) -> AsyncIterator[Providers]:
    """Everything a live worker or a job needs, on this event loop, closed at the end."""
    make_transcriber = _named(TRANSCRIBERS, choice.transcriber)
    make_voice = _named(VOICES, choice.voice)
    local = SpeechClient(choice.local_url)
    remote = SpeechClient(choice.url or choice.local_url, choice.key)
    turn_detector = SmartTurnDetector(choice.models)
    hearing = local if choice.transcriber == "speech" else remote
    speaking = local if choice.voice == "speech" else remote
    try:
        yield Providers(
            transcriber=make_transcriber(hearing),
            voice=make_voice(speaking, "live"),
            background_voice=make_voice(speaking, "batch"),
            embedder=OpenAIEmbedder(local),
            background_embedder=OpenAIEmbedder(local, priority="batch"),
            turn_detector=turn_detector,
            speech_detector=partial(SileroDetector, choice.models),
        )
    finally:
        turn_detector.close()
        await local.close()
        await remote.close()


def _named(table: Mapping[str, Made], name: str) -> Made:
    try:
        return table[name]
    except KeyError as problem:
        raise ValueError(f"There is no engine '{name}', only {', '.join(table)}.") from problem
