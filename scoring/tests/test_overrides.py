"""A manager's word over the judge's: what it changes, what it leaves, and who may not."""

import pytest
from django.db import DatabaseError, transaction
from hypothesis import given
from hypothesis import strategies as st

from scoring import models, selectors, services
from scoring.overrides import (
    LONGEST_REASON,
    CheckNotFound,
    ScorecardChanged,
    Seen,
    TooLittleScored,
    override_withdraw,
    scorecard_validate,
    verdict_override,
)
from scoring.overriding import overridden
from scoring.ports import Answer
from scoring.retention import scorecards_forget
from scoring.rubric import score
from scoring.tests.test_rubric import SCORED, rubrics
from scoring.tests.test_scorecards import assessment_make, scored, tenant_make
from scoring.verdicts import Verdict
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope

ACTOR = "user:somebody"


@st.composite
def judged(draw: st.DrawFn):
    """A rubric, what the judge said of each check, and what managers said of some."""
    rubric = draw(rubrics())
    verdicts = tuple(
        Verdict(check.key, draw(SCORED), 0.0, check.points, None, None, draw(st.booleans()), "")
        for check in rubric.checks
    )
    keys = st.sampled_from([check.key for check in rubric.checks])
    return rubric, verdicts, draw(st.dictionaries(keys, SCORED))


@given(judged())
def test_an_override_is_scored_as_if_the_judge_had_said_so(case):
    rubric, verdicts, answers = case
    for check in rubric.checks:  # with all of them there is always something to score
        answers.setdefault(check.key, Answer.PARTIAL)
    result = overridden(rubric, verdicts, answers)
    assert result.score == score(rubric, [verdict.standing for verdict in result.verdicts])
    assert all(v.verified and v.answer == answers[v.check_key] for v in result.verdicts)


@pytest.fixture
def tenant(db):
    return tenant_make()


@pytest.fixture
def stranger(db):
    return tenant_make()


def override(tenant_id, call, answer=Answer.YES, *, seen=None, check_key="thanks", **more):
    return verdict_override(
        tenant_id=tenant_id,
        call_id=call.pk,
        check_key=check_key,
        answer=answer,
        seen=seen or Seen(1, 0),
        actor=ACTOR,
        **{"reason": "I heard it."} | more,
    )


def told(tenant_id, call) -> dict:
    return selectors.score_for_api(tenant_id=tenant_id, call_id=call.pk)


def test_an_override_moves_the_score_and_keeps_the_judges_word(tenant):
    with tenant_scope(tenant):
        call, card = scored(tenant)
        before = told(tenant, call)
        override(tenant, call)
        after = told(tenant, call)
        card.refresh_from_db()
    assert (before["overallScore"], before["valid"]) == (50, True)
    assert "aiScore" not in before
    assert (after["overallScore"], after["aiScore"], card.overall) == (100, 50, 50)
    assert after["overriddenAt"].endswith("Z")
    assert after["summary"].startswith("Small rubric: 100 of 100, 8 of 8 points.")
    assert after["sections"][0]["earned"] == 8
    greets, thanks = after["criteria"]
    assert "override" not in greets
    assert (thanks["answer"], thanks["points"], thanks["verified"]) == ("yes", 4.0, True)
    said = thanks["override"]
    assert (said["aiAnswer"], said["aiPoints"], said["aiVerified"]) == ("no", 0.0, True)
    assert said["reason"] == "I heard it."
    assert thanks["evidence"]["kind"] == "absence"


def test_it_can_be_changed_again_and_taken_back_and_all_of_it_is_kept(tenant):
    with tenant_scope(tenant):
        call, card = scored(tenant)
        override(tenant, call)
        override(tenant, call, Answer.PARTIAL, seen=Seen(1, 1))
        assert told(tenant, call)["overallScore"] == 75
        override_withdraw(
            tenant_id=tenant, call_id=call.pk, check_key="thanks", seen=Seen(1, 2), actor=ACTOR
        )
        after = told(tenant, call)
        history = selectors.overrides_of(card)
    assert (after["overallScore"], after["aiScore"]) == (50, 50)
    assert all("override" not in criterion for criterion in after["criteria"])
    assert after["feedback"] == card.feedback
    assert [(row.number, row.answer, row.overall) for row in history] == [
        *((1, "yes", 100), (2, "partial", 75), (3, "", 50)),
    ]


def test_a_stale_look_is_told(tenant):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        override(tenant, call)
        for seen in (Seen(1, 0), Seen(1, 2), Seen(2, 1)):
            with pytest.raises(ScorecardChanged):
                override(tenant, call, Answer.PARTIAL, seen=seen)
        assert models.Override.objects.count() == 1


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        ({"reason": "  "}, InvalidRequest),
        ({"reason": "x" * (LONGEST_REASON + 1)}, InvalidRequest),
        ({"reason": "a\x00b"}, InvalidRequest),
        ({"answer": Answer.NO}, InvalidRequest),  # the judge said so already
        ({"check_key": "nothing"}, CheckNotFound),
    ],
)
def test_what_says_nothing_is_refused(tenant, wish, refusal):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        with pytest.raises(refusal):
            override(tenant, call, **wish)
        assert not models.Override.objects.exists()


def test_nothing_can_be_taken_back_that_was_not_overridden(tenant):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        with pytest.raises(InvalidRequest):
            override_withdraw(
                tenant_id=tenant, call_id=call.pk, check_key="greets", seen=Seen(1, 0), actor=ACTOR
            )


def test_something_must_be_left_to_score(tenant):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        override(tenant, call, Answer.NOT_APPLICABLE)
        assert told(tenant, call)["overallScore"] == 100
        with pytest.raises(TooLittleScored):
            override(tenant, call, Answer.NOT_APPLICABLE, check_key="greets", seen=Seen(1, 1))


def test_a_score_can_be_declared_invalid_and_valid_again(tenant):
    say = {"tenant_id": tenant, "actor": ACTOR}
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        say["call_id"] = call.pk
        scorecard_validate(**say, valid=False, reason="A broken microphone.", seen=Seen(1, 0))
        after = told(tenant, call)
        assert (after["valid"], after["overallScore"]) == (False, 50)
        assert "aiScore" not in after
        override(tenant, call, seen=Seen(1, 1))
        assert told(tenant, call)["valid"] is False
        with pytest.raises(InvalidRequest):
            scorecard_validate(**say, valid=False, reason="Again.", seen=Seen(1, 2))
        scorecard_validate(**say, valid=True, reason="", seen=Seen(1, 2))
        assert told(tenant, call)["valid"] is True


def test_scoring_again_begins_without_overrides(tenant):
    with tenant_scope(tenant):
        call, card = scored(tenant)
        override(tenant, call)
        services.scorecard_create(
            tenant_id=tenant,
            call_id=call.pk,
            rubric=card.rubric,
            assessment=assessment_make(),
            version=2,
        )
        assert told(tenant, call)["overallScore"] == 50
        with pytest.raises(ScorecardChanged):
            override(tenant, call, seen=Seen(1, 1))


def test_what_retells_the_call_is_forgotten_with_it(tenant):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        override(tenant, call)
        scorecards_forget(tenant_id=tenant, call_ids=[call.pk])
        row = models.Override.objects.get()
        assert (row.reason, row.summary, row.feedback, row.overall) == ("", "", "", 100)
        later = override(tenant, call, Answer.PARTIAL, seen=Seen(1, 1), reason="Still.")
        assert (later.summary, later.feedback, later.overall) == ("", "", 75)


def test_a_stranger_reaches_neither_scorecard_nor_override(tenant, stranger):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        override(tenant, call)
    with tenant_scope(stranger):
        with pytest.raises(CheckNotFound):
            override(stranger, call)
        assert not models.Override.objects.exists()


@pytest.mark.parametrize("column", ["overall", "answer", "number"])
def test_an_override_is_never_changed(tenant, column):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        override(tenant, call)
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            models.Override.objects.update(**{column: 1})
