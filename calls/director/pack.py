"""A drill's pack: what the persona is, knows, minds and says. Read strictly, then never changed.

`pack_load` takes the mapping that came from YAML or JSON and returns frozen objects, or raises
`PackError` with every problem found and its path. docs/writing-drills.md explains each key.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from calls.director.phrases import PatternError, pattern_compile, word_count

DIFFICULTIES = ("Beginner", "Advanced", "Elite")
MOODS = ("wary", "neutral", "warm")
STAGES = ("opening", "discovery", "presentation", "objection", "close", "goodbye")
DOES = ("say", "affirm", "deny", "listen", "repeat", "hold", "goodbye", "probe", "trial", "close")

MAX_INTENTS, MAX_FACTS, MAX_CONCERNS = 250, 150, 60
MAX_EXAMPLES, MAX_PATTERNS, MAX_LINES = 80, 40, 40
MAX_LINE_WORDS, MAX_LINE_CHARACTERS = 25, 200
MAX_TEXT = 4000
MAX_PROBLEMS = 50
_ID = re.compile(r"[a-z][a-z0-9_]{0,59}")
_DIGIT = re.compile(r"\d")
T = TypeVar("T")


class PackError(ValueError):
    """The pack cannot be used. `problems` are sentences that begin with the path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Pool:
    """Lines of which any one may be said. Groups: `any`, a difficulty, or a mood."""

    key: str
    groups: Mapping[str, tuple[str, ...]]

    def at(self, difficulty: str, mood: str) -> tuple[str, tuple[str, ...]]:
        """The most particular group: for this mood, else this difficulty, else any."""
        for group in (mood, difficulty, "any"):
            if group in self.groups:
                return f"{self.key}.{group}", self.groups[group]
        raise KeyError(self.key)  # the loader sees to it that "any" is always there


@dataclass(frozen=True, slots=True)
class Persona:
    name: str
    voice: str
    speed: float
    about: str


@dataclass(frozen=True, slots=True)
class Level:
    """How hard the persona is at one difficulty."""

    trust: float  # at the start, 0..100
    gain: float  # multiplies trust won
    loss: float  # multiplies trust lost
    agrees_at: float  # trust from which a close can succeed
    lines: int  # most lines in one reply
    gap: int  # turns between two concerns of its own
    long_words: int  # a rep's turn longer than this loses the persona
    insists: bool  # says so when its question was passed over
    moods: tuple[float, float]  # below the first it is wary, from the second on warm


@dataclass(frozen=True, slots=True)
class Intent:
    """Something the rep may do with a sentence, and what that does to the persona."""

    id: str
    examples: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = ()
    unless: tuple[re.Pattern[str], ...] = ()
    does: str = "say"
    answers: str = ""  # a fact
    replies: Pool | None = None
    vague: Pool | None = None  # said instead when it `needs_figure` and there is none
    needs_figure: bool = False
    weight: int = 1  # 0: said when nothing else is, 1: beside one answer, 2: always
    trust: float = 0.0
    stage: str = ""
    negated: str = "keep"  # or "drop", or the intent that it becomes
    rules_only: bool = False  # never recognised by likeness alone
    question: bool | None = None  # how such a sentence is shaped, where that tells


@dataclass(frozen=True, slots=True)
class Fact:
    """What the persona tells when asked."""

    id: str
    say: Pool
    again: Pool | None = None
    guarded: Pool | None = None
    trust_needed: Mapping[str, float] = field(default_factory=dict)  # by difficulty
    unlocked_by: frozenset[str] = frozenset()  # acts after which it is told in any case
    leads_to: Mapping[str, str] = field(default_factory=dict)  # told along, by difficulty


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a concern comes up by itself. All that is named must hold."""

    upon: frozenset[str] = frozenset()  # one of these acts in this turn
    after: frozenset[str] = frozenset()  # one of these acts at any time
    unless: frozenset[str] = frozenset()  # none of these acts so far
    stages: frozenset[str] = frozenset()
    turns: int = 0  # not before this turn of the rep
    trust_below: float = 101.0
    resolved: frozenset[str] = frozenset()  # these concerns are settled


@dataclass(frozen=True, slots=True)
class Concern:
    """Something the rep must settle: an objection, or a need the persona asks about."""

    id: str
    kind: str  # "objection" or "need"
    raises: Pool
    again: Pool
    resolved: Pool
    unmoved: Pool
    worse: Pool | None
    takes: Mapping[str, int]  # good answers needed, by difficulty; 0: does not come up
    resolved_by: frozenset[str]
    eased_by: frozenset[str]  # count too, but never settle it alone
    preempted_by: frozenset[str]  # count even before it came up
    worsened_by: frozenset[str]
    blocks: bool  # no yes while it stands
    yes_settles: bool  # a plain "yes" to its question is an answer, a plain "no" a bad one
    figure_settles: bool  # a bare figure in answer to its question is one too
    at_close: bool  # brought up at the close when it never came up
    trust: float
    when: Trigger


@dataclass(frozen=True, slots=True)
class Pack:
    key: str
    title: str
    digest: str
    goal: str
    briefing: str
    hints: tuple[str, ...]
    persona: Persona
    levels: Mapping[str, Level]
    intents: Mapping[str, Intent]
    facts: Mapping[str, Fact]
    concerns: Mapping[str, Concern]
    lines: Mapping[str, Pool]
    silence_after: tuple[float, float]  # seconds until the first and the second prompt

    def pools(self) -> Iterator[Pool]:
        """Every pool, so that all that can ever be said can be listed."""
        for things in (self.intents, self.facts, self.concerns):
            for thing in things.values():
                for name in thing.__slots__:
                    value = getattr(thing, name)
                    if isinstance(value, Pool):
                        yield value
        yield from self.lines.values()


# What every pack must be able to say, whatever it sells.
LINES = str.split(
    "openings silence_first silence_second clarify unknown_question acknowledge steer next "
    "goodbye goodbye_agreed hold repeat_lead interrupted let_me_finish overwhelmed no_concerns "
    "trial_good trial_unsure hesitate agree agreed_already"
)


def pack_merge(base: Mapping[str, Any], pack: Mapping[str, Any]) -> dict[str, Any]:
    """The pack on top of what it extends: mappings are merged, all else is replaced.
    `null` takes away what the base had."""
    merged = dict(base)
    for key, value in pack.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = pack_merge(below, value)
        else:
            merged[key] = value
    return merged


def pack_digest(raw: Mapping[str, Any]) -> str:
    """sha256 of the pack's content, whatever the order of its keys."""
    canonical = json.dumps(raw, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def pack_load(raw: Mapping[str, Any]) -> Pack:
    """The pack, checked. Raises PackError naming all that is wrong with it."""
    return _Loader().load(raw)


@dataclass(slots=True)
class _Loader:
    problems: list[str] = field(default_factory=list)

    def load(self, raw: Mapping[str, Any]) -> Pack:
        top = _Node(raw, "pack")
        try:
            top.keys(
                required="key title persona goal briefing difficulties intents facts lines",
                optional="format extends language hints needs objections silence rubric notes "
                "category filters",
            )
        except _Problem as problem:
            raise PackError([str(problem)]) from problem
        intents = self._each(top, "intents", MAX_INTENTS, _intent)
        facts = self._each(top, "facts", MAX_FACTS, _fact)
        concerns = self._each(top, "needs", MAX_CONCERNS, _need)
        concerns |= self._each(top, "objections", MAX_CONCERNS, _objection)
        pools = self._each(top, "lines", 60, lambda name, node: node.pool())
        levels = self._each(top, "difficulties", 3, _level)
        persona = self._try(lambda: _persona(top.child("persona")))
        head = self._try(lambda: _head(top))
        self._complete(levels, pools)
        if not self.problems:  # else a broken intent would be called missing wherever it is named
            self._references(intents, facts, concerns)
        if self.problems or persona is None or head is None:
            raise PackError(self.problems[:MAX_PROBLEMS])
        return Pack(
            digest=pack_digest(raw),
            persona=persona,
            levels=levels,
            intents=intents,
            facts=facts,
            concerns=concerns,
            lines=pools,
            **head,
        )

    def _try(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except _Problem as problem:
            self.problems.append(str(problem))
            return None

    def _each(
        self, top: "_Node", key: str, limit: int, read: Callable[[str, "_Node"], T]
    ) -> dict[str, T]:
        node = self._try(lambda: top.child(key, {}))
        entries = self._try(lambda: node.entries(limit)) if node is not None else None
        found: dict[str, T] = {}
        for name, child in entries or ():
            thing = self._try(lambda name=name, child=child: read(name, child))  # type: ignore[misc]
            if thing is not None:
                found[name] = thing
        return found

    def _complete(self, levels: Mapping[str, Level], pools: Mapping[str, Pool]) -> None:
        for name in DIFFICULTIES:
            if name not in levels:
                self.problems.append(f"pack.difficulties.{name}: is missing")
        for name in LINES:
            if name not in pools:
                self.problems.append(f"pack.lines.{name}: is missing")

    def _references(
        self,
        intents: Mapping[str, Intent],
        facts: Mapping[str, Fact],
        concerns: Mapping[str, Concern],
    ) -> None:
        def known(names: Iterator[str] | frozenset[str], where: Mapping[str, Any], at: str) -> None:
            for name in sorted(names):
                if name not in where:
                    self.problems.append(f"{at}: there is no {name!r}")

        for intent in intents.values():
            at = f"pack.intents.{intent.id}"
            known(frozenset({intent.answers} - {""}), facts, f"{at}.answers")
            known(frozenset({intent.negated} - {"keep", "drop"}), intents, f"{at}.negated")
        for fact in facts.values():
            known(fact.unlocked_by, intents, f"pack.facts.{fact.id}.unlocked_by")
            known(frozenset(fact.leads_to.values()), facts, f"pack.facts.{fact.id}.leads_to")
        for concern in concerns.values():
            at = f"pack.{concern.kind}s.{concern.id}"
            acts = concern.resolved_by | concern.worsened_by
            acts |= concern.eased_by | concern.preempted_by
            acts |= concern.when.upon | concern.when.after | concern.when.unless
            known(acts, intents, at)
            known(concern.when.resolved, concerns, f"{at}.when.resolved")


class _Problem(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class _Node:
    """A value of the raw pack with its path, read with checks."""

    value: Any
    path: str

    def fail(self, message: str) -> _Problem:
        return _Problem(f"{self.path}: {message}")

    def keys(self, *, required: str = "", optional: str = "") -> None:
        if not isinstance(self.value, Mapping):
            raise self.fail("must be a mapping")
        for key in required.split():
            if key not in self.value:
                raise self.fail(f"{key!r} is missing")
        allowed = {*required.split(), *optional.split()}
        for key in self.value:
            if key not in allowed:
                raise self.fail(
                    f"{key!r} is not known here; known are {', '.join(sorted(allowed))}"
                )

    def child(self, key: str, default: Any = None) -> "_Node":
        return _Node(self.value.get(key, default), f"{self.path}.{key}")

    def has(self, key: str) -> bool:
        return key in self.value

    def entries(self, limit: int) -> list[tuple[str, "_Node"]]:
        if not isinstance(self.value, Mapping):
            raise self.fail("must be a mapping")
        if len(self.value) > limit:
            raise self.fail(f"has {len(self.value)} entries, at most {limit} are allowed")
        for name in self.value:
            if not isinstance(name, str) or not (_ID.fullmatch(name) or name in DIFFICULTIES):
                raise self.fail(f"{name!r} is not a name (small letters, digits, underscore)")
        return [(name, self.child(name)) for name in self.value]

    def text(self, limit: int = MAX_TEXT) -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.fail("must be a text")
        if len(self.value) > limit:
            raise self.fail(f"is longer than {limit} characters")
        return self.value.strip()

    def number(self, low: float, high: float) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.fail("must be a number")
        if not low <= self.value <= high:
            raise self.fail(f"must lie between {low:g} and {high:g}")
        return float(self.value)

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.fail("must be true or false")
        return self.value

    def choice(self, choices: tuple[str, ...]) -> str:
        if self.value not in choices:
            raise self.fail(f"must be one of {', '.join(choices)}")
        return str(self.value)

    def texts(self, limit: int, characters: int = 300) -> tuple[str, ...]:
        if not isinstance(self.value, list):
            raise self.fail("must be a list")
        if len(self.value) > limit:
            raise self.fail(f"has {len(self.value)} entries, at most {limit} are allowed")
        return tuple(
            _Node(item, f"{self.path}[{i}]").text(characters) for i, item in enumerate(self.value)
        )

    def names(self) -> frozenset[str]:
        return frozenset(self.texts(120, 60))

    def by_difficulty(self, read: Callable[["_Node"], T]) -> dict[str, T]:
        """One value for all, or a mapping of each difficulty to its own."""
        if not isinstance(self.value, Mapping):
            return {name: read(self) for name in DIFFICULTIES}
        self.keys(optional=" ".join(DIFFICULTIES))
        return {name: read(self.child(name)) for name in self.value}

    def patterns(self) -> tuple[re.Pattern[str], ...]:
        compiled = []
        for i, text in enumerate(self.texts(MAX_PATTERNS, 240)):
            try:
                compiled.append(pattern_compile(text))
            except PatternError as error:
                raise _Node(text, f"{self.path}[{i}]").fail(str(error)) from error
        return tuple(compiled)

    def pool(self) -> Pool:
        """A list of lines, or a mapping of `any`, difficulties and moods to lists."""
        groups = self.value if isinstance(self.value, Mapping) else {"any": self.value}
        node = _Node(groups, self.path)
        node.keys(required="any", optional=" ".join((*DIFFICULTIES, *MOODS)))
        return Pool(self.path, {name: node.child(name).lines() for name in groups})

    def lines(self) -> tuple[str, ...]:
        lines = self.texts(MAX_LINES, MAX_LINE_CHARACTERS)
        if len(set(lines)) < 2:
            raise self.fail("needs two different lines or more, so that none comes twice in a row")
        for i, line in enumerate(lines):
            at = _Node(line, f"{self.path}[{i}]")
            if _DIGIT.search(line):
                raise at.fail("has digits; write numbers as they are spoken")
            if word_count(line) > MAX_LINE_WORDS:
                raise at.fail(f"has more than {MAX_LINE_WORDS} words")
        return lines

    def optional_pool(self, key: str) -> Pool | None:
        return self.child(key).pool() if self.has(key) else None


def _head(top: _Node) -> dict[str, Any]:
    silence = top.child("silence", [7, 15]).value
    if not isinstance(silence, list) or len(silence) != 2:
        raise top.child("silence").fail("must be two numbers of seconds")
    first, second = (_Node(s, "pack.silence").number(2, 120) for s in silence)
    if second <= first:
        raise top.child("silence").fail("the second prompt must come after the first")
    return {
        "key": top.child("key").text(100),
        "title": top.child("title").text(200),
        "goal": top.child("goal").text(),
        "briefing": top.child("briefing").text(),
        "hints": top.child("hints", []).texts(100, 60),
        "silence_after": (first, second),
    }


def _persona(node: _Node) -> Persona:
    node.keys(required="name voice about", optional="speed age style traits")
    return Persona(
        name=node.child("name").text(100),
        voice=node.child("voice").text(60),
        speed=node.child("speed", 1.0).number(0.5, 2.0),
        about=node.child("about").text(),
    )


def _level(name: str, node: _Node) -> Level:
    if name not in DIFFICULTIES:
        raise node.fail(f"must be one of {', '.join(DIFFICULTIES)}")
    node.keys(required="trust gain loss agrees_at", optional="lines gap long_words insists moods")
    moods = node.child("moods", [30, 62]).value
    if not isinstance(moods, list) or len(moods) != 2:
        raise node.child("moods").fail("must be two trust values")
    low, high = (_Node(m, f"{node.path}.moods").number(0, 101) for m in moods)
    return Level(
        trust=node.child("trust").number(0, 100),
        gain=node.child("gain").number(0, 5),
        loss=node.child("loss").number(0, 5),
        agrees_at=node.child("agrees_at").number(0, 100),
        lines=int(node.child("lines", 3).number(1, 4)),
        gap=int(node.child("gap", 2).number(1, 20)),
        long_words=int(node.child("long_words", 120).number(20, MAX_TEXT)),
        insists=node.child("insists", False).flag(),
        moods=(low, high),
    )


def _intent(name: str, node: _Node) -> Intent:
    node.keys(
        optional="examples patterns unless does answers replies vague needs_figure weight trust "
        "stage negated rules_only question notes"
    )
    examples = node.child("examples", []).texts(MAX_EXAMPLES)
    patterns = node.child("patterns", []).patterns()
    if not examples and not patterns:
        raise node.fail("needs examples or patterns, or it can never be recognised")
    return Intent(
        id=name,
        examples=examples,
        patterns=patterns,
        unless=node.child("unless", []).patterns(),
        does=node.child("does", "say").choice(DOES),
        answers=node.child("answers").text(60) if node.has("answers") else "",
        replies=node.optional_pool("replies"),
        vague=node.optional_pool("vague"),
        needs_figure=node.child("needs_figure", False).flag(),
        weight=int(node.child("weight", 1).number(0, 2)),
        trust=node.child("trust", 0).number(-50, 50),
        stage=node.child("stage").choice(STAGES) if node.has("stage") else "",
        negated=node.child("negated", "keep").text(60),
        rules_only=node.child("rules_only", False).flag(),
        question=node.child("question").flag() if node.has("question") else None,
    )


def _fact(name: str, node: _Node) -> Fact:
    node.keys(required="say", optional="again guarded trust_needed unlocked_by leads_to notes")
    needed = node.child("trust_needed", 0).by_difficulty(lambda n: n.number(0, 100))
    guarded = node.optional_pool("guarded")
    if guarded is None and any(needed.values()):
        raise node.fail("'trust_needed' needs lines under 'guarded'")
    return Fact(
        id=name,
        say=node.child("say").pool(),
        again=node.optional_pool("again"),
        guarded=guarded,
        trust_needed=needed,
        unlocked_by=node.child("unlocked_by", []).names(),
        leads_to=node.child("leads_to", {}).by_difficulty(lambda n: n.text(60)),
    )


def _need(name: str, node: _Node) -> Concern:
    return _concern(name, node, "need")


def _objection(name: str, node: _Node) -> Concern:
    return _concern(name, node, "objection")


def _concern(name: str, node: _Node, kind: str) -> Concern:
    node.keys(
        required="raises again resolved unmoved takes resolved_by",
        optional="eased_by preempted_by worse worsened_by blocks yes_settles figure_settles "
        "at_close trust when notes",
    )
    takes = node.child("takes").by_difficulty(lambda n: int(n.number(0, 5)))
    return Concern(
        id=name,
        kind=kind,
        raises=node.child("raises").pool(),
        again=node.child("again").pool(),
        resolved=node.child("resolved").pool(),
        unmoved=node.child("unmoved").pool(),
        worse=node.optional_pool("worse"),
        takes={d: takes.get(d, 0) for d in DIFFICULTIES},
        resolved_by=node.child("resolved_by").names(),
        eased_by=node.child("eased_by", []).names(),
        preempted_by=node.child("preempted_by", []).names(),
        worsened_by=node.child("worsened_by", []).names(),
        blocks=node.child("blocks", True).flag(),
        yes_settles=node.child("yes_settles", False).flag(),
        figure_settles=node.child("figure_settles", False).flag(),
        at_close=node.child("at_close", True).flag(),
        trust=node.child("trust", 5).number(0, 30),
        when=_trigger(node.child("when", {})),
    )


def _trigger(node: _Node) -> Trigger:
    node.keys(optional="upon after unless stages turns trust_below resolved")
    stages = node.child("stages", []).names()
    if stages - set(STAGES):
        raise node.child("stages").fail(f"must be of {', '.join(STAGES)}")
    return Trigger(
        upon=node.child("upon", []).names(),
        after=node.child("after", []).names(),
        unless=node.child("unless", []).names(),
        stages=stages,
        turns=int(node.child("turns", 0).number(0, 100)),
        trust_below=node.child("trust_below", 101).number(0, 101),
        resolved=node.child("resolved", []).names(),
    )
