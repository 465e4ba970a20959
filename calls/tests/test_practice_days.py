"""Sums of practice: right after any change of a call, for its own tenant and agency alone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from calls.erasure.carrying_out import erasure_carry_out
from calls.history.listing import Reader
from calls.models import (
    Call,
    Erasure,
    PracticeCheck,
    PracticeDay,
    PracticeTotal,
    RepStanding,
)
from calls.services.outcomes import call_fail, call_succeed
from calls.services.practice_days import practice_day_count, practice_mark, practice_recount
from calls.services.reviewing import score_override, score_validate
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_scorecard, make_call
from scoring.overrides import Seen
from scoring.ports import Answer
from tenants.isolation import tenant_scope
from tenants.models import Agency, Rep
from tenants.services import ALL_SCOPES
from work.drain import drain

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]
NOON = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)


@pytest.fixture
def acme():
    make_drill()
    return make_integrator("Acme", scopes=ALL_SCOPES)


def scored(tenant, overall=80, *, ended_at=NOON, **fields):
    """A call that just got its score."""
    call = make_call(tenant, ended_at=ended_at, seconds=60, stage="transcribed", **fields)
    add_scorecard(call, overall=overall)
    with tenant_scope(tenant.pk):
        call_succeed(call=call, overall=overall)
    return call


def count(tenant):
    """What is due now, without the two seconds' wait."""
    with tenant_scope(tenant.pk):
        marked = PracticeDay.objects.filter(due_at__isnull=False)
        marked.update(due_at=timezone.now() - timedelta(seconds=1))
    drain(PracticeDay, kind="practice", handle=practice_day_count)


def days(tenant, **scope):
    with tenant_scope(tenant.pk, **scope):
        rows = PracticeDay.objects.order_by("day", "mode")
        return [(d.day.day, d.mode, d.calls, d.seconds, d.scored, d.score_sum) for d in rows]


def checks(tenant, **scope):
    with tenant_scope(tenant.pk, **scope):
        rows = PracticeCheck.objects.order_by("check_key")
        return {c.check_key: (c.asked, c.met, c.partly) for c in rows}


def totals(tenant, **scope):
    with tenant_scope(tenant.pk, **scope):
        rows = PracticeTotal.objects.order_by("check_key")
        return {c.check_key: (c.asked, c.met, c.partly) for c in rows}


def standings(tenant, **scope):
    with tenant_scope(tenant.pk, **scope):
        return [(s.rep.external_id, s.scores) for s in RepStanding.objects.order_by("rep_id")]


def test_a_days_calls_of_an_agency_are_summed(acme):
    stranger = make_integrator("Stranger").tenant
    for overall in (80, 60):
        scored(acme.tenant, overall, agency="chicago")
    scored(acme.tenant, 10, agency="chicago", ended_at=NOON + timedelta(hours=12))
    scored(acme.tenant, 11, agency="chicago", mode="test")
    scored(stranger, 99, agency="chicago")
    count(acme.tenant)
    assert days(acme.tenant) == [
        (5, "live", 2, 120, 2, 140),
        (5, "test", 1, 60, 1, 11),
        (6, "live", 1, 60, 1, 10),
    ]
    with tenant_scope(acme.tenant.pk):
        first = PracticeDay.objects.get(day=NOON.date(), mode="live")
        found = {c.check_key: (c.asked, c.met, c.partly) for c in first.checks.all()}
    assert found == {"doctors": (2, 0, 0), "not_every_plan": (2, 2, 0), "prescriptions": (2, 0, 2)}
    assert days(stranger) == [(5, "live", 0, 0, 0, 0)]  # still to be counted


def test_counting_twice_changes_nothing_and_a_failed_call_has_minutes_only(acme):
    scored(acme.tenant, 80)
    call = make_call(acme.tenant, ended_at=NOON, seconds=30, stage="transcribed")
    with tenant_scope(acme.tenant.pk):
        call_fail(call=call, failure=Call.Failure.REP_NEVER_SPOKE)
    for _ in range(2):
        count(acme.tenant)
        assert days(acme.tenant) == [(5, "live", 2, 90, 1, 80)]
    assert standings(acme.tenant) == [("rep_8842", [80])]


def test_checks_are_summed_over_all_agencies_for_who_sees_them_all(acme):
    stranger = make_integrator("Stranger").tenant
    for agency in ("north", "north", "south", None):
        call = scored(acme.tenant, 80, agency=agency)
    scored(stranger, 80, agency="north")
    count(acme.tenant)
    all_of_them = {"doctors": (4, 0, 0), "not_every_plan": (4, 4, 0), "prescriptions": (4, 0, 4)}
    assert totals(acme.tenant) == all_of_them
    with tenant_scope(acme.tenant.pk):
        north = Agency.objects.get(external_id="north").pk
    assert totals(acme.tenant, agencies=[north]) == {}
    assert totals(stranger) == {}  # still to be counted
    score_validate(
        reader=Reader(acme.tenant.pk),
        public_id=call.public_id,
        reason="Heard it.",
        actor="user:x",
        valid=False,
        seen=Seen(1, 0),
    )
    count(acme.tenant)
    assert totals(acme.tenant)["doctors"] == (3, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_agencies_counted_at_once_are_all_in_the_sum(acme):
    agencies = [f"agency_{number}" for number in range(4)]
    for agency in agencies:
        scored(acme.tenant, 80, agency=agency)

    def work(_):
        drain(PracticeDay, kind="practice", handle=practice_day_count)
        connection.close()

    for _ in range(5):
        practice_recount(tenant_id=acme.tenant.pk)
        with ThreadPoolExecutor(len(agencies)) as workers:
            list(workers.map(work, agencies))
        assert totals(acme.tenant)["doctors"] == (len(agencies), 0, 0)


def test_a_managers_word_counts_instead_of_the_judges(acme):
    call = scored(acme.tenant, 80)
    reader = Reader(acme.tenant.pk)
    word = {"reader": reader, "public_id": call.public_id, "reason": "Heard it.", "actor": "user:x"}
    score_override(**word, check_key="doctors", answer=Answer.YES, seen=Seen(1, 0))
    count(acme.tenant)
    assert checks(acme.tenant)["doctors"] == (1, 1, 0)
    score_validate(**word, valid=False, seen=Seen(1, 1))
    count(acme.tenant)
    assert days(acme.tenant) == [(5, "live", 1, 60, 0, 0)]
    assert checks(acme.tenant) == {}
    assert standings(acme.tenant) == []


def test_a_standing_is_of_the_newest_scores_in_an_agency(acme):
    for number in range(10):
        scored(acme.tenant, 50 + number, agency="north", ended_at=NOON + timedelta(days=number))
    scored(acme.tenant, 7, agency="south")
    with tenant_scope(acme.tenant.pk):
        north = RepStanding.objects.get(agency__external_id="north")
        south = RepStanding.objects.get(agency__external_id="south")
    assert north.scores == [59, 58, 57, 56, 55, 54, 53, 52]
    assert (north.lately, north.before) == (58.0, 54.0)
    assert (south.scores, south.lately, south.before) == ([7], None, None)
    assert standings(acme.tenant, agencies=[south.agency_id]) == [("rep_8842", [7])]
    count(acme.tenant)
    assert len(days(acme.tenant, agencies=[south.agency_id])) == 1
    assert checks(acme.tenant, agencies=[south.agency_id])["doctors"] == (1, 0, 0)


def test_recounting_from_the_calls_gives_the_same(acme):
    for number in range(8):
        scored(acme.tenant, 50 + number, agency="north", ended_at=NOON + timedelta(days=number))
    count(acme.tenant)
    before = days(acme.tenant), checks(acme.tenant), standings(acme.tenant)
    with tenant_scope(acme.tenant.pk):
        PracticeDay.objects.all().delete()
        RepStanding.objects.update(lately=0, before=0, scores=[1])
    call_command("practice_recount", str(acme.tenant.pk))
    count(acme.tenant)
    assert (days(acme.tenant), checks(acme.tenant), standings(acme.tenant)) == before
    with tenant_scope(acme.tenant.pk):
        assert RepStanding.objects.get().lately == 56.0


def test_an_erased_rep_is_in_no_sum_any_more(acme):
    scored(acme.tenant, 80)
    scored(acme.tenant, 40, user="other")
    count(acme.tenant)
    key = {"Authorization": f"Bearer {acme.secret}"}
    answer = Client().delete("/api/external/v1/reps/rep_8842", headers=key)
    assert answer.status_code == 202
    drain(Erasure, kind="erase", handle=erasure_carry_out)
    count(acme.tenant)
    assert days(acme.tenant) == [(5, "live", 1, 60, 1, 40)]
    assert standings(acme.tenant) == [("other", [40])]
    with tenant_scope(acme.tenant.pk):
        assert not Rep.objects.filter(external_id="rep_8842").exists()


def test_a_call_that_never_began_marks_nothing(acme):
    call = make_call(acme.tenant, stage="created", started_at=None)
    with tenant_scope(acme.tenant.pk):
        practice_mark(call)
        assert not PracticeDay.objects.exists()
