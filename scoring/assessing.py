"""The whole way from a transcript to an assessment: the judge judges, code does the rest."""

from dataclasses import dataclass

from scoring.feedback import Feedback, feedback_make
from scoring.judges.embedded import measured
from scoring.metrics import Metrics, measure
from scoring.ports import Judge, Transcript
from scoring.rubric import Rubric, Score, score
from scoring.verdicts import Verdict, verdicts_make


@dataclass(frozen=True, slots=True)
class JudgedBy:
    name: str
    version: str
    model: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """All that a scorecard keeps."""

    rubric: Rubric
    judge: JudgedBy
    verdicts: tuple[Verdict, ...]
    score: Score
    metrics: Metrics
    feedback: Feedback


async def assess(transcript: Transcript, rubric: Rubric, judge: Judge) -> Assessment:
    """Score a call. Touches no database.

    Raises JudgeUnavailable, JudgeRefused, or ScoringIncomplete when too little could be verified.
    """
    judgements = {**await judge.judge(transcript, rubric), **measured(transcript, rubric)}
    verdicts = verdicts_make(rubric, transcript, judgements)
    total = score(rubric, [verdict.standing for verdict in verdicts])
    return Assessment(
        rubric=rubric,
        judge=JudgedBy(judge.name, judge.version, judge.model),
        verdicts=verdicts,
        score=total,
        metrics=measure(transcript),
        feedback=feedback_make(rubric, verdicts, total),
    )
