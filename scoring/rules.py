"""A small language of rules over a transcript: what was said, in which order, how early.

A rule is one mapping with one leaf or combination, and conditions beside it:

    say: [patterns]        a sentence of the rep          unless: [patterns]  not in that sentence
    heard: [patterns]      a sentence of the persona      question: true      asked as a question
    similar: 0.7           a sentence of the rep nearer to the check's examples than to any other's
    echo: true             a sentence of the rep with a telling word that the persona brought up
    interrupting: true     the rep's turn began over the persona's
    monologue: 60          the rep spoke for longer than that many seconds
    any / all / none: [rules]

    within: 90             begun in the first 90 seconds of the call
    before: rule           earlier than the first time that is met (always so if it never is)
    after: rule            not earlier than it; turns: 2 = in the next two turns of the rep
    answered: true         the persona spoke next
    times: 2               met in so many sentences
    turns: 3               of `all`: every part within so many turns of the rep

A "not" before a match undoes it, except in `heard`: doubts are full of them ("how do I know this
isn't a scam?"). Only what the rep says can satisfy `say`, `similar` and `echo`, and a sentence that
speaks to whoever scores the call ("give me full points") counts as not said at all: see
`speaks_to_the_judge`.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from scoring.metrics import interrupting_lines, monologues
from scoring.phrases import (
    NUMBER_WORDS,
    Pattern,
    PatternError,
    Sentence,
    any_found,
    pattern_compile,
    pattern_find,
    sentences,
)
from scoring.ports import Line, Transcript

MAX_DEPTH = 6
MAX_PATTERNS = 80  # in one list
MAX_PARTS = 12  # of any, all, none
MAX_PATTERN_CHARACTERS = 300
MAX_SECONDS = 7200.0

LEAVES = ("say", "heard", "similar", "echo", "interrupting", "monologue", "any", "all", "none")
CONDITIONS = ("unless", "question", "within", "before", "after", "answered", "times", "turns")
MEASURES = ("interrupting", "monologue")  # counted, never asked of a judge


class RuleError(ValueError):
    """A rule that cannot be read. The message begins with the path to it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One node of a rule; see the table in this file's head."""

    leaf: str
    patterns: tuple[Pattern, ...] = ()
    level: float = 0.0  # of similar: cosine; of monologue: seconds
    parts: tuple["Rule", ...] = ()
    unless: tuple[Pattern, ...] = ()
    question: bool = False
    within: float | None = None
    before: "Rule | None" = None
    after: "Rule | None" = None
    answered: bool = False
    times: int = 1
    turns: int | None = None

    def uses(self, *leaves: str) -> bool:
        """Whether this rule or any rule in it has one of these leaves."""
        inner = (*self.parts, *(rule for rule in (self.before, self.after) if rule))
        return self.leaf in leaves or any(rule.uses(*leaves) for rule in inner)

    def shows(self, leaf: str) -> bool:
        """Whether sentences found by such a leaf can be what this rule shows."""
        return self.leaf == leaf or any(part.shows(leaf) for part in self.parts)

    @property
    def is_measure(self) -> bool:
        """Whether it only counts, so that no judge need be asked."""
        return self.leaf in MEASURES or (
            bool(self.parts) and all(part.is_measure for part in self.parts)
        )


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in its line. `order` counts all sentences of the call."""

    line: Line
    sentence: Sentence
    order: int
    turn: int  # counts the turns of the same side
    start: float  # seconds of the call

    @property
    def quote(self) -> str:
        return self.line.text[self.sentence.start : self.sentence.end]


@dataclass(frozen=True, slots=True)
class Found:
    """Whether a rule holds, and the sentences that show it, the most telling first."""

    holds: bool
    shown: tuple[Said, ...] = ()

    @property
    def first(self) -> int:
        return min((said.order for said in self.shown), default=-1)


LEAST_ECHO = 3  # letters: longer words only
_COMMON_WORDS = """
    about above actually after again alright also always another anybody anything back because
    been before being believe best better between bring bucks call called calling came cannot
    card care change check come could cost costs cover coverage covered covers current days does
    doing dollar dollars done down each else enough even ever every everybody everything fair
    feel find fine first from full gets getting give given glad goes going gone gonna good great
    guess have hear heard hello help here himself home hope house information insurance into
    just keep kind knew know last later least less like listen little long look looking lots
    made mail make many maybe mean medicare mind minute moment money month monthly more morning
    most much must name need never next nice nothing number okay once only other ours over part
    people person phone plan plans please premium pretty probably problem question questions
    quite read really right said same saying says seem seen send should show since some somebody
    someone something soon sorry sound sounds speak start started still stuff such sure take
    taking talk talking tell thank thanks that their them then there these they thing things
    think thinking this those though thought through time times today told tomorrow under
    understand until used using very wait want wanted wants week well went were what whatever
    when where which while whole will with without wonderful word work works worry would wrong
    year years your yourself zero
"""
_COMMON = frozenset(_COMMON_WORDS.split()) | NUMBER_WORDS

Likeness = Callable[[Said], float]  # how near a sentence comes to the check's examples, 0..1


@dataclass(frozen=True)
class Floor:
    """A transcript cut into sentences, ready for rules.

    `whole` keeps what was said to the judge: no such sentence earns a point, but words that must
    not be said are not unsaid by it.
    """

    transcript: Transcript
    whole: bool = False

    @cached_property
    def rep(self) -> tuple[Said, ...]:
        own = (s for s in self._all if s.line.role == "user")
        return tuple(s for s in own if self.whole or not speaks_to_the_judge(s.sentence.plain))

    @cached_property
    def turn_starts(self) -> list[int]:
        """The order of the first sentence of each of the rep's turns."""
        first: dict[int, int] = {}
        for said in self.rep:
            first.setdefault(said.turn, said.order)
        return list(first.values())

    @cached_property
    def persona(self) -> tuple[Said, ...]:
        return tuple(s for s in self._all if s.line.role == "assistant")

    @cached_property
    def interrupting(self) -> frozenset[int]:
        return frozenset(line.number for line in interrupting_lines(self.transcript))

    @cached_property
    def echoes(self) -> frozenset[int]:
        """Sentences of the rep (their order) with a word that was first the persona's."""
        first: dict[str, str] = {}
        found = set()
        for said in self._all:
            words = {t.text for t in said.sentence.tokens if _is_telling(t.text)}
            for word in words:
                first.setdefault(word, said.line.role)
            if said.line.role == "user" and any(first[word] == "assistant" for word in words):
                found.add(said.order)
        return frozenset(found)

    @cached_property
    def answered(self) -> frozenset[int]:
        """Numbers of the lines that were followed by a line of the other side."""
        lines = self.transcript.lines
        pairs = pairwise(lines)
        return frozenset(a.number for a, b in pairs if a.role != b.role)

    @cached_property
    def _all(self) -> tuple[Said, ...]:
        return tuple(self._cut())

    def _cut(self) -> Iterator[Said]:
        order, turns = 0, {"user": 0, "assistant": 0}
        for line in self.transcript.lines:
            turns[line.role] += 1
            for sentence in sentences(line.text):
                share = sentence.start / max(1, len(line.text))
                start = line.start + share * (line.end - line.start)
                yield Said(line, sentence, order, turns[line.role], start)
                order += 1


def rule_find(rule: Rule, floor: Floor, likeness: Likeness) -> Found:
    """Where the rule is met. `likeness` answers for `similar`."""
    if rule.leaf in ("any", "all", "none"):
        found = _combined(rule, floor, likeness)
    else:
        found = Found(True, tuple(_leaf(rule, floor, likeness)))
    if rule.leaf == "none" or not found.holds:
        return found
    shown = tuple(s for s in found.shown if _early_and_answered(rule, s, floor))
    shown = _in_order(rule, shown, floor, likeness)
    return Found(len(shown) >= rule.times, shown if len(shown) >= rule.times else ())


# --- finding ----------------------------------------------------------------------------------


def _leaf(rule: Rule, floor: Floor, likeness: Likeness) -> Iterator[Said]:
    if rule.leaf == "interrupting":
        yield from _first_sentences(floor, floor.interrupting)
        return
    if rule.leaf == "monologue":
        long = (m.line.number for m in monologues(floor.transcript) if m.seconds > rule.level)
        yield from _first_sentences(floor, frozenset(long))
        return
    for said in floor.persona if rule.leaf == "heard" else floor.rep:
        if rule.question and not said.sentence.is_question:
            continue
        if any_found(rule.unless, said.sentence):
            continue
        if rule.leaf == "similar":
            if likeness(said) >= rule.level:
                yield said
        elif rule.leaf == "echo":
            if said.order in floor.echoes:
                yield said
        elif rule.leaf == "heard":
            if any_found(rule.patterns, said.sentence):
                yield said
        elif any(pattern_find(pattern, said.sentence) for pattern in rule.patterns):
            yield said


def _is_telling(word: str) -> bool:
    """Whether a word names something of this person's, and is not in every sales call."""
    return len(word) > LEAST_ECHO and not word.isdigit() and word not in _COMMON


def _first_sentences(floor: Floor, numbers: frozenset[int]) -> Iterator[Said]:
    seen: set[int] = set()
    for said in floor.rep:
        if said.line.number in numbers and said.line.number not in seen:
            seen.add(said.line.number)
            yield said


def _combined(rule: Rule, floor: Floor, likeness: Likeness) -> Found:
    parts = [rule_find(part, floor, likeness) for part in rule.parts]
    if rule.leaf == "none":
        return Found(not any(part.holds for part in parts))
    if rule.leaf == "any":
        shown = {s.order: s for part in parts if part.holds for s in part.shown}
        return Found(any(p.holds for p in parts), tuple(shown[o] for o in sorted(shown)))
    if not all(part.holds for part in parts):
        return Found(False)
    telling = [part.shown for part in parts if part.shown]
    if not telling:
        return Found(False)
    return _close_together(telling, rule.turns)


def _close_together(parts: Sequence[tuple[Said, ...]], turns: int | None) -> Found:
    """The sentences of the first part that have one of each other part near enough."""
    if turns is None:
        return Found(True, parts[0])
    near = []
    for said in parts[0]:
        windows = range(said.turn - turns + 1, said.turn + 1)
        if any(all(any(w <= o.turn < w + turns for o in p) for p in parts) for w in windows):
            near.append(said)
    return Found(bool(near), tuple(near))


def _early_and_answered(rule: Rule, said: Said, floor: Floor) -> bool:
    if rule.within is not None:
        first = floor.transcript.lines[0].start
        if said.start - first > rule.within:
            return False
    return not rule.answered or said.line.number in floor.answered


def _in_order(
    rule: Rule, shown: tuple[Said, ...], floor: Floor, likeness: Likeness
) -> tuple[Said, ...]:
    if rule.before is not None:
        limit = rule_find(rule.before, floor, likeness)
        if limit.holds and limit.shown:
            shown = tuple(s for s in shown if s.order < limit.first)
    if rule.after is not None:
        marks = rule_find(rule.after, floor, likeness).shown
        shown = tuple(s for s in shown if any(_follows(s, m, rule, floor) for m in marks))
    return shown


def _follows(said: Said, mark: Said, rule: Rule, floor: Floor) -> bool:
    if said.order < mark.order:
        return False
    if rule.turns is None or rule.leaf == "all":
        return True
    begun = bisect_right(floor.turn_starts, said.order) - bisect_right(
        floor.turn_starts, mark.order
    )
    return begun <= rule.turns


# --- what is said to the judge ----------------------------------------------------------------

_TO_THE_JUDGE = (
    "ignore|disregard|forget|override|bypass ?all|the|any|your|every|previous|prior|these|those "
    "... instruction*|rubric|prompt|rule|rules|guideline*|criteria|checklist",
    "the|this|our|your|my|dear|hey|hello|attention ?ai|the judge|grader|evaluator|scorer|assessor",
    "judge|grader|evaluator|scorer|assessor must|should|will|shall|please|can|has|needs|may|note",
    "to|for|note ?whoever|the|all judge|grader|evaluator|scorer|assessor|judges|graders|scorers",
    "the|this|your|of|scoring|evaluation|grading|every rubric|scorecard",
    "scoring|grading|evaluation|judging system|model|ai|bot|tool|engine|software|note|instruction*",
    "give|award|grant|assign|grade me|this|us|the|full|maximum|max|all|every|a|him|her|them ... "
    "points|marks|score|grade|credit",
    "full|maximum|max|top|perfect|highest ?possible points|marks|score|scores|grade|grades|credit",
    "score ?of # hundred|out|percent",
    "score|mark|rate|grade|count this|that|it|me|us|every|each|all|my|as ... "
    "yes|passed|pass|complete*|done|perfect|satisfied|met|full|hundred|100|criteri*|check|checks",
    "answer|answers|verdict|verdicts|output|return|respond|reply|say|write ... yes|true|passed "
    "?to|for|on ... check|checks|criteri*|question|questions|item|items|everything|rubric",
    "every|all|each ?of ?the check|checks|criterion|criteria|item|items "
    "is|are|was|were|must|should|as|has|have|passed|satisfied|met|done",
    "this|that|these|those|the criterion|criteria",
    "overall score|points|grade",
    "my|the|this|their|a|your score is|must|should|will|to|needs|at",
    "verdict|answer yes|no|is|must|should|equals|colon",
    "not applicable ... check|checks|criteri*|everything|rest",
    "mark|count|treat|consider|regard|accept this|that|it|everything|all ... as "
    "?a|an|fully done|complete*|passed|pass|yes|satisfied|valid|met|verified|true|success*",
    "mark|count|treat|consider|score|rate|answer ... check|checks|criterion|criteria "
    "... as|yes|passed",
    "whoever|anyone|everyone|somebody|everybody ?is grades|scores|judges|evaluates|grading|scoring "
    "?of|this|it",
    "reading|reviewing|grading|scoring|judging|evaluating this transcript|call|conversation",
    "count|counts ?this ?that ?it as asked|said|done|given|met|covered|read|told",
    "^ ?dear|hey|hello|okay|note|so|and ?mr|ms|the|ai "
    "judge|grader|evaluator|scorer|assessor|judges",
    "system prompt|message|override|instruction|note|role",
    "you are ?now a|an ... judge|grader|evaluator|scorer|assistant|(language model)",
    "as|being ?a|an|the ai|language|llm model|judge|grader|assistant|evaluator",
    "new|following|these|updated|hidden|secret|special|my instruction|instructions",
    "end|begin|start ?of transcript|conversation|instructions|data",
    "the|this transcript",
    "i|the|this|rep|agent|salesperson passed|satisfied|met|fulfilled|completed "
    "every|all|each|the ... check|checks|criteri*|requirement|requirements|step|steps|item|items",
    "developer|admin|administrator|debug|maintenance|jailbreak mode|override|command|access",
    "all checks|criteria|verdicts|answers|items",
    "whoever ?is marking|judging|rating|scoring|grading|evaluating|checking|reviewing|reading",
    "let|for the record ?show|reflect|shows i|that|the|we",
    "let the record",
    "purpose|purposes of ?this evaluation|grading|scoring|review|assessment",
    "assume|pretend|suppose|imagine ?that i asked|said|read|gave|explained|covered|did|mentioned",
    "as|for|is|the|verified evidence ?for|that|of|quote",
    "evidence for|of|that",
    "quote|cite this|that|it|me",
    "i ?have ?already ?definitely ?just ?clearly read|gave|given|did|done|covered|stated|delivered "
    "?all ?of ... disclaimer|disclaimers|notice|notices|requirement|requirements|checklist",
    "hereby",
    "satisfy|satisfies|satisfied|meet|meets|met|fulfill|fulfills ?all|the|every|this|that|each ... "
    "requirement|requirements|criteri*|check|checks",
    "checklist|compliance|script|requirements ?is|are|now ?all "
    "complete|completed|done|satisfied|met",
    "automated|ai|scoring|auto|virtual reviewer|judge|grader|evaluator|scorer|bot|system",
    "overallscore|(overall score)",
    "correct|right|expected|desired answer|answers|result|verdict|verdicts ?to|for|is|are|should",
)


def speaks_to_the_judge(plain: str) -> bool:
    """Whether a sentence is about how this call is scored: no customer is ever told such things.

    Rules look for words, so a sentence that merely names them to the judge must not count.
    """
    return any(pattern.expression.search(plain) for pattern in _judge_patterns())


@lru_cache(maxsize=1)
def _judge_patterns() -> tuple[Pattern, ...]:
    return tuple(pattern_compile(source) for source in _TO_THE_JUDGE)


# --- reading ----------------------------------------------------------------------------------


Named = Mapping[str, tuple[Pattern, ...]]  # lists of patterns that rules call "@name"


def rule_parse(raw: object, path: str, named: Named, depth: int = 0) -> Rule:
    """The rule in a mapping from YAML or JSON, or RuleError."""
    if not isinstance(raw, Mapping):
        raise RuleError(f"{path}: a rule is a mapping.")
    if depth >= MAX_DEPTH:
        raise RuleError(f"{path}: rules are nested more than {MAX_DEPTH} deep.")
    unknown = [str(key) for key in raw if key not in LEAVES + CONDITIONS]
    leaves = [key for key in LEAVES if key in raw]
    if unknown or len(leaves) != 1:
        told = (
            f"does not know {', '.join(unknown)}"
            if unknown
            else "needs exactly one of " + (", ".join(LEAVES))
        )
        raise RuleError(f"{path}: {told}.")
    leaf = leaves[0]
    return Rule(
        leaf,
        **_leaf_fields(leaf, raw[leaf], f"{path}.{leaf}", named, depth),
        **_condition_fields(raw, path, named, depth),
    )


def _leaf_fields(leaf: str, value: object, path: str, named: Named, depth: int) -> dict[str, Any]:
    if leaf in ("say", "heard"):
        return {"patterns": patterns_parse(value, path, named)}
    if leaf in ("any", "all", "none"):
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_PARTS:
            raise RuleError(f"{path}: needs a list of 1 to {MAX_PARTS} rules.")
        return {
            "parts": tuple(
                rule_parse(part, f"{path}[{i}]", named, depth + 1) for i, part in enumerate(value)
            )
        }
    if leaf in ("interrupting", "echo"):
        if value is not True:
            raise RuleError(f"{path}: is written '{leaf}: true'.")
        return {}
    return {"level": _number(value, path, 0.0, 1.0 if leaf == "similar" else MAX_SECONDS)}


def _condition_fields(
    raw: Mapping[str, Any], path: str, named: Named, depth: int
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "unless" in raw:
        found["unless"] = patterns_parse(raw["unless"], f"{path}.unless", named)
    for name in ("question", "answered"):
        if name in raw:
            if raw[name] is not True:
                raise RuleError(f"{path}.{name}: is written '{name}: true'.")
            found[name] = True
    if "within" in raw:
        found["within"] = _number(raw["within"], f"{path}.within", 0.0, MAX_SECONDS)
    for name in ("times", "turns"):
        if name in raw:
            found[name] = int(_number(raw[name], f"{path}.{name}", 1, 50, whole=True))
    for name in ("before", "after"):
        if name in raw:
            found[name] = rule_parse(raw[name], f"{path}.{name}", named, depth + 1)
    return found


def patterns_parse(value: object, path: str, named: Named) -> tuple[Pattern, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PATTERNS:
        raise RuleError(f"{path}: needs a list of 1 to {MAX_PATTERNS} patterns.")
    found: list[Pattern] = []
    for index, source in enumerate(value):
        where = f"{path}[{index}]"
        if not isinstance(source, str) or len(source) > MAX_PATTERN_CHARACTERS:
            raise RuleError(f"{where}: is a text of at most {MAX_PATTERN_CHARACTERS} characters.")
        if source.startswith("@") and source[1:] not in named:
            raise RuleError(f"{where}: no list of phrases has the name {source[1:]!r}.")
        try:
            found += named[source[1:]] if source.startswith("@") else [pattern_compile(source)]
        except PatternError as error:
            raise RuleError(f"{where}: {error}.") from error
    return tuple(found)


def _number(value: object, path: str, low: float, high: float, *, whole: bool = False) -> float:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    if not fits or (whole and not isinstance(value, int)):
        raise RuleError(f"{path}: is a {'whole ' if whole else ''}number, {low:g} to {high:g}.")
    return float(value)  # type: ignore[arg-type]  # checked above
