"""The arithmetic of a score, and what a rubric may not be."""

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.catalogue import rubric_read, shipped
from scoring.ports import Answer
from scoring.rubric import (
    LEAST_COVERAGE,
    Rubric,
    RubricError,
    ScoringIncomplete,
    Standing,
    rubric_parse,
    score,
)
from scoring.tests.making import check_content, rubric_content, small_rubric

RANK = {Answer.NO: 0, Answer.PARTIAL: 1, Answer.YES: 2}
ANSWERS = st.sampled_from(list(Answer))
SCORED = st.sampled_from([Answer.NO, Answer.PARTIAL, Answer.YES])


@st.composite
def rubrics(draw: st.DrawFn) -> Rubric:
    checks = [
        check_content(
            f"c{index}",
            points=draw(st.integers(1, 20)),
            partial=draw(st.integers(0, 100)),
            **draw(st.sampled_from([{}, {}, {"hard_fail": 30}, {"hard_fail": 0}])),
        )
        for index in range(draw(st.integers(1, 8)))
    ]
    return small_rubric(*checks)


def standings(rubric: Rubric, answers: list[Answer]) -> list[Standing]:
    return [Standing(c.key, a) for c, a in zip(rubric.checks, answers, strict=False)]


@st.composite
def scored(draw: st.DrawFn, answers: st.SearchStrategy[Answer] = ANSWERS) -> Any:
    rubric = draw(rubrics())
    given_ = [Standing(check.key, draw(answers)) for check in rubric.checks]
    assume(any(s.answer != Answer.NOT_APPLICABLE for s in given_))
    return rubric, given_


@given(scored())
def test_a_score_stays_between_0_and_100(case):
    rubric, given_ = case
    total = score(rubric, given_)
    assert 0 <= total.overall <= 100
    assert 0 <= total.earned <= total.possible


@given(scored(SCORED), st.data())
def test_a_better_answer_never_lowers_the_score(case, data):
    rubric, given_ = case
    index = data.draw(st.integers(0, len(given_) - 1))
    better = data.draw(SCORED.filter(lambda a: RANK[a] >= RANK[given_[index].answer]))
    improved = [*given_]
    improved[index] = Standing(given_[index].check_key, better)
    assert score(rubric, improved).overall >= score(rubric, given_).overall


@given(scored())
def test_what_does_not_apply_changes_nothing(case):
    rubric, given_ = case
    without = [s for s in given_ if s.answer != Answer.NOT_APPLICABLE]
    assert score(rubric, without) == score(rubric, given_)


@given(scored(), st.randoms())
def test_the_order_of_verdicts_does_not_matter(case, random):
    rubric, given_ = case
    shuffled = [*given_]
    random.shuffle(shuffled)
    assert score(rubric, shuffled) == score(rubric, given_)


@given(scored(SCORED))
def test_a_hard_fail_caps_the_score_and_is_named(case):
    rubric, given_ = case
    total = score(rubric, given_)
    failed = [
        check
        for check, standing in zip(rubric.checks, given_, strict=True)
        if check.hard_fail is not None and standing.answer == Answer.NO
    ]
    assert list(total.hard_fails) == [check.key for check in failed]
    for check in failed:
        assert check.hard_fail is not None
        assert total.overall <= check.hard_fail


@given(scored(SCORED))
def test_sections_add_up_to_the_whole(case):
    rubric, given_ = case
    total = score(rubric, given_)
    assert sum(section.possible for section in total.sections) == total.possible
    assert sum(section.earned for section in total.sections) == pytest.approx(total.earned)


def test_all_yes_is_100_and_all_no_is_0():
    rubric = small_rubric(check_content("a", points=3), check_content("b", points=7))
    assert score(rubric, standings(rubric, [Answer.YES] * 2)).overall == 100
    assert score(rubric, standings(rubric, [Answer.NO] * 2)).overall == 0


def test_points_weigh_and_halves_round_up():
    rubric = small_rubric(check_content("a", points=1), check_content("b", points=7))
    assert score(rubric, standings(rubric, [Answer.YES, Answer.NO])).overall == 13  # 12.5
    assert score(rubric, standings(rubric, [Answer.PARTIAL, Answer.NO])).overall == 6  # 6.25


def test_an_unverified_answer_neither_earns_nor_costs():
    rubric = small_rubric(check_content("a", points=9), check_content("b", points=1))
    sure = Standing("a", Answer.YES)
    total = score(rubric, [sure, Standing("b", Answer.NO, verified=False)])
    assert (total.overall, total.coverage) == (100, 0.9)


def test_too_few_verified_answers_make_no_score():
    rubric = small_rubric(check_content("a", points=6), check_content("b", points=4))
    assert LEAST_COVERAGE > 0.6
    with pytest.raises(ScoringIncomplete):
        score(rubric, [Standing("a", Answer.YES), Standing("b", Answer.YES, verified=False)])


def test_a_call_in_which_nothing_applied_has_no_score():
    rubric = small_rubric()
    with pytest.raises(ScoringIncomplete):
        score(rubric, [Standing("greets", Answer.NOT_APPLICABLE)])


# --- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"points": 0}, "points: is a whole number, 1 to 100"),
        ({"points": True}, "points: is a whole number"),
        ({"partial": 101}, "partial: is a whole number, 0 to 100"),
        ({"kind": "maybe"}, "kind: is 'do' or 'avoid'"),
        ({"question": " "}, "question: is a text of 1 to 1000 characters"),
        ({"rule": {"no": {"say": ["x"]}}}, "rule: has 'yes'"),
        ({"kind": "avoid", "rule": {"yes": {"say": ["x"]}}}, "rule: has 'no'"),
        ({"rule": {"yes": {"shout": ["x"]}}}, "does not know shout"),
        ({"rule": {"yes": {"say": ["x"], "heard": ["y"]}}}, "needs exactly one of"),
        ({"rule": {"yes": {"say": ["?x"]}}}, "needs a word that must be there"),
        ({"rule": {"yes": {"say": ["(a+)+"]}}}, "cannot read '(a+)+'"),
        ({"rule": {"yes": {"say": ["a ... b ... c ... d ... e"]}}}, "more than 3 gaps"),
        ({"rule": {"yes": {"say": ["@nobody"]}}}, "no list of phrases has the name 'nobody'"),
        ({"rule": {"yes": {"say": ["x"], "within": -1}}}, "within: is a number"),
        ({"rule": {"yes": {"say": ["x"], "times": 1.5}}}, "times: is a whole number"),
        ({"rule": {"yes": {"heard": ["x"]}}}, "only the rep's words earn points"),
        ({"rule": {"yes": {"all": [{"say": ["x"]}, {"heard": ["x"]}]}}}, "only the rep's words"),
        ({"applies_when": {"similar": 0.5}}, "cannot use similar"),
        ({"hard_fail": "all"}, "hard_fail: is a whole number"),
        ({"colour": "red"}, "does not know colour"),
        ({"key": "Greets"}, "key: has lower-case letters"),
    ],
)
def test_a_faulty_check_is_refused_with_its_place(change, complaint):
    with pytest.raises(RubricError) as refusal:
        small_rubric(check_content() | change)
    assert any(
        problem.startswith("sections[0].checks[0]") and complaint in problem
        for problem in refusal.value.problems
    ), refusal.value.problems


def test_every_problem_is_told_at_once():
    with pytest.raises(RubricError) as refusal:
        small_rubric(check_content(points=0), check_content("b", partial=-1), title="")
    assert len(refusal.value.problems) == 3


def test_a_key_is_used_once():
    with pytest.raises(RubricError, match="'greets' is used more than once"):
        small_rubric(check_content(), check_content())


def test_rules_are_not_nested_without_end():
    rule: dict[str, Any] = {"say": ["x"]}
    for _ in range(10):
        rule = {"any": [rule]}
    with pytest.raises(RubricError, match="nested more than"):
        small_rubric(check_content(rule={"yes": rule}))


@pytest.mark.parametrize("content", [None, [], "rubric", 7, {}])
def test_what_is_no_rubric_at_all_is_refused(content):
    with pytest.raises(RubricError):
        rubric_parse(content)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: &x [1]\nb: *x", "aliases are not allowed"),
        ("a: 1\na: 2", "a comes twice"),
        ("a: !!python/object/apply:os.system [ls]", "not readable"),
        ("- a", "is a mapping"),
        ("a: [", "not readable"),
        ("a: " + "x" * 300_000, "larger than"),
    ],
)
def test_yaml_that_is_odd_is_refused(text, complaint):
    with pytest.raises(RubricError, match=complaint):
        rubric_read(text)


def test_yes_and_no_are_words():
    assert rubric_read("yes: no\nno: on\nopen: true") == {"yes": "no", "no": "on", "open": True}


def test_the_digest_follows_the_content_not_its_order():
    content = rubric_content()
    other = copy.deepcopy(content)
    other["sections"][0]["checks"][0]["points"] = 5
    assert rubric_parse(dict(reversed(content.items()))).digest == rubric_parse(content).digest
    assert rubric_parse(other).digest != rubric_parse(content).digest


@pytest.mark.parametrize("content", list(shipped()), ids=lambda content: content["key"])
def test_each_shipped_rubric_is_sound_and_well_exampled(content):
    rubric = rubric_parse(content)
    for check in rubric.checks:
        assert check.question.endswith("?"), check.key
        if not check.is_measure:
            assert len(check.examples) >= 6, check.key
            assert check.counter_examples, check.key
