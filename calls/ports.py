"""What the conversation needs from the outside: one port per kind of engine.

Providers are files of one shape in `calls/providers/`, found through one table in settings. All
audio is mono. `Pcm` is int16; its sample rate stands beside it. Waiting methods raise
`ProviderUnavailable` (a retry may help) or `ProviderRefused` (it will not).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
Vectors = NDArray[np.float32]

SPEECH_RATE = 16_000  # Hz, what detectors and transcribers hear


class ProviderError(Exception):
    """An engine failed. `retryable` says whether asking again can help."""

    retryable = False


class ProviderUnavailable(ProviderError):
    """Not reachable, overloaded or too late: a retry may help."""

    retryable = True


class ProviderRefused(ProviderError):
    """The engine understood and said no: a retry will not help."""


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word; `start` and `end` in seconds from the start of the audio given."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of recognised speech, with what the engine thinks of it."""

    text: str
    start: float  # seconds from the start of the audio given
    end: float
    log_probability: float  # mean over its tokens (<= 0)
    no_speech: float  # the chance that nobody spoke, 0..1


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was recognised. `confidence` is the mean log probability of the tokens (<= 0)."""

    text: str
    words: tuple[Word, ...] = ()
    confidence: float = 0.0
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What the rep said in one turn, as the persona gets it. Times in seconds of the call."""

    text: str
    start: float
    end: float
    interrupting: bool = False  # the persona was cut short by it


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence for the persona to say. `cue` tells why: state and choice, for the log.

    An authored line's sound is kept for the next time; words made for this call are not.
    """

    text: str
    cue: Mapping[str, Any] = field(default_factory=dict)
    authored: bool = True


class SpeechDetector(Protocol):
    """Stateful, one per call, called on the audio loop: must cost well under a millisecond."""

    def probability(self, frame: Pcm) -> float:
        """The chance that these 512 samples at 16 kHz (32 ms) hold speech."""
        ...


class TurnDetector(Protocol):
    async def complete(self, pcm: Pcm) -> float:
        """The chance that the turn heard so far (16 kHz, its last 8 s count) is over."""
        ...


class SentenceModel(Protocol):
    async def complete(self, text: str) -> float:
        """The chance, by the words alone, that a sentence is over behind them (0..1)."""
        ...


class Transcriber(Protocol):
    async def live(
        self, pcm: Pcm, *, hints: Sequence[str] = (), previous: str = "", deadline: float = 2.0
    ) -> Transcript:
        """Words of one piece of a turn (16 kHz, up to 28 s), fast. `deadline` in seconds from now.

        `hints` are names to expect, `previous` the text of the turn before this piece.
        """
        ...


class FullTranscriber(Protocol):
    async def full(self, pcm: Pcm, *, hints: Sequence[str] = ()) -> Transcript:
        """Words with times and segments, for the record. 16 kHz, up to 28 s; may take its time."""
        ...


class Voice(Protocol):
    version: str  # changes when the same text would sound different; part of the cache key

    def speak(self, text: str, *, voice: str, speed: float = 1.0) -> AsyncIterator[Pcm]:
        """The sound of a text at 48 kHz, in chunks as they are made, leading silence cut."""
        ...


class Embedder(Protocol):
    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit vector of 384 numbers per text."""
        ...


class PersonaBrain(Protocol):
    """Decides what the persona says. One per call; keeps the state of the conversation.

    Closing a reply before its end stops whatever makes it.
    """

    def opening(self) -> AsyncGenerator[Line, None]:
        """The persona speaks first."""
        ...

    def reply(self, heard: Heard) -> AsyncGenerator[Line, None]: ...

    def silence(self, seconds: float) -> AsyncGenerator[Line, None]:
        """The rep has said nothing for a while. May yield nothing."""
        ...

    def spoken(self, text: str, *, complete: bool) -> None:
        """What of the last reply was really heard; less than was meant when interrupted."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """JSON state from which `restore` goes on, on another worker too."""
        ...

    def restore(self, snapshot: Mapping[str, Any]) -> None: ...
