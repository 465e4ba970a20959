"""What can be counted in a call: times and words, nothing about feelings.

Our own lag is taken out of every pause, and a rep who starts to speak while our late answer sets in
did not interrupt. A figure for which there is too little material is None. No filler words:
recognisers leave them out, so a count would be a count of nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from scoring.phrases import sentences, tokens
from scoring.ports import Line, Transcript

LEAST_SPEECH = 20.0  # seconds of both sides together, for the talk ratio
LEAST_WORDS = 50  # of the rep, for the pace
LEAST_PAUSES = 3  # of the rep, for patience
LEAST_LINES = 2  # of each side, for anything about taking turns
BACKCHANNEL_WORDS = 2  # "mm-hm", "all right": no turn of its own, no interruption
COLLISION = 0.7  # seconds after the persona's start in which both simply began together
SLOW_ANSWER = 1.5  # seconds of our lag from which a collision is our fault for longer
SLOW_COLLISION = 1.5
OVERLAP = 0.3  # seconds of the persona's turn that must have been left


@dataclass(frozen=True, slots=True)
class Metrics:
    """Seconds, words per minute and shares 0..1. None: too little to say."""

    talk_ratio: float | None  # rep's speech / all speech, silence left out
    longest_monologue: float | None  # seconds the rep held the floor
    pace: float | None  # the rep's words per minute of the rep's speech
    questions: int  # sentences of the rep that ask
    interruptions: int | None  # turns of the rep that began over the persona
    patience: float | None  # median seconds the rep waits after the persona, our lag taken out
    silence: float | None  # seconds in which nobody spoke, our lag taken out
    rep_seconds: float
    persona_seconds: float
    rep_turns: int
    persona_turns: int


@dataclass(frozen=True, slots=True)
class Monologue:
    """A stretch of the rep without an answer; `line` is its first."""

    line: Line
    seconds: float


def measure(transcript: Transcript) -> Metrics:
    rep = transcript.rep_lines
    persona = tuple(line for line in transcript.lines if line.role == "assistant")
    rep_seconds, persona_seconds = _speech(rep), _speech(persona)
    both = rep_seconds + persona_seconds
    words = sum(len(line.text.split()) for line in rep)
    turns = min(len(rep), len(persona)) >= LEAST_LINES
    waits = [pause for line, pause in pauses(transcript) if line.role == "user"]
    longest = max((m.seconds for m in monologues(transcript)), default=None)
    return Metrics(
        talk_ratio=_rounded(rep_seconds / both, 3) if both >= LEAST_SPEECH and turns else None,
        longest_monologue=_rounded(longest),
        pace=_rounded(60 * words / rep_seconds) if words >= LEAST_WORDS and rep_seconds else None,
        questions=sum(s.is_question for line in rep for s in sentences(line.text)),
        interruptions=len(tuple(interrupting_lines(transcript))) if turns else None,
        patience=_rounded(median(waits), 2) if len(waits) >= LEAST_PAUSES else None,
        silence=_rounded(sum(p for _, p in pauses(transcript))) if turns else None,
        rep_seconds=round(rep_seconds, 1),
        persona_seconds=round(persona_seconds, 1),
        rep_turns=len(rep),
        persona_turns=len(persona),
    )


def pauses(transcript: Transcript) -> Iterator[tuple[Line, float]]:
    """Each line that follows the other side, and the seconds before it that are not our lag."""
    latest: Line | None = None
    for line in transcript.lines:
        if latest is not None and line.role != latest.role:
            gap = line.start - latest.end - transcript.lags.get(line.number, 0.0)
            yield line, max(0.0, gap)
        if latest is None or line.end >= latest.end:
            latest = line


def interrupting_lines(transcript: Transcript) -> Iterator[Line]:
    """Turns of the rep that took the floor while the persona was in the middle of speaking."""
    persona = [line for line in transcript.lines if line.role == "assistant"]
    for line in transcript.rep_lines:
        if len(tokens(line.text)) > BACKCHANNEL_WORDS and any(
            _talks_over(line, other, transcript.lags.get(other.number, 0.0)) for other in persona
        ):
            yield line


def monologues(transcript: Transcript) -> Iterator[Monologue]:
    """Stretches of the rep, from the first word to the last, over which the persona said nothing
    but a "mm-hm"."""
    first: Line | None = None
    end = 0.0
    for line in transcript.lines:
        if line.role == "user":
            first = first or line
            end = max(end, line.end)
        elif first is not None and len(tokens(line.text)) > BACKCHANNEL_WORDS:
            yield Monologue(first, end - first.start)
            first, end = None, 0.0
    if first is not None:
        yield Monologue(first, end - first.start)


def _talks_over(line: Line, other: Line, lag: float) -> bool:
    grace = SLOW_COLLISION if lag >= SLOW_ANSWER else COLLISION
    if not other.start + grace < line.start:
        return False
    # What is kept of an interrupted turn ends where the rep cut in.
    left = OVERLAP if not other.interrupted else -OVERLAP
    return line.start < other.end - left


def _speech(lines: tuple[Line, ...]) -> float:
    return sum(max(0.0, line.end - line.start) for line in lines)


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
