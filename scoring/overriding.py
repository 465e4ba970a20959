"""A manager's word over the judge's: pure, by the same arithmetic over the same rubric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scoring.feedback import Feedback, feedback_make
from scoring.ports import Answer
from scoring.rubric import Rubric, Score, check_hundredths, score
from scoring.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Overridden:
    """How a call is scored with what managers said."""

    verdicts: tuple[Verdict, ...]
    score: Score
    feedback: Feedback


def overridden(
    rubric: Rubric, verdicts: Sequence[Verdict], answers: Mapping[str, Answer]
) -> Overridden:
    """The verdicts with these answers, by check key, in place of the judge's.

    Who listened needs no quote: such a verdict counts as verified. Raises ScoringIncomplete where
    too little would be left to score.
    """
    said = tuple(
        _said(rubric, verdict, answers[verdict.check_key])
        if verdict.check_key in answers
        else verdict
        for verdict in verdicts
    )
    total = score(rubric, [verdict.standing for verdict in said])
    return Overridden(said, total, feedback_make(rubric, said, total))


def _said(rubric: Rubric, verdict: Verdict, answer: Answer) -> Verdict:
    check = rubric.check(verdict.check_key)
    same = verdict.answer == answer  # else the judge's quote shows something else
    return replace(
        verdict,
        answer=answer,
        points=check_hundredths(check, answer) / 100,
        evidence=verdict.evidence if same else None,
        trigger=verdict.trigger if same else None,
        verified=True,
        by_person=True,
    )
