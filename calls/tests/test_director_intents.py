from pathlib import Path

import pytest

from calls.director.intents import MAX_UNITS, hear, hearing_from_json, units
from calls.tests.director_help import pack, understood, words_index

HELD_OUT = [
    tuple(part.strip() for part in line.split("|"))
    for line in (Path(__file__).parent / "director_heldout.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


def _rate(*, vectors: bool) -> float:
    right = [wanted in understood(text, vectors=vectors) for wanted, text in HELD_OUT]
    return sum(right) / len(right)


def test_held_out_utterances_are_no_examples_of_the_pack():
    examples = {e.lower() for i in pack().intents.values() for e in i.examples}
    assert len(HELD_OUT) >= 120
    assert not [text for _, text in HELD_OUT if text.lower() in examples]


def test_most_held_out_utterances_are_understood_by_words_alone():
    assert _rate(vectors=False) >= 0.80


@pytest.mark.vectors
def test_held_out_utterances_are_understood():
    assert _rate(vectors=True) >= 0.85


def test_hardly_anything_harmless_is_held_against_the_rep():
    harsh = {i.id for i in pack().intents.values() if i.trust <= -5}
    wrong = [
        text
        for wanted, text in HELD_OUT
        if wanted not in harsh and understood(text, vectors=False) & harsh
    ]
    assert len(wrong) <= 2, wrong


@pytest.mark.parametrize(
    ("text", "intents"),
    [
        ("Hi Carol, how are you today?", {"greeting", "how_are_you"}),
        (
            "hi this is Sam with Bright Path and is now a good time to talk",
            {"introduce_self", "ask_permission"},
        ),
        (
            "What doctors do you see and what prescriptions do you take?",
            {"ask_doctors", "ask_prescriptions"},
        ),
        (
            "The premium is $0 and your specialist copay is $30.",
            {"benefit_premium", "benefit_copays"},
        ),
        (
            "This call is recorded. Do you have Medicare Part A and B?",
            {"recording_disclosure", "ask_medicare_ab"},
        ),
    ],
)
def test_several_acts_in_one_utterance_are_all_heard(text, intents):
    assert intents <= understood(text, vectors=False)


@pytest.mark.parametrize(
    ("text", "meant", "not_meant"),
    [
        ("You have to decide today.", "pressure", "no_pressure"),
        ("You don't have to decide today.", "no_pressure", "pressure"),
        ("I'm calling from Medicare.", "government_claim", "not_government"),
        ("I'm not calling from Medicare.", "not_government", "government_claim"),
        ("I can't guarantee that.", "", "overpromise"),
        ("It is guaranteed.", "overpromise", ""),
        ("What's your Medicare number?", "ask_medicare_number", "no_sensitive_data"),
        ("I'll never ask for your bank account.", "no_sensitive_data", "ask_medicare_number"),
        ("Do you have dental coverage now?", "ask_dental", "benefit_dental"),
        ("It has $2,000 of dental coverage.", "benefit_dental", "ask_dental"),
    ],
)
def test_a_denial_is_not_the_thing_denied(text, meant, not_meant):
    heard = understood(text, vectors=False)
    assert not meant or meant in heard
    assert not not_meant or not_meant not in heard


def test_nonsense_is_no_act():
    for text in ("purple elephants dance on the moon", "asdf qwer zxcv", "she sells sea shells"):
        assert understood(text, vectors=False) == frozenset()


def test_units_are_bounded_and_keep_their_words():
    long = "and what is your plan and do you have a doctor " * 60
    assert 1 < len(units(long)) <= MAX_UNITS
    assert [u.words for u in units("See Dr. Patel? It's $3.50.")] == [
        "see dr patel",
        "its 3 50 dollars",
    ]
    assert units("...") == ()


def test_a_hearing_survives_json():
    hearing = hear(words_index(), "Hi Carol, which doctors do you see?", interrupting=True)
    assert hearing_from_json(hearing.as_json()) == hearing
