"""A rubric: questions about a call, what each is worth, and the arithmetic of the score.

Pure. `rubric_parse` reads the mapping that came from YAML or JSON strictly and reports every fault
with its path; docs/scoring.md explains each key to authors.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scoring.phrases import Pattern
from scoring.ports import Answer
from scoring.rules import Named, Rule, RuleError, patterns_parse, rule_parse

FORMAT = 1
MAX_SECTIONS, MAX_CHECKS, MAX_EXAMPLES, MAX_PHRASE_LISTS = 20, 60, 40, 60
MAX_POINTS = 100
MAX_TEXT, MAX_EXAMPLE = 1000, 300  # characters
LEAST_COVERAGE = 0.7  # share of the points that must have verified verdicts
_KEY = re.compile(r"[a-z][a-z0-9_]{0,59}")
_RUBRIC_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_RUBRIC_FIELDS = {"format", "key", "title", "sections"}
_SECTION_FIELDS = {"key", "title", "checks"}
_CHECK_NEEDS = {"key", "title", "question", "points", "guidance", "advice", "examples", "rule"}
_CHECK_MAY = {"kind", "partial", "counter_examples", "applies_when", "hard_fail"}

Kind = Literal["do", "avoid"]


class RubricError(ValueError):
    """The rubric cannot be used. `problems` are sentences that begin with the path."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class ScoringIncomplete(Exception):
    """Too few verdicts could be verified for a score that means anything."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `do`: something the rep should say; `avoid`: something never to be said.

    For both kinds `yes` is good. `partial` is what a partial answer earns, in percent of `points`.
    `hard_fail`: with the answer `no` the whole call scores at most this.
    """

    key: str
    section: str
    title: str
    question: str
    points: int
    guidance: str
    advice: str
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...]
    kind: Kind
    partial: int
    hard_fail: int | None
    applies_when: Rule | None
    rule: Rule  # met: `yes` for do, `no` for avoid
    partial_rule: Rule | None

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (self.rule, self.partial_rule) if self.partial_rule else (self.rule,)

    @property
    def is_measure(self) -> bool:
        """Whether it is counted by code, whoever the judge is."""
        return self.rule.is_measure

    def needs_quote(self, answer: Answer) -> bool:
        """Whether this answer says that something was said, which a quote must show."""
        present = Answer.YES if self.kind == "do" else Answer.NO
        return answer in (present, Answer.PARTIAL)


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title: str


@dataclass(frozen=True, slots=True)
class Rubric:
    key: str
    title: str
    sections: tuple[Section, ...]
    checks: tuple[Check, ...]
    neutral_examples: tuple[str, ...]  # talk that is near to no check, for likeness
    digest: str  # sha256 of the content, however it was written down

    def check(self, key: str) -> Check:
        return next(check for check in self.checks if check.key == key)


# --- arithmetic -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """One check's answer as the arithmetic sees it. An unverified answer counts for nothing."""

    check_key: str
    answer: Answer
    verified: bool = True

    @property
    def is_out(self) -> bool:
        """An unverified "not applicable" still is a question without an answer."""
        return self.verified and self.answer == Answer.NOT_APPLICABLE


@dataclass(frozen=True, slots=True)
class SectionScore:
    key: str
    title: str
    earned: float
    possible: int  # points of the checks that applied and were verified


@dataclass(frozen=True, slots=True)
class Score:
    overall: int  # 0..100
    earned: float
    possible: int
    coverage: float  # share of the applicable points that have a verified verdict
    sections: tuple[SectionScore, ...]
    hard_fails: tuple[str, ...]  # check keys that capped the score


def score(rubric: Rubric, standings: Iterable[Standing]) -> Score:
    """The score of one call. Raises ScoringIncomplete when too little of it is verified."""
    given = {standing.check_key: standing for standing in standings}
    applies = [
        (check, given[check.key])
        for check in rubric.checks
        if check.key in given and not given[check.key].is_out
    ]
    counted = [(check, standing.answer) for check, standing in applies if standing.verified]
    asked = sum(check.points for check, _ in applies)
    possible = sum(check.points for check, _ in counted)
    if not possible or possible < LEAST_COVERAGE * asked:
        raise ScoringIncomplete
    hundredths = sum(check_hundredths(check, answer) for check, answer in counted)
    fails = [c for c, answer in counted if c.hard_fail is not None and answer == Answer.NO]
    overall = (2 * hundredths + possible) // (2 * possible)  # half up
    return Score(
        overall=min([overall, *(c.hard_fail for c in fails if c.hard_fail is not None)]),
        earned=hundredths / 100,
        possible=possible,
        coverage=round(possible / asked, 3),
        sections=tuple(_section_score(section, counted) for section in rubric.sections),
        hard_fails=tuple(check.key for check in fails),
    )


def check_hundredths(check: Check, answer: Answer) -> int:
    """What an answer earns, in hundredths of a point, so that sums stay exact."""
    worth = {Answer.YES: 100, Answer.PARTIAL: check.partial}
    return check.points * worth.get(answer, 0)


def _section_score(section: Section, counted: Sequence[tuple[Check, Answer]]) -> SectionScore:
    own = [(check, answer) for check, answer in counted if check.section == section.key]
    return SectionScore(
        key=section.key,
        title=section.title,
        earned=sum(check_hundredths(check, answer) for check, answer in own) / 100,
        possible=sum(check.points for check, _ in own),
    )


# --- reading ----------------------------------------------------------------------------------


def rubric_digest(content: Mapping[str, Any]) -> str:
    """The same for the same content, in whatever order its keys came."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def rubric_parse(content: object) -> Rubric:
    """The rubric in a mapping, or RubricError with every problem in it."""
    problems: list[str] = []
    top = _mapping(content, "rubric", _RUBRIC_FIELDS, {"phrases", "neutral_examples"}, problems)
    if top is None:
        raise RubricError(problems)
    if top.get("format") != FORMAT:
        problems.append(f"format: is {FORMAT}.")
    key = _text(top, "key", "rubric", 100, problems)
    if key and not _RUBRIC_KEY.fullmatch(key):
        problems.append("key: has lower-case letters, digits and single hyphens.")
    title = _text(top, "title", "rubric", 200, problems)
    sections, checks = _sections(
        top.get("sections"), _named(top.get("phrases", {}), problems), problems
    )
    neutral = _texts(top.get("neutral_examples", []), "neutral_examples", problems)
    _once([s.key for s in sections], "sections", problems)
    _once([c.key for c in checks], "checks", problems)
    if len(checks) > MAX_CHECKS:
        problems.append(f"sections: hold {len(checks)} checks, at most {MAX_CHECKS} are allowed.")
    if problems:
        raise RubricError(problems)
    return Rubric(key, title, tuple(sections), tuple(checks), neutral, rubric_digest(top))


def _named(raw: object, problems: list[str]) -> Named:
    """Lists of patterns used in several rules; a list may use those above it."""
    if not isinstance(raw, Mapping) or len(raw) > MAX_PHRASE_LISTS:
        problems.append(f"phrases: is a mapping of at most {MAX_PHRASE_LISTS} lists.")
        return {}
    named: dict[str, tuple[Pattern, ...]] = {}
    for name, value in raw.items():
        try:
            if not isinstance(name, str) or not _KEY.fullmatch(name):
                raise RuleError(f"phrases: {name!r} is no name.")
            named[name] = patterns_parse(value, f"phrases.{name}", dict(named))
        except RuleError as error:
            problems.append(str(error))
    return named


def _sections(raw: object, named: Named, problems: list[str]) -> tuple[list[Section], list[Check]]:
    sections: list[Section] = []
    checks: list[Check] = []
    for index, item in enumerate(_items(raw, "sections", MAX_SECTIONS, problems)):
        path = f"sections[{index}]"
        section = _mapping(item, path, _SECTION_FIELDS, set(), problems)
        if section is None:
            continue
        key = _key(section, path, problems)
        sections.append(Section(key, _text(section, "title", path, 200, problems)))
        for number, entry in enumerate(
            _items(section.get("checks"), f"{path}.checks", MAX_CHECKS, problems)
        ):
            check = _check(entry, key, f"{path}.checks[{number}]", named, problems)
            if check is not None:
                checks.append(check)
    return sections, checks


def _check(
    item: object, section: str, path: str, named: Named, problems: list[str]
) -> Check | None:
    raw = _mapping(item, path, _CHECK_NEEDS, _CHECK_MAY, problems)
    if raw is None:
        return None
    before = len(problems)
    key = _key(raw, path, problems)
    path = f"{path} ({key})"
    texts = {
        name: _text(raw, name, path, MAX_TEXT, problems)
        for name in ("title", "question", "guidance", "advice")
    }
    kind = raw.get("kind", "do")
    if kind not in ("do", "avoid"):
        problems.append(f"{path}.kind: is 'do' or 'avoid'.")
    points = _whole(raw.get("points"), f"{path}.points", 1, MAX_POINTS, problems)
    partial = _whole(raw.get("partial", 50), f"{path}.partial", 0, 100, problems)
    cap = raw.get("hard_fail")
    cap = None if cap is None else _whole(cap, f"{path}.hard_fail", 0, 100, problems)
    rule, partial_rule = _rules(raw.get("rule"), kind, f"{path}.rule", named, problems)
    applies = raw.get("applies_when")
    applies_rule = (
        None if applies is None else _rule(applies, f"{path}.applies_when", named, problems)
    )
    if applies_rule is not None and applies_rule.uses("similar"):
        problems.append(f"{path}.applies_when: cannot use similar: code alone decides it.")
    examples = _texts(raw.get("examples"), f"{path}.examples", problems)
    counter = _texts(raw.get("counter_examples", []), f"{path}.counter_examples", problems)
    if len(problems) > before or rule is None:
        return None
    return Check(
        key=key,
        section=section,
        points=points,
        kind=kind,
        partial=partial,
        hard_fail=cap,
        examples=examples,
        counter_examples=counter,
        applies_when=applies_rule,
        rule=rule,
        partial_rule=partial_rule,
        **texts,
    )


def _rules(
    raw: object, kind: object, path: str, named: Named, problems: list[str]
) -> tuple[Rule | None, Rule | None]:
    present = "no" if kind == "avoid" else "yes"
    if not isinstance(raw, Mapping) or present not in raw or set(raw) - {present, "partial"}:
        problems.append(f"{path}: has '{present}' and, where wanted, 'partial'.")
        return None, None
    partial = raw.get("partial")
    met = _rule(raw[present], f"{path}.{present}", named, problems)
    partly = None if partial is None else _rule(partial, f"{path}.partial", named, problems)
    if any(rule is not None and rule.shows("heard") for rule in (met, partly)):
        problems.append(f"{path}: only the rep's words earn points; put heard under after.")
    return met, partly


def _rule(raw: object, path: str, named: Named, problems: list[str]) -> Rule | None:
    try:
        return rule_parse(raw, path, named)
    except RuleError as error:
        problems.append(str(error))
        return None


def _mapping(
    raw: object, path: str, needs: set[str], may: set[str], problems: list[str]
) -> dict[str, Any] | None:
    if not isinstance(raw, Mapping):
        problems.append(f"{path}: is a mapping.")
        return None
    missing = sorted(needs - set(raw))
    unknown = sorted(str(key) for key in set(raw) - needs - may)
    if missing:
        problems.append(f"{path}: lacks {', '.join(missing)}.")
    if unknown:
        problems.append(f"{path}: does not know {', '.join(unknown)}.")
    return dict(raw)


def _items(raw: object, path: str, most: int, problems: list[str]) -> list[Any]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= most:
        problems.append(f"{path}: is a list of 1 to {most} entries.")
        return []
    return raw


def _key(raw: Mapping[str, Any], path: str, problems: list[str]) -> str:
    key = raw.get("key")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        problems.append(f"{path}.key: has lower-case letters, digits and underscores.")
        return "?"
    return key


def _text(raw: Mapping[str, Any], name: str, path: str, most: int, problems: list[str]) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > most:
        problems.append(f"{path}.{name}: is a text of 1 to {most} characters.")
        return ""
    return " ".join(value.split())


def _texts(raw: object, path: str, problems: list[str]) -> tuple[str, ...]:
    if not isinstance(raw, list) or len(raw) > MAX_EXAMPLES:
        problems.append(f"{path}: is a list of at most {MAX_EXAMPLES} texts.")
        return ()
    for index, text in enumerate(raw):
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_EXAMPLE:
            problems.append(f"{path}[{index}]: is a text of 1 to {MAX_EXAMPLE} characters.")
    return tuple(str(text) for text in raw)


def _whole(value: object, path: str, low: int, high: int, problems: list[str]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    problems.append(f"{path}: is a whole number, {low} to {high}.")
    return low


def _once(keys: Sequence[str], path: str, problems: list[str]) -> None:
    problems.extend(
        f"{path}: '{key}' is used more than once."
        for key in sorted(set(keys))
        if keys.count(key) > 1 and key != "?"
    )
