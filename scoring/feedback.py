"""Words for people: a summary and what to do better, each tied to a moment of the call.

Pure and deterministic, made of the rubric's own texts and the verdicts: no judge writes them, so
nothing a judge invents, and nothing said in the call except the quotes, can get into them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scoring.evidence import Quote
from scoring.ports import Answer
from scoring.rubric import Check, Rubric, Score, SectionScore
from scoring.verdicts import Verdict

MOST_ADVICE = 4
MAX_QUOTE = 160  # characters shown


@dataclass(frozen=True, slots=True)
class Feedback:
    summary: str
    text: str


def feedback_make(rubric: Rubric, verdicts: Sequence[Verdict], score: Score) -> Feedback:
    checks = {check.key: check for check in rubric.checks}
    pairs = [(checks[v.check_key], v) for v in verdicts if v.verified]
    pairs = [(check, v) for check, v in pairs if v.answer != Answer.NOT_APPLICABLE]
    parts = [*_praise(pairs), *_advice(pairs, score)]
    unscored = sum(not verdict.verified for verdict in verdicts)
    if unscored:
        parts.append(f"{_count(unscored, 'check')} could not be verified and did not count.")
    return Feedback(_summary(rubric, checks, score), "\n\n".join(parts))


def clock(seconds: float) -> str:
    """Minutes and seconds as people write them: 65.2 is 1:05."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def _summary(rubric: Rubric, checks: Mapping[str, Check], score: Score) -> str:
    parts = [f"{rubric.title}: {score.overall} of 100, {_points(score.earned, score.possible)}."]
    ranked = [s for s in score.sections if s.possible]
    best = max(ranked, key=_share, default=None)
    worst = max(ranked, key=lambda s: s.possible - s.earned, default=None)
    if best and best.earned:
        parts.append(f"Strongest: {best.title} ({_points(best.earned, best.possible)}).")
    if worst and worst.possible > worst.earned and worst is not best:
        parts.append(f"Most was left in {worst.title} ({_points(worst.earned, worst.possible)}).")
    if score.hard_fails:
        names = ", ".join(checks[key].title for key in score.hard_fails)
        parts.insert(1, f"The score is capped because of: {names}.")
        parts = parts[:3]
    return " ".join(parts)


def _praise(pairs: Sequence[tuple[Check, Verdict]]) -> list[str]:
    """The check worth most that was met in so many words; of equals the first."""
    met = [(check, v) for check, v in pairs if v.answer == Answer.YES and check.kind == "do"]
    quoted = [(check, v) for check, v in met if isinstance(v.evidence, Quote)]
    if not quoted:
        return []
    check, verdict = max(quoted, key=lambda pair: pair[0].points)
    return [f"Well done: {check.title}. {_moment(verdict.evidence)}."]


def _advice(pairs: Sequence[tuple[Check, Verdict]], score: Score) -> list[str]:
    lost = [(check, v) for check, v in pairs if v.points < v.max_points]
    lost.sort(key=lambda pair: (pair[0].key not in score.hard_fails, _minus(pair[1])))
    return [
        f"{check.title} ({_lost_words(verdict)}). {_where(check, verdict)} {check.advice}"
        for check, verdict in lost[:MOST_ADVICE]
    ]


def _where(check: Check, verdict: Verdict) -> str:
    if isinstance(verdict.evidence, Quote):
        partly = " That was only a part of it." if verdict.answer == Answer.PARTIAL else ""
        return f"{_moment(verdict.evidence)}.{partly}"
    if verdict.by_person:
        return "A manager listened and said so."
    if verdict.trigger is not None:
        quote = _shown(verdict.trigger.text)
        return f"At {clock(verdict.trigger.start)} the customer said “{quote}”."
    return "It was not said in this call."


def _moment(quote: object) -> str:
    return (
        f"At {clock(quote.start)} you said “{_shown(quote.text)}”"
        if isinstance(quote, Quote)
        else ""
    )


def _shown(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= MAX_QUOTE else text[:MAX_QUOTE].rsplit(" ", 1)[0] + " …"


def _minus(verdict: Verdict) -> float:
    return verdict.points - verdict.max_points


def _lost_words(verdict: Verdict) -> str:
    return f"−{verdict.max_points - verdict.points:g}"


def _share(section: SectionScore) -> tuple[float, int]:
    return section.earned / section.possible, section.possible


def _points(earned: float, possible: int) -> str:
    return f"{earned:g} of {_count(possible, 'point')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
