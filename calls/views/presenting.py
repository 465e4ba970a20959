"""Calls in words and shapes for templates. No query here, no HTML either."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calls.history.detail import CallRecord, progress_of
from calls.history.latency import Latency, Spread
from calls.history.outputs import duration_seconds
from calls.history.reviews import Change, Disagreement, Said
from calls.models import Call, TranscriptLine

STAGES = {
    "live": "Live",
    "ended": "Transcribing",
    "transcribed": "Scoring",
    "scored": "Scored",
    "failed": "Not scored",
}
FAILURES = {
    "NEVER_CONNECTED": "The call was never connected.",
    "REP_NEVER_SPOKE": "The rep was not heard, so there is nothing to score.",
    "SCORING_INCOMPLETE": "The call could not be scored.",
}
ENDINGS = {
    "rep_ended": "the rep hung up",
    "network_lost": "the connection was lost",
    "worker_lost": "our server was lost",
    "ceiling": "two hours were over",
    "never_connected": "nobody connected",
    "engines_failed": "our speech engines failed",
}
VERDICTS = {
    "yes": "Met",
    "partial": "Partly met",
    "no": "Missed",
    "not_applicable": "Did not come up",
}
NOT_VERIFIED, NOT_COUNTED = "Not verified", "not counted"
ADVISED = frozenset({"no", "partial"})
METRICS = (  # key, label, form, what it means
    ("talkRatio", "Rep's share of the talking", "percent", "silence left out"),
    ("paceWordsPerMinute", "Pace", "words/min", "while the rep speaks"),
    ("longestMonologueSec", "Longest monologue", "clock", "of the rep, without an answer"),
    ("questions", "Questions asked", "count", ""),
    ("interruptions", "Interruptions", "count", "the rep began over the persona"),
    ("patienceSec", "Patience", "seconds", "median pause before the rep answers"),
    ("silenceSec", "Silence", "clock", "our own response time left out"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A moment of the recording: `seconds` for the player, `clock` for people."""

    seconds: float
    clock: str


@dataclass(frozen=True, slots=True)
class Overridden:
    """What the judge had said, and what a manager said to that."""

    verdict: str
    points: str
    reason: str


@dataclass(frozen=True, slots=True)
class Criterion:
    key: str
    answer: str
    title: str
    verdict: str
    state: str  # yes, partial, no, not_applicable, unverified
    points: str
    advice: str
    reason: str
    quote: str
    place: Place | None
    override: Overridden | None = None
    dispute: Disagreement | None = None


@dataclass(frozen=True, slots=True)
class FirstThing:
    """The one thing to work on, where the most was lost, and what went best."""

    work_on: Criterion | None
    well_done: Criterion | None


@dataclass(frozen=True, slots=True)
class ScoredSection:
    title: str
    earned: float
    possible: int
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    is_rep: bool
    speaker: str
    text: str
    place: Place
    end: float
    interrupted: bool
    comments: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a call, for the scorecard's partial."""

    overall: int | None
    ai_overall: int | None  # where a manager overrode a verdict
    valid: bool
    summary: str
    feedback: Sequence[str]
    sections: Sequence[ScoredSection]
    lines: Sequence[Line]
    figures: Sequence[Figure]
    audio_url: str | None


def result_of(
    record: CallRecord,
    *,
    rep_name: str,
    disputes: Mapping[str, Disagreement] | None = None,
    comments: Sequence[Said] = (),
) -> Result:
    """`disputes` are by check key."""
    score = record.score or {}
    names = {"user": rep_name, "assistant": record.call.persona_name}
    return Result(
        overall=score.get("overallScore"),
        ai_overall=score.get("aiScore"),
        valid=score.get("valid", True),
        summary=score.get("summary", ""),
        feedback=[part for part in score.get("feedback", "").split("\n") if part.strip()],
        sections=sections_of(score, disputes or {}),
        lines=[_line(line, names, comments) for line in record.lines],
        figures=figures_of(score.get("metrics") or {}),
        audio_url=record.audio.url if record.audio else None,
    )


def sections_of(
    score: Mapping[str, Any], disputes: Mapping[str, Disagreement]
) -> list[ScoredSection]:
    criteria = score.get("criteria") or []
    return [
        ScoredSection(
            title=section["title"],
            earned=section["earned"],
            possible=section["possible"],
            criteria=tuple(
                _criterion(c, disputes.get(c["key"]))
                for c in criteria
                if c["section"] == section["key"]
            ),
        )
        for section in score.get("sections") or []
    ]


def first_thing_of(score: Mapping[str, Any]) -> FirstThing:
    """What cost the whole score comes before points; of equals the earlier in the call's rubric."""
    counted = [c for c in score["criteria"] if c["verified"] and c["answer"] in ADVISED | {"yes"}]
    lost = [c for c in counted if c["points"] < c["maxPoints"]]
    fatal = set(score["hardFails"])
    lost.sort(key=lambda c: (c["key"] not in fatal, c["points"] - c["maxPoints"]))
    heard = [c for c in counted if c["answer"] == "yes" and c["evidence"].get("quote")]
    best = max(heard, key=lambda c: c["maxPoints"], default=None)
    return FirstThing(
        work_on=_criterion(lost[0]) if lost else None, well_done=_criterion(best) if best else None
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the history of a scorecard, in words."""

    change: Change
    what: str


def entries_of(changes: Sequence[Change]) -> list[Entry]:
    """The history, the newest first."""
    return [Entry(change, _what(change)) for change in reversed(changes)]


def _what(change: Change) -> str:
    if not change.title:
        return "The score counts" if change.valid else "The score does not count"
    if change.answer is None:
        return f"{change.title}: back to the judge's verdict"
    return f"{change.title}: {VERDICTS[change.answer]}"


def figures_of(metrics: Mapping[str, float | None]) -> list[Figure]:
    """What could be measured; the rest is left out."""
    return [
        Figure(label, _figure(value, form), note)
        for key, label, form, note in METRICS
        if (value := metrics.get(key)) is not None
    ]


def latency_figures_of(latency: Latency | None) -> list[Figure]:
    """How the live loop did in a call; empty where there was none."""
    if latency is None:
        return []
    return [
        *_spread_figures("Persona's answer", "from the rep's last sound", latency.answer),
        *_spread_figures(
            "Stopped when interrupted", "from the rep's first sound", latency.barge_in
        ),
        *(
            Figure(label, str(number), note)
            for label, note, number in (
                ("Cut off", "answered before the rep was done", latency.cut_offs),
                ("Late to notice", "the rep waited for over 2.5 s", latency.missed_ends),
                ("Stopped for nothing", "and went on", latency.false_stops),
            )
        ),
    ]


def _spread_figures(label: str, note: str, spread: Spread) -> list[Figure]:
    if spread.p50 is None or spread.p95 is None:
        return []
    value = f"{spread.p50 / 1000:.2f} s, at most {spread.p95 / 1000:.2f} s in 95 %"
    return [Figure(label, value, f"median, {note}")]


def stage_of(call: Call) -> tuple[str, str]:
    """The published stage, and its name for people."""
    stage = progress_of(call).stage
    return stage, STAGES[stage]


def failure_of(call: Call) -> str:
    reason = progress_of(call).reason
    return FAILURES[reason] if reason else ""


def length_of(call: Call) -> str:
    seconds = duration_seconds(call)
    return "" if seconds is None else clock(seconds)


def clock(seconds: float) -> str:
    """75.4 -> 1:15"""
    whole = int(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _criterion(criterion: Mapping[str, Any], dispute: Disagreement | None = None) -> Criterion:
    evidence = criterion["evidence"]
    quoted = bool(evidence.get("quote"))  # its words may be forgotten by now
    verified = criterion["verified"]
    answer = criterion["answer"]
    counts = verified and answer != "not_applicable"
    return Criterion(
        key=criterion["key"],
        answer=answer,
        title=criterion["title"],
        verdict=VERDICTS[answer] if verified else NOT_VERIFIED,
        state=answer if verified else "unverified",
        points=_points(criterion["points"], criterion["maxPoints"]) if counts else NOT_COUNTED,
        advice=criterion["advice"] if answer in ADVISED else "",
        reason=criterion["reason"],
        quote=evidence["quote"] if quoted else "",
        place=_place(evidence["start"]) if quoted else None,
        override=_overridden(criterion),
        dispute=dispute,
    )


def _overridden(criterion: Mapping[str, Any]) -> Overridden | None:
    said = criterion.get("override")
    if said is None:
        return None
    counts = said["aiVerified"] and said["aiAnswer"] != "not_applicable"
    return Overridden(
        verdict=VERDICTS[said["aiAnswer"]] if said["aiVerified"] else NOT_VERIFIED,
        points=_points(said["aiPoints"], criterion["maxPoints"]) if counts else NOT_COUNTED,
        reason=said["reason"],
    )


def _points(earned: float, possible: int) -> str:
    return f"{earned:g} of {possible}"


def _line(line: TranscriptLine, names: Mapping[str, str], comments: Sequence[Said]) -> Line:
    return Line(
        number=line.number,
        is_rep=line.role == "user",
        speaker=names[line.role],
        text=line.text,
        place=_place(line.start_time),
        end=round(line.end_time, 2),
        interrupted=line.interrupted,
        comments=tuple(said for said in comments if said.line_number == line.number),
    )


def _place(seconds: float) -> Place:
    return Place(round(seconds, 2), clock(seconds))


def _figure(value: float, form: str) -> str:
    match form:
        case "percent":
            return f"{round(100 * value)} %"
        case "clock":
            return clock(value)
        case "seconds":
            return f"{value:.1f} s"
        case "count":
            return f"{value:g}"
        case unit:
            return f"{round(value)} {unit}"
