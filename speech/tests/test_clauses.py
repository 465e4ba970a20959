import pytest

from speech.clauses import LONGEST_CHARACTERS, clauses
from speech.reading import readable


def texts(text: str) -> list[str]:
    return [clause.text for clause in clauses(text)]


def test_the_first_piece_is_the_first_clause():
    line = "Look, Alex, I have about two minutes, so tell me what this is about."
    assert texts(line)[0] == "Look, Alex,"


def test_the_pieces_are_the_whole_text():
    line = "No. We looked at four of these last year; none lasted, frankly. Did Dr. Smith call?"
    assert " ".join(texts(line)) == line


@pytest.mark.parametrize(
    "line",
    [
        "Dr. Smith knows.",
        "I met J. Doe there.",
        "Come at 3 p.m. today.",
        "No. 5 it is.",
        "On Jan. 5th then.",
    ],
)
def test_a_point_that_belongs_to_a_word_cuts_nothing(line):
    assert texts(line) == [line]


def test_a_full_no_is_a_sentence():
    assert texts("No. We are fine with what we have.")[0] == "No."


def test_a_question_pauses_longer_than_a_comma():
    comma, *_ = clauses("Honestly, I have only about two minutes for you.")
    question, last = clauses("Who is this? I have only about two minutes for you.")
    assert comma.pause < question.pause
    assert last.pause == pytest.approx(0.10)


def test_no_piece_is_long_even_without_marks():
    pieces = texts("word " * 190)
    assert max(map(len, pieces)) <= LONGEST_CHARACTERS
    assert " ".join(pieces).split() == ["word"] * 190


def test_a_word_without_end_is_cut_too():
    assert max(map(len, texts("a" * 1000))) <= LONGEST_CHARACTERS


@pytest.mark.parametrize("text", ["", "   ", "...", "?!", "— —"])
def test_nothing_to_say_is_no_piece(text):
    assert clauses(text) == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("It's $20/mo.", "It's $20 per month"),
        ("I have a 401(k).", "I have a four oh one k."),
        ("Call 305-555-0100.", "Call three zero five, five five five, zero one zero zero."),
        ("Mail dana@example.com now", "Mail dana at example dot com now"),
        ("8am-5pm, Mon-Fri.", "8 A.M. to 5 P.M., Monday to Friday."),
        ("a $0 copay", "a 0 dollar copay"),
        ("$35-40 a seat", "35 to 40 dollars a seat"),
        ("about 20k e.g. now", "about 20 thousand for example, now"),
        ("Part C and Part B", "Part [C](/sˈi/) and Part B"),
        ("It costs $1,250.50 in 2026.", "It costs $1,250.50 in 2026."),
        ("Either/or, 24/7, 1/2.", "Either/or, 24/7, 1/2."),
    ],
)
def test_what_the_voices_misread_is_spelled_out(written, said):
    assert readable(written) == said
    assert readable(said) == said
