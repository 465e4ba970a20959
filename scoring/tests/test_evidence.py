"""Quotes are believed only where they stand; nothing else is evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import verdicts as verdicts_module
from scoring.evidence import Absence, Quote, quote_locate
from scoring.ports import Answer, Judgement, Line, Transcript, Word
from scoring.tests.making import check_content, small_rubric, talk
from scoring.verdicts import verdicts_make

TEXT = "Hi Margaret, this call's recorded. Don't worry, it's $20 a month."
CALL = talk(("P", "Hello, who is calling?"), ("R", TEXT), ("P", "Okay."), ("R", "Bye."))


@pytest.mark.parametrize(
    "quote",
    [
        "this call's recorded",
        "THIS CALL'S RECORDED!",
        "  this   call's\nrecorded ",
        "Margaret this call’s recorded",
        "do not worry it's 20 dollars a month",
        TEXT,
    ],
)
def test_a_quote_is_found_whatever_its_case_and_points(quote):
    found = quote_locate(CALL, 2, quote)
    assert found is not None
    assert TEXT[found.first : found.last] == found.text
    assert found.turn == 2


@pytest.mark.parametrize(
    ("turn", "quote"),
    [
        (2, "this call is being recorded"),  # not these words
        (2, "this recorded"),  # a gap
        (2, "recorded this call"),  # another order
        (2, "call"),  # one word of many
        (2, ""),
        (2, "..."),
        (1, "who is calling"),  # the persona's
        (4, "this call's recorded"),  # another turn
        (9, "this call's recorded"),
        (None, "this call's recorded"),
        (2, "recorded. " * 200),
    ],
)
def test_what_is_not_there_is_not_found(turn, quote):
    assert quote_locate(CALL, turn, quote) is None


def test_a_whole_turn_of_one_word_is_a_quote():
    assert quote_locate(CALL, 4, "bye") is not None


@given(st.text(max_size=200), st.text(max_size=40))
def test_a_found_quote_is_a_slice_inside_its_line(text, quote):
    call = Transcript((Line(1, "user", text, 3.0, 9.0),), duration=9.0)
    found = quote_locate(call, 1, quote)
    if found is not None:
        assert text[found.first : found.last] == found.text
        assert 3.0 <= found.start <= found.end <= 9.0


def test_times_come_from_the_words():
    words = tuple(
        Word(text, 10 + i, 10.5 + i) for i, text in enumerate(["Don't", "call", "me,", "please."])
    )
    call = Transcript((Line(1, "user", "Don't call me, please.", 10, 14, words),), 20)
    found = quote_locate(call, 1, "call me")
    assert found is not None
    assert (found.start, found.end) == (11, 12.5)


def test_times_are_in_proportion_where_the_words_do_not_fit():
    words = (Word("other", 0, 1),)
    call = Transcript((Line(1, "user", "aaaa bbbb", 10, 19, words),), 20)
    found = quote_locate(call, 1, "aaaa bbbb")
    assert found is not None
    assert (found.start, found.end) == (10, 19)


# --- verdicts ---------------------------------------------------------------------------------

DO = check_content("does")
AVOID = check_content("avoids", kind="avoid", rule={"no": {"say": ["scam"]}})
SOMETIMES = check_content("sometimes", applies_when={"heard": ["who is calling"]})
NEVER = check_content("never", applies_when={"heard": ["too expensive"]})
RUBRIC = small_rubric(DO, AVOID, SOMETIMES, NEVER)


def verdict(key: str, judgement: Judgement):
    return next(v for v in verdicts_make(RUBRIC, CALL, {key: judgement}) if v.check_key == key)


def test_a_yes_with_its_quote_earns_the_points():
    found = verdict("does", Judgement(Answer.YES, "this call's recorded", 2, "It was said."))
    assert isinstance(found.evidence, Quote)
    assert (found.verified, found.points) == (True, 4)


@pytest.mark.parametrize("key", ["does", "avoids"])
def test_a_quote_that_was_never_said_makes_the_verdict_unscored(key):
    for answer in (Answer.YES, Answer.PARTIAL, Answer.NO):
        found = verdict(key, Judgement(answer, "this is a scam", 2))
        assert (found.verified, found.points, found.evidence) == (False, 0, None)
        assert found.reason == verdicts_module.QUOTE_NOT_FOUND


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("does", Answer.YES),
        ("does", Answer.PARTIAL),
        ("avoids", Answer.NO),
        ("avoids", Answer.PARTIAL),
    ],
)
def test_that_something_was_said_needs_a_quote(key, answer):
    found = verdict(key, Judgement(answer))
    assert (found.verified, found.reason) == (False, verdicts_module.QUOTE_MISSING)


@pytest.mark.parametrize(("key", "answer"), [("does", Answer.NO), ("avoids", Answer.YES)])
def test_that_something_was_never_said_shows_what_was_searched(key, answer):
    found = verdict(key, Judgement(answer))
    assert found.verified
    assert found.evidence == Absence(2, 4, 3.0, 11.0, 2)


def test_a_judge_cannot_wave_away_a_check_that_always_applies():
    found = verdict("does", Judgement(Answer.NOT_APPLICABLE))
    assert not found.verified
    assert verdict("sometimes", Judgement(Answer.NOT_APPLICABLE)).verified


def test_a_judge_cannot_score_a_check_that_does_not_apply():
    found = verdict("never", Judgement(Answer.NO))
    assert (found.answer, found.verified) == (Answer.NOT_APPLICABLE, True)


def test_a_check_without_a_judgement_is_unscored_not_failed():
    found = verdicts_make(RUBRIC, CALL, {})[0]
    assert (found.verified, found.reason) == (False, verdicts_module.UNJUDGED)


def test_what_the_persona_said_to_make_a_check_apply_is_kept():
    found = verdict("sometimes", Judgement(Answer.NO))
    assert found.trigger is not None
    assert (found.trigger.turn, found.trigger.text) == (1, "Hello, who is calling?")
