"""The words that a rep reads."""

from scoring.feedback import MOST_ADVICE, clock, feedback_make
from scoring.ports import Answer, Judgement
from scoring.rubric import score
from scoring.tests.making import check_content, small_rubric, talk
from scoring.verdicts import verdicts_make

CALL = talk(
    ("P", "Hello?"),
    ("R", "Hello, I am Sam."),
    ("P", "That is too expensive."),
    ("R", "The government sent me."),
    seconds=30,
)
RUBRIC = small_rubric(
    check_content("greets", points=2, title="Greeting"),
    check_content("asks", points=5, title="Question", advice="Ask first."),
    check_content(
        "answers",
        points=3,
        title="Concern",
        advice="Answer it.",
        applies_when={"heard": ["too expensive"]},
    ),
    check_content(
        "honest",
        points=1,
        title="Honesty",
        kind="avoid",
        hard_fail=30,
        advice="Say whom you work for.",
        rule={"no": {"say": ["government sent"]}},
    ),
)
JUDGED = {
    "greets": Judgement(Answer.YES, "Hello, I am Sam.", 2),
    "asks": Judgement(Answer.NO),
    "answers": Judgement(Answer.NO),
    "honest": Judgement(Answer.NO, "The government sent me.", 4),
}


def told(judged=JUDGED, rubric=RUBRIC):
    verdicts = verdicts_make(rubric, CALL, judged)
    return feedback_make(rubric, verdicts, score(rubric, [v.standing for v in verdicts]))


def test_the_summary_says_score_cap_and_strength():
    assert told().summary == (
        "Small rubric: 18 of 100, 2 of 11 points. The score is capped because of: Honesty. "
        "Strongest: Section one (2 of 11 points)."
    )


def test_praise_comes_first_then_hard_fails_then_the_dearest_loss():
    first, *rest = told().text.split("\n\n")
    assert first == "Well done: Greeting. At 0:31 you said “Hello, I am Sam”."
    assert rest == [
        "Honesty (−1). At 1:33 you said “The government sent me”. Say whom you work for.",
        "Question (−5). It was not said in this call. Ask first.",
        "Concern (−3). At 1:02 the customer said “That is too expensive”. Answer it.",
    ]


def test_a_call_with_nothing_to_praise_is_not_praised():
    judged = JUDGED | {"greets": Judgement(Answer.NO)}
    assert not told(judged).text.startswith("Well done")


def test_partial_answers_say_what_there_was():
    judged = JUDGED | {"asks": Judgement(Answer.PARTIAL, "Hello, I am Sam.", 2)}
    assert "Question (−2.5). At 0:31 you said “Hello, I am Sam”. That was only a part of it. " in (
        told(judged).text
    )


def test_unverified_checks_are_admitted():
    rubric = small_rubric(*(check_content(f"c{i}") for i in range(5)))
    judged = {f"c{i}": Judgement(Answer.NO) for i in range(4)}
    judged["c4"] = Judgement(Answer.YES, "never said this", 2)
    assert told(judged, rubric).text.endswith("1 check could not be verified and did not count.")


def test_advice_is_bounded():
    rubric = small_rubric(*(check_content(f"c{i}") for i in range(12)))
    judged = {f"c{i}": Judgement(Answer.NO) for i in range(12)}
    assert len(told(judged, rubric).text.split("\n\n")) == MOST_ADVICE


def test_the_same_verdicts_give_the_same_words():
    assert told() == told()


def test_times_are_written_as_people_do():
    assert [clock(s) for s in (0, 59.9, 65.2, 3661)] == ["0:00", "0:59", "1:05", "61:01"]
