"""The engines of a process, and those that a tenant chose instead.

Nothing here reads settings; whoever starts a process passes them in, in `EngineChoice`.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from calls.ports import FullTranscriber, Transcriber, Voice
from calls.providers.chat import OpenAIChat
from calls.providers.choices import ProviderChoice
from calls.providers.embedder import OpenAIEmbedder
from calls.providers.openai_whisper import OpenAIWhisperTranscriber
from calls.providers.sentence_model import LocalSentenceModel
from calls.providers.silero import SileroDetector
from calls.providers.smart_turn import SmartTurnDetector
from calls.providers.speech_client import Priority, SpeechClient
from calls.providers.transcriber import OpenAITranscriber, SparedTranscriber
from calls.providers.voice import OpenAIVoice
from webhooks.addresses import Network

MOST_CLIENTS = 256  # kept open; the one used longest ago is closed
VOICE_QUIET = 2.0  # seconds without a byte of sound from a vendor, until a live line is given up
OWN_VOICE_QUIET = 10.0  # of our own, which a busy machine makes slow: meanwhile fillers are said

Choices = Mapping[str, ProviderChoice]  # by kind

# For the record, after the call. The first answers at SPEECH_URL, the second in this process.
FULL_TRANSCRIBERS: Mapping[str, Callable[[SpeechClient, Path], FullTranscriber]] = {
    "faster-whisper": lambda client, models: OpenAITranscriber(client),
    "openai-whisper": lambda client, models: OpenAIWhisperTranscriber(models),
}


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What a deployment uses. `local_url` is our speech process, or one that speaks like it.

    `choices` are the operator's other engines. The vectors are always ours: the director's
    thresholds were measured with them. To networks in `refused` no tenant's engine is asked.
    """

    models: Path
    local_url: str
    local_key: str = ""
    choices: Choices = field(default_factory=dict)
    refused: Sequence[Network] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The engines of one call that may be somebody else's. Without `chat` words are authored."""

    transcriber: Transcriber
    voice: Voice
    background_voice: Voice
    chat: OpenAIChat | None


@dataclass(frozen=True, slots=True)
class Providers:
    """The engines of one process. Those in the background wait behind what a live call asks."""

    embedder: OpenAIEmbedder
    background_embedder: OpenAIEmbedder
    sentence_model: LocalSentenceModel
    turn_detector: SmartTurnDetector
    speech_detector: Callable[[], SileroDetector]  # one per call
    default: Chosen
    _local: SpeechClient
    _clients: "_Clients"
    _choices: Choices

    async def chosen(self, choices: Choices) -> Chosen:
        """The engines with a tenant's choices, before the operator's, before our own."""
        wanted = {**self._choices, **choices}
        clients = {kind: await self._clients.get(choice) for kind, choice in wanted.items()}
        return _chosen(self._local, wanted, clients)


@asynccontextmanager
async def open_providers(choice: EngineChoice) -> AsyncIterator[Providers]:
    """Everything a live worker or a job needs, on this event loop, closed at the end."""
    local = SpeechClient(choice.local_url, choice.local_key)
    turn_detector = SmartTurnDetector(choice.models)
    clients = _Clients(choice.refused)
    try:
        own = {kind: await clients.get(each) for kind, each in choice.choices.items()}
        yield Providers(
            embedder=OpenAIEmbedder(local),
            background_embedder=OpenAIEmbedder(local, priority="batch"),
            sentence_model=LocalSentenceModel(local),
            turn_detector=turn_detector,
            speech_detector=partial(SileroDetector, choice.models),
            default=_chosen(local, choice.choices, own),
            _local=local,
            _clients=clients,
            _choices=choice.choices,
        )
    finally:
        turn_detector.close()
        await local.close()
        await clients.close()


def _chosen(local: SpeechClient, wanted: Choices, clients: Mapping[str, SpeechClient]) -> Chosen:
    transcriber: Transcriber = OpenAITranscriber(local)
    if hears := wanted.get("transcription"):
        client = clients["transcription"]
        remote = OpenAITranscriber(client, live_model=hears.model, verbose=False)
        transcriber = SparedTranscriber(remote, spare=transcriber)
    writes = wanted.get("chat")
    return Chosen(
        transcriber=transcriber,
        voice=_voice(local, wanted, clients, "live"),
        background_voice=_voice(local, wanted, clients, "batch"),
        chat=OpenAIChat(clients["chat"], writes.model) if writes else None,
    )


def _voice(
    local: SpeechClient, wanted: Choices, clients: Mapping[str, SpeechClient], priority: Priority
) -> Voice:
    speaks = wanted.get("speech")
    if speaks is None:
        return OpenAIVoice(
            local, priority=priority, quiet=OWN_VOICE_QUIET if priority == "live" else None
        )
    return OpenAIVoice(
        clients["speech"],
        model=speaks.model,
        # Sound is kept by this: one tenant's voice is never another's, though the names be alike.
        version=f"{speaks.owner}|{speaks.url}|{speaks.model}|{sorted(speaks.voices.items())}",
        engine_of_voice={},
        name_of_voice=speaks.voice,
        form="wav",
        priority=priority,
        quiet=VOICE_QUIET if priority == "live" else None,
    )


class _Clients:
    """One HTTP client per address and key, so that a call finds an open connection."""

    def __init__(self, refused: Sequence[Network]) -> None:
        self._refused = refused
        self._open: OrderedDict[tuple[str, str, bool], SpeechClient] = OrderedDict()

    async def get(self, choice: ProviderChoice) -> SpeechClient:
        key = (choice.url, choice.key, choice.checked)
        if key not in self._open:
            self._open[key] = SpeechClient(
                choice.url, choice.key, checked=choice.checked, refused=self._refused
            )
        self._open.move_to_end(key)
        while len(self._open) > MOST_CLIENTS:
            _, oldest = self._open.popitem(last=False)
            await oldest.close()  # a call that still has it opens it again with its next request
        return self._open[key]

    async def close(self) -> None:
        for client in self._open.values():
            await client.close()
