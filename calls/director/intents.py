"""What the rep did with an utterance: authored patterns first, then the nearest authored example.

An utterance may hold several acts ("Hi Carol, do you see any specialists?"), so it is cut into
units and each is judged. Likeness is the cosine of sentence vectors blended with the overlap of
rare words; without vectors the words alone decide, with a threshold of their own.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calls.director.pack import Intent, Pack
from calls.director.phrases import fitting, has_amount, is_negated, matches, plain

Vectors = NDArray[np.float32]

MAX_UNITS = 8  # texts looked at, and embedded, per utterance
MAX_ACTS = 6
RANKED_ROWS = 40  # nearest examples looked at
LONG_UNIT = 9  # words from which a sentence is also cut inside
ACCEPT = 0.50  # blended likeness
ACCEPT_WORDS = 0.45  # likeness by words alone
SECOND = 0.70  # a second act of one unit must be this certain
VECTOR_SHARE = 0.85
HARSH = 0.66  # likeness needed to hold something against the rep,
HARSH_TRUST = -5.0  # which is what costs this much trust
EXPECTED_BONUS = 0.05
SHAPE_BONUS = 0.05

_SENTENCES = re.compile(r"(?:[^.?!]|(?<=\d)\.(?=\d))+[.?!]*")
_TITLE = re.compile(r"\b(dr|mr|mrs|ms|st)\.", re.IGNORECASE)
_ASKING = (
    "what|whats|who|whos|how|hows|when|where|which|why|do|does|did|are|is|can|could|would|will|"
    "have|has|may|should|any|tell|hows|wheres|mind|am|was|were|isnt|arent|dont|shall|"
    "(?:i|id|ill|i would|i just) (?:\\w+ )?(?:need|like|want|love) "
    "(?:to know|to ask|your|the|to get)|"
    "i was wondering|please|let me get|give me|go ahead and|confirm|verify|describe|walk me"
)
SHORT_PART = 4  # words up to which a part of a sentence says little by itself
SHORT_QUESTION = 5  # words up to which a question needs no question's form: "and your pharmacy"
_LEAD_IN = "and|so|now|okay|ok|well|um|uh|alright|but|or|hi|hello|hey|great|thanks"
_QUESTION = re.compile(rf"^(?:(?:{_LEAD_IN}) )*(?:{_ASKING})(?: |$)")
_CUT = re.compile(
    r" (?=(?:(?:and|but|so|now|because|okay) )?"
    r"(?:what (?:do|is|are|was|would|kind|about)|whats|who (?:is|do|are)|"
    r"how (?:do|is|are|about|much|many|often|long)|do you|does your|did you|are you|"
    r"are there|is there|is that|is this|is it|is now|do i|am i|"
    r"can you|can i|could you|could i|would you|have you|may i|will you|tell me|let me|"
    r"this is|my name|im calling|i am calling|i understand|i wanted|we can|you can|youd|"
    r"the plan|this plan|your doctor|there is|theres|it (?:has|also|comes|covers)) )"
)
_STOP = frozenset(
    str.split(
        "a an the to of and or is are am be it its that this i im you your my me we our do does "
        "did in on for with so at as if"
    )
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of an utterance that is judged for itself: a sentence, `whole` if it was cut as well,
    or a `part` of one."""

    text: str
    words: str
    question: bool
    whole: bool = False
    part: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    intent: str
    score: float
    by: str  # "rule", "likeness", "words"
    unit: int
    question: bool
    amount: bool


@dataclass(frozen=True, slots=True)
class Hearing:
    """All that the decision needs to know about what was heard; replays need nothing else."""

    acts: tuple[Act, ...]
    words: int
    question: bool
    amount: bool
    nearest: float  # likeness of the best example, accepted or not
    interrupting: bool = False

    def intents(self) -> frozenset[str]:
        return frozenset(a.intent for a in self.acts)

    def as_json(self) -> dict[str, Any]:
        return {
            "acts": [[a.intent, a.score, a.by, a.unit, a.question, a.amount] for a in self.acts],
            "words": self.words,
            "question": self.question,
            "amount": self.amount,
            "nearest": self.nearest,
            "interrupting": self.interrupting,
        }


def hearing_from_json(data: Mapping[str, Any]) -> Hearing:
    """The hearing of a logged reply, to replay it."""
    return Hearing(
        acts=tuple(Act(*a) for a in data["acts"]),
        words=data["words"],
        question=data["question"],
        amount=data["amount"],
        nearest=data["nearest"],
        interrupting=data["interrupting"],
    )


class Index:
    """A pack made ready for recognition. Built once, then only read."""

    def __init__(self, pack: Pack, vectors: Vectors | None = None) -> None:
        self.pack = pack
        rows = example_rows(pack)
        if vectors is not None and len(vectors) != len(rows):
            raise ValueError("one vector per example is needed")
        self.rows = rows
        self.vectors = vectors
        self._words(rows)

    def _words(self, rows: Sequence[tuple[str, str]]) -> None:
        bags = [Counter(_stems(plain(text))) for _, text in rows]
        seen = Counter(word for bag in bags for word in bag)
        self._rarity = {w: math.log(1 + len(rows) / n) for w, n in seen.items()}
        self._unseen = math.log(1 + len(rows))
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for row, bag in enumerate(bags):
            norm = math.sqrt(sum(self._rarity[w] ** 2 for w in bag)) or 1.0
            for word in bag:
                self._postings[word].append((row, self._rarity[word] / norm))

    def word_likeness(self, words: str) -> Vectors:
        """Cosine over rare words between the words and every example."""
        scores = np.zeros(len(self.rows), np.float32)
        stems = set(_stems(words))
        norm = math.sqrt(sum(self._rarity.get(w, self._unseen) ** 2 for w in stems)) or 1.0
        for word in stems:
            weight = self._rarity.get(word, 0.0) / norm
            for row, example_weight in self._postings.get(word, ()):
                scores[row] += weight * example_weight
        return scores


def example_rows(pack: Pack) -> tuple[tuple[str, str], ...]:
    """(intent, example) in the order of the vectors."""
    return tuple((i.id, e) for i in pack.intents.values() if not i.rules_only for e in i.examples)


def units(text: str) -> tuple[Unit, ...]:
    """The pieces of an utterance, in order; these are the texts to embed."""
    pieces: list[Unit] = []
    text = _TITLE.sub(r"\1", text)
    for sentence in _SENTENCES.findall(text):
        words = plain(sentence)
        if not words:
            continue
        asks = sentence.rstrip().endswith("?")
        cuts = _cut(words)
        pieces.append(Unit(sentence.strip(), words, asks or _is_question(words), len(cuts) > 1))
        if len(cuts) > 1:
            pieces.extend(Unit(c, c, _is_question(c), part=True) for c in cuts)
        if len(pieces) >= MAX_UNITS:
            break
    return tuple(pieces[:MAX_UNITS])


def hear(
    index: Index,
    text: str,
    *,
    vectors: Vectors | None = None,
    expected: Collection[str] = (),
    interrupting: bool = False,
) -> Hearing:
    """The acts in an utterance. `vectors` are those of `units(text)`; `expected` are acts that
    would answer what the persona just asked."""
    pieces = units(text)
    acts: list[Act] = []
    nearest = 0.0
    for number, unit in enumerate(pieces):
        vector = vectors[number] if vectors is not None else None
        judged, best = _judge(index, unit, number, vector, frozenset(expected))
        acts.extend(judged)
        nearest = max(nearest, best)
    words = plain(text)
    return Hearing(
        acts=_settled(pieces, acts),
        words=len(words.split()),
        question=any(u.question for u in pieces),
        amount=has_amount(words),
        nearest=round(nearest, 3),
        interrupting=interrupting,
    )


def _judge(
    index: Index, unit: Unit, number: int, vector: Vectors | None, expected: frozenset[str]
) -> tuple[list[Act], float]:
    """The acts of one unit, and how near the nearest example is."""
    intents = index.pack.intents
    certain = [(name, 1.0, "rule") for name in _by_rule(intents, unit)]
    by = "words" if vector is None or index.vectors is None else "likeness"
    ranked = _ranked(index, unit, vector, expected)
    bar = ACCEPT_WORDS if by == "words" else ACCEPT
    if unit.part and len(unit.words.split()) <= SHORT_PART:
        bar = SECOND
    elif certain:
        bar = SECOND if len(unit.words.split()) < LONG_UNIT else (SECOND + bar) / 2
    for near in ranked[:2]:
        harsh = HARSH if intents[near.intent].trust <= HARSH_TRUST else 0.0
        if near.score >= max(bar, harsh) and not matches(intents[near.intent].unless, unit.words):
            name = _in_the_negative(intents[near.intent], unit, near.example)
            certain += [(name, near.score, by)] if name else []
            bar = SECOND + 0.1
    amount = has_amount(unit.words)
    acts = [Act(n, round(s, 3), b, number, unit.question, amount) for n, s, b in certain]
    return acts, ranked[0].score if ranked else 0.0


def _by_rule(intents: Mapping[str, Intent], unit: Unit) -> list[str]:
    """Intents with a pattern that fits. One made for questions must not catch a statement about
    the same thing: "what about dental" asks, "it has two thousand for dental" does not."""
    names = []
    asks = unit.question or (not unit.part and len(unit.words.split()) <= SHORT_QUESTION)
    for intent in intents.values():
        if intent.question and not asks:
            continue
        likes = fitting(intent.patterns, unit.words)
        if likes and not matches(intent.unless, unit.words):
            name = _in_the_negative(intent, unit, " ".join(likes))
            names += [name] if name else []
    return names


def _in_the_negative(intent: Intent, unit: Unit, like: str) -> str:
    """The intent, or what it becomes when the unit denies what the pattern or example says."""
    if intent.negated == "keep" or not is_negated(unit.words) or is_negated(plain(like)):
        return intent.id
    return "" if intent.negated == "drop" else intent.negated


@dataclass(frozen=True, slots=True)
class _Near:
    intent: str
    score: float
    example: str


def _ranked(
    index: Index, unit: Unit, vector: Vectors | None, expected: frozenset[str]
) -> list[_Near]:
    """Intents by likeness, best first: the best example counts most, the second steadies it."""
    scores = index.word_likeness(unit.words)
    if vector is not None and index.vectors is not None:
        scores = VECTOR_SHARE * (index.vectors @ vector) + (1 - VECTOR_SHARE) * scores
    rows: dict[str, list[int]] = defaultdict(list)
    for row in np.argsort(-scores, kind="stable")[:RANKED_ROWS]:
        rows[index.rows[row][0]].append(int(row))
    ranked = []
    for name, best in rows.items():
        second = best[min(1, len(best) - 1)]
        score = 0.85 * float(scores[best[0]]) + 0.15 * float(scores[second])
        if name in expected:
            score += EXPECTED_BONUS
        shape = index.pack.intents[name].question
        if shape is not None:
            score += SHAPE_BONUS if shape == unit.question else -SHAPE_BONUS
        ranked.append(_Near(name, score, index.rows[best[0]][1]))
    return sorted(ranked, key=lambda near: (-near.score, near.intent))


def _settled(pieces: Sequence[Unit], acts: Sequence[Act]) -> tuple[Act, ...]:
    """One act per intent, in order of speech. What a whole sentence resembles counts only where
    none of its parts is understood."""
    understood = {a.unit for a in acts}
    best: dict[str, Act] = {}
    for act in acts:
        if (
            act.by != "rule"
            and pieces[act.unit].whole
            and _part_understood(pieces, act.unit, understood)
        ):
            continue
        known = best.get(act.intent)
        if known is None or act.score > known.score:
            best[act.intent] = act
    strongest = sorted(best.values(), key=lambda a: -a.score)[:MAX_ACTS]
    return tuple(sorted(strongest, key=lambda a: (a.unit, -a.score)))


def _part_understood(pieces: Sequence[Unit], whole: int, understood: set[int]) -> bool:
    for number in range(whole + 1, len(pieces)):
        if not pieces[number].part:
            return False  # the next sentence began
        if number in understood:
            return True
    return False


def _cut(words: str) -> list[str]:
    if len(words.split()) < LONG_UNIT:
        return [words]
    parts: list[str] = []
    for part in _CUT.split(words):
        if parts and (len(part.split()) < 3 or len(parts[-1].split()) < 2):
            parts[-1] = f"{parts[-1]} {part}"
        else:
            parts.append(part)
    return parts


def _is_question(words: str) -> bool:
    return bool(_QUESTION.match(words))


def _stems(words: str) -> list[str]:
    return [_stem(w) for w in words.split() if w not in _STOP]


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
