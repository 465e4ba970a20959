"""The shipped rubric against its own examples, and against the drill whose persona it hears."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scoring.judges.embedded import EmbeddedJudge
from scoring.rubric import Check
from scoring.tests.making import embed, shipped_rubric, talk
from scoring.verdicts import applicable

RUBRIC = shipped_rubric()
CHECKS = [check for check in RUBRIC.checks if not check.is_measure]
# Read as data: scoring lies below calls and imports nothing of it.
PACK = Path(__file__).parents[2] / "calls" / "drills" / "ma-full-sale.yaml"
BEFORE = (
    ("P", "Hello?"),
    ("R", "There is a plan from Meadowlark that I like."),
    ("P", "I'm worried about that. Let's do it, sign me up."),
)


async def answer_to(check: Check, text: str) -> str:
    call = talk(*BEFORE, ("R", text), ("P", "Okay then, thank you."))
    return (await EmbeddedJudge(embed).judge(call, RUBRIC))[check.key].answer.value


@pytest.mark.vectors
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.key)
async def test_a_check_takes_its_examples_and_leaves_its_counter_examples(check):
    met = {"yes", "partial"} if check.kind == "do" else {"no", "partial"}
    for text in check.examples:
        assert await answer_to(check, text) in met, text
    unmet = "no" if check.kind == "do" else "yes"
    for text in check.counter_examples:
        assert await answer_to(check, text) == unmet, text


def objection_lines() -> Iterator[tuple[str, str]]:
    for name, objection in yaml.safe_load(PACK.read_text())["objections"].items():
        for kind in ("raises", "again"):
            said = objection[kind]
            groups = said.values() if isinstance(said, dict) else [said]
            for text in (line for group in groups for line in group):
                yield name, text


def test_every_objection_of_the_drills_persona_is_heard():
    unheard = [
        (name, text)
        for name, text in objection_lines()
        if "acknowledges" not in applicable(RUBRIC, talk(("R", "Hello."), ("P", text)))
    ]
    assert unheard == []
    assert len(list(objection_lines())) >= 20


@pytest.mark.parametrize(
    "text",
    ["Yes, both.", "I'm on the Northfield plan.", "Doctor Patel, and Doctor Nguyen.", "Okay."],
)
def test_plain_answers_of_the_persona_are_no_objections(text):
    assert "acknowledges" not in applicable(RUBRIC, talk(("R", "Hello."), ("P", text)))
