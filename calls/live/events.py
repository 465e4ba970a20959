"""The few events that the stages of a live call tell each other.

Times are seconds on the clock of the call: 0 is the moment the call went live, on the recording
as well. A frame is 20 ms of audio at 48 kHz, 960 samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calls.ports import Pcm
from calls.sound.opus import FRAME_SAMPLES, WIRE_RATE

__all__ = ["FRAME_SAMPLES", "WIRE_RATE", "Pcm"]

FRAME_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class SpeechWindow:
    """The detector's view of 32 ms."""

    at: float  # end of the window
    probability: float
    pcm: Pcm = field(repr=False)  # 16 kHz


@dataclass(frozen=True, slots=True)
class LineStarted:
    """The first frame of a line went out."""

    at: float
    line: int


@dataclass(frozen=True, slots=True)
class LineEnded:
    """The last frame of a line went out, or it was cut. `heard` is the share that was played."""

    at: float
    line: int
    heard: float  # 0..1
    cut: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished turn, ready to be stored. `latency` in milliseconds by part."""

    role: str  # "assistant" or "user"
    text: str
    start: float
    end: float
    interrupted: bool = False
    latency: Mapping[str, float] = field(default_factory=dict)
    director: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """A finished piece of recording: Ogg Opus of one channel."""

    channel: str  # "rep" or "persona"
    number: int
    offset: float
    duration: float
    data: bytes = field(repr=False)
