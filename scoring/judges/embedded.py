"""The judge that needs nothing: rules over the transcript, MiniLM as one soft signal.

Deterministic: the same transcript, rubric and model give the same judgements. Each check says in
the rubric what its rule is (`scoring/rules.py`).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scoring.ports import Answer, Embed, Judgement, Transcript
from scoring.rubric import Check, Rubric
from scoring.rules import Floor, Said, rule_find
from scoring.verdicts import applicable

BATCH = 128  # texts in one call of the embedder
MAX_CHARACTERS = 1000  # of one text given to the embedder
MAX_QUOTE_WORDS = 60
LEAST_WORDS = 4  # shorter sentences are like everything and mean nothing
COUNTER_MARGIN = 0.02  # by which an example must be nearer than any counter example
DIGITS = 3  # cosines are rounded: the last bits differ from machine to machine

Vectors = NDArray[np.float32]


class EmbeddedJudge:
    name: ClassVar[str] = "embedded"
    version: ClassVar[str] = "1"  # of rules.py and phrases.py; raise it when answers may change

    def __init__(
        self,
        embed: Embed,
        *,
        embed_examples: Embed | None = None,
        model: str = "all-MiniLM-L6-v2-int8",
    ) -> None:
        """`embed_examples` gets all examples of a rubric at once and may keep their vectors."""
        self._embed = embed
        self._embed_examples = embed_examples or self._embed_in_batches
        self._examples: tuple[str, dict[str, Vectors]] = ("", {})  # of the rubric used last
        self.model = model

    async def judge(self, transcript: Transcript, rubric: Rubric) -> Mapping[str, Judgement]:
        floor, whole = Floor(transcript), Floor(transcript, whole=True)
        asked = applicable(rubric, transcript)
        checks = [check for check in rubric.checks if check.key in asked]
        vectors = await self._vectors(rubric, checks, whole)
        return {
            check.key: check_judge(
                check,
                whole if check.kind == "avoid" else floor,
                Likenesses(check, rubric, vectors),
            )
            for check in checks
        }

    async def _vectors(
        self, rubric: Rubric, checks: Sequence[Check], floor: Floor
    ) -> Mapping[str, Vectors]:
        """Vectors of all examples (kept for the next call) and of all that the rep said."""
        if not any(rule.uses("similar") for check in checks for rule in check.rules):
            return {}
        if self._examples[0] != rubric.digest:
            texts = examples(rubric)
            rows = await self._embed_examples(texts)
            self._examples = rubric.digest, dict(zip(texts, rows, strict=True))
        said = (s for s in floor.rep if len(s.sentence.tokens) >= LEAST_WORDS)
        spoken = list(dict.fromkeys(_clipped(s.quote) for s in said))
        rows = await self._embed_in_batches(spoken)
        return {**dict(zip(spoken, rows, strict=True)), **self._examples[1]}

    async def _embed_in_batches(self, texts: Sequence[str]) -> list[Vectors]:
        rows: list[Vectors] = []
        for begin in range(0, len(texts), BATCH):
            rows += list(await self._embed(texts[begin : begin + BATCH]))
        return rows


class Likenesses:
    """How near a sentence comes to one check's examples, where no other example is nearer.

    A sentence model puts everything about Medicare close together; which check's examples are the
    nearest says far more than how near they are.
    """

    def __init__(self, check: Check, rubric: Rubric, vectors: Mapping[str, Vectors]) -> None:
        self._vectors = vectors
        self._examples = _stacked(check.examples, vectors)
        other = [text for c in rubric.checks if c.key != check.key for text in c.examples]
        self._counter = _stacked(
            [*check.counter_examples, *other, *rubric.neutral_examples], vectors
        )

    def __call__(self, said: Said) -> float:
        vector = self._vectors.get(_clipped(said.quote))
        if vector is None or self._examples is None:
            return 0.0
        near = float((self._examples @ vector).max())
        if self._counter is not None:
            against = float((self._counter @ vector).max())
            near = 0.0 if near < against + COUNTER_MARGIN else near
        return round(near, DIGITS)


def check_judge(check: Check, floor: Floor, likeness: Likenesses) -> Judgement:
    """The answer that the check's own rules give."""
    present = Answer.NO if check.kind == "avoid" else Answer.YES
    absent = Answer.YES if check.kind == "avoid" else Answer.NO
    for rule, answer in ((check.rule, present), (check.partial_rule, Answer.PARTIAL)):
        found = rule_find(rule, floor, likeness) if rule is not None else None
        if found is not None and found.holds and found.shown:
            said = found.shown[0]
            return Judgement(answer, _short(said.quote), said.line.number, "Said in these words.")
    return Judgement(absent, reason="Nothing of the kind was said by the rep.")


def measured(transcript: Transcript, rubric: Rubric) -> dict[str, Judgement]:
    """The answers to the checks that are counted, whoever the judge is."""
    floor = Floor(transcript, whole=True)
    asked = applicable(rubric, transcript)
    return {
        check.key: check_judge(check, floor, Likenesses(check, rubric, {}))
        for check in rubric.checks
        if check.is_measure and check.key in asked
    }


def examples(rubric: Rubric) -> list[str]:
    """All sentences of a rubric that are compared with what was said."""
    own = (t for check in rubric.checks for t in (*check.examples, *check.counter_examples))
    return list(dict.fromkeys([*own, *rubric.neutral_examples]))


def _stacked(texts: Sequence[str], vectors: Mapping[str, Vectors]) -> Vectors | None:
    rows = [vectors[text] for text in texts if text in vectors]
    return np.stack(rows) if rows else None


def _clipped(text: str) -> str:
    return text[:MAX_CHARACTERS]


def _short(quote: str) -> str:
    words = quote.split(" ")
    return quote if len(words) <= MAX_QUOTE_WORDS else " ".join(words[:MAX_QUOTE_WORDS])
