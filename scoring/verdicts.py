"""From a judge's answers to verdicts: what applies, what is proven, what it earns. Pure.

Which checks apply is decided here, not by the judge, or a rep could talk a model into "not
applicable". A verdict that something *was* said needs a quote that is really there. A verdict that
it was *not* said cannot be quoted; its evidence is the span that was searched, and where a quote is
given all the same (a near miss), it too must be real.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from scoring.evidence import Absence, Quote, absence, quote_at, quote_locate
from scoring.ports import Answer, Judgement, Transcript
from scoring.rubric import Check, Rubric, Standing, check_hundredths
from scoring.rules import Floor, Said, rule_find

MAX_REASON = 500  # characters
UNJUDGED = "The judge gave no answer."
QUOTE_NOT_FOUND = "The quoted words are not in that turn of the rep."
QUOTE_MISSING = "The judge gave no quote."
MUST_ANSWER = "The judge called a check not applicable that always applies."


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why a check applies: what the persona said. May be absent where the rep's words decide."""

    quote: Quote | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one check, and what it rests on.

    `verified` is False when the evidence does not hold: then it is neither earned nor lost.
    `trigger` is the persona's sentence that made the check apply. `by_person`: a manager gave the
    answer.
    """

    check_key: str
    answer: Answer
    points: float
    max_points: int
    evidence: Quote | Absence | None
    trigger: Quote | None
    verified: bool
    reason: str
    by_person: bool = False

    @property
    def standing(self) -> Standing:
        return Standing(self.check_key, self.answer, self.verified)


def applicable(rubric: Rubric, transcript: Transcript) -> Mapping[str, Trigger]:
    """The checks that this call gave reason for, by key."""
    floor = Floor(transcript)
    found: dict[str, Trigger] = {}
    for check in rubric.checks:
        if check.applies_when is None:
            found[check.key] = Trigger(None)
            continue
        condition = rule_find(check.applies_when, floor, _nothing_alike)
        if condition.holds:
            found[check.key] = Trigger(_persona_quote(condition.shown))
    return found


def verdicts_make(
    rubric: Rubric, transcript: Transcript, judgements: Mapping[str, Judgement]
) -> tuple[Verdict, ...]:
    """One verdict per check of the rubric, in its order."""
    triggers = applicable(rubric, transcript)
    return tuple(
        _verdict(check, transcript, judgements.get(check.key), triggers.get(check.key))
        for check in rubric.checks
    )


def _verdict(
    check: Check, transcript: Transcript, judgement: Judgement | None, trigger: Trigger | None
) -> Verdict:
    if trigger is None:
        return _unscored(check, Answer.NOT_APPLICABLE, "", None, verified=True)
    if judgement is None:
        return _unscored(check, Answer.NOT_APPLICABLE, UNJUDGED, trigger, verified=False)
    reason = judgement.reason[:MAX_REASON]
    if judgement.answer == Answer.NOT_APPLICABLE:
        free = check.applies_when is not None
        return _unscored(
            check, judgement.answer, reason if free else MUST_ANSWER, trigger, verified=free
        )
    evidence, fault = _evidence(check, transcript, judgement)
    if fault:
        return _unscored(check, judgement.answer, fault, trigger, verified=False)
    return Verdict(
        check_key=check.key,
        answer=judgement.answer,
        points=check_hundredths(check, judgement.answer) / 100,
        max_points=check.points,
        evidence=evidence,
        trigger=trigger.quote,
        verified=True,
        reason=reason,
    )


def _evidence(
    check: Check, transcript: Transcript, judgement: Judgement
) -> tuple[Quote | Absence | None, str]:
    """The evidence, or what is wrong with it."""
    if judgement.quote.strip():
        quote = quote_locate(transcript, judgement.line, judgement.quote)
        return quote, "" if quote else QUOTE_NOT_FOUND
    if check.needs_quote(judgement.answer):
        return None, QUOTE_MISSING
    return absence(transcript), ""


def _unscored(
    check: Check, answer: Answer, reason: str, trigger: Trigger | None, *, verified: bool
) -> Verdict:
    quote = trigger.quote if trigger else None
    return Verdict(check.key, answer, 0.0, check.points, None, quote, verified, reason)


def _persona_quote(shown: tuple[Said, ...]) -> Quote | None:
    said = next((s for s in shown if s.line.role == "assistant"), None)
    return quote_at(said.line, said.sentence.start, said.sentence.end) if said else None


def _nothing_alike(_: Said) -> float:
    """Whether a check applies never hangs on likeness: that would need the judge's engine."""
    return 0.0
