"""What scoring takes and what it asks of a judge.

A judge only answers questions about a transcript. Whether its quotes are real, what an answer is
worth and what the whole call scores is decided by code (`verdicts.py`, `rubric.py`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scoring.rubric import Rubric

Role = Literal["user", "assistant"]  # the rep, the persona
# One unit vector per text. It raises JudgeUnavailable or JudgeRefused, `from` its own cause.
Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]


class Answer(StrEnum):
    YES = "yes"
    PARTIAL = "partial"
    NO = "no"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word; `start` and `end` in seconds from the start of the call."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Line:
    """One turn. `start` and `end` in seconds from the start of the call.

    `interrupted`: a persona's turn that the rep cut short; the text is what was heard of it.
    """

    number: int
    role: Role
    text: str
    start: float
    end: float
    words: tuple[Word, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """A call as scoring sees it, its lines in the order of their start.

    `lags`: line number -> seconds of the pause before that line that our own machinery took (for a
    persona's line the whole response time, for a rep's line the way of the sound), which is
    nobody's hesitation and is taken out of every pause that is measured.
    """

    lines: tuple[Line, ...]
    duration: float  # seconds
    difficulty: str = "Advanced"
    lags: Mapping[int, float] = field(default_factory=dict)

    @property
    def rep_lines(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.role == "user")

    def line(self, number: int) -> Line | None:
        return next((line for line in self.lines if line.number == number), None)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judge's answer to one check, not yet believed.

    `quote` is verbatim from the rep's turn `line`; both are empty where the answer rests on
    something never having been said.
    """

    answer: Answer
    quote: str = ""
    line: int | None = None
    reason: str = ""


class JudgeError(Exception):
    """The judge gave no answer. `retryable` says whether asking again can help."""

    retryable: ClassVar[bool] = False

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code  # a constant such as "timeout": fit for a log


class JudgeUnavailable(JudgeError):
    """Not reachable, overloaded, too late or talking nonsense: a retry may help."""

    retryable: ClassVar[bool] = True


class JudgeRefused(JudgeError):
    """The judge understood and said no: a retry will not help."""


class Judge(Protocol):
    """Pinned by name, version (rules or prompt) and model, which each scorecard keeps."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def model(self) -> str: ...

    async def judge(self, transcript: Transcript, rubric: "Rubric") -> Mapping[str, Judgement]:
        """One judgement per check key. Raises JudgeUnavailable or JudgeRefused."""
        ...
