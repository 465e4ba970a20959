"""The demo's month: through the sandbox's own work, dated back, told apart and erased at once."""

import json
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from calls.erasure.carrying_out import erasure_carry_out
from calls.models import Assignment, Call, Comment, Dispute, Erasure, SandboxCall
from calls.sandbox.making import sandbox_call_make
from calls.sandbox.month import demo_month_create
from calls.sandbox.month_plan import Practising, month
from calls.sandbox.services import sandbox_call_made
from calls.services.outcomes import call_fail
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_scorecard, add_transcript, make_call
from calls.tests.test_call_pages import manager_of
from scoring.models import Override
from tenants.isolation import tenant_scope
from tenants.models import Agency, Membership, Rep
from work.drain import drain

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]
PLANNED = month().calls


@pytest.fixture
def acme():
    make_drill()
    return make_integrator("Acme", mode="test")


@pytest.fixture
def credentials(acme, tmp_path):
    file = tmp_path / "demo.json"
    file.write_text(json.dumps({"testApiKey": acme.secret}))
    return file


def made(claim):
    """A call as the worker leaves it, without a voice."""
    again_in = timedelta(hours=1)
    sandbox_call_made(claim=claim, turns=[], parts=[], seconds=60, again_in=again_in)


def looked_at_again(integrator):
    with tenant_scope(integrator.tenant.pk):
        SandboxCall.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    drain(SandboxCall, kind="sandbox", handle=sandbox_call_make)


def calls_of(integrator):
    with tenant_scope(integrator.tenant.pk):
        return list(Call.objects.order_by("ended_at"))


# --- the plan -------------------------------------------------------------------------------------


def test_the_plan_holds_together():
    plan = month()
    known = {rep.external_id: rep for rep in plan.reps}
    for rep in plan.reps:
        assert rep.agency in plan.agencies
        for kind in rep.calls:
            assert plan.script_of(kind) or plan.rep_lines(rep, kind), kind
            assert all(len(line) <= 300 for line in plan.rep_lines(rep, kind))
    for said in plan.said:
        assert 1 <= said.call <= len(known[said.rep].calls)
    teams = {(rep.agency, rep.team) for rep in plan.reps}
    assert {(given.agency, given.team) for given in plan.given} <= teams


@pytest.mark.parametrize("day", range(7))
def test_everybody_practises_in_office_hours_of_weekdays_of_the_last_month(day):
    today = date(2026, 6, 1) + timedelta(days=day)
    for rep in month().reps:
        times = list(rep.times(today))
        assert all(earlier < later for earlier, later in pairwise(times)), rep.external_id
        assert all(time.weekday() < 5 and 14 <= time.hour < 22 for time in times)
        assert all(0 < (today - time.date()).days < 30 for time in times)


def test_a_rep_says_their_own_name():
    rep = Practising("r", "a", ("chats",), last=1, every=1, name="Maya Lindqvist")
    assert "this is Maya Lindqvist." in month().rep_lines(rep, "chats")[0]
    assert "this is Maya from" in month().rep_lines(rep, "rushes")[0]
    assert month().rep_lines(rep, "silent") == ()


# --- making it ------------------------------------------------------------------------------------


def test_a_month_is_made_once_in_the_sandbox_and_dated_back(acme, credentials):
    for _ in range(2):
        call_command("demo_month", credentials=credentials)
    drain(
        SandboxCall,
        kind="sandbox",
        handle=made,
    )
    calls = calls_of(acme)
    assert len(calls) == PLANNED
    assert {call.mode for call in calls} == {"test"}
    assert {call.stage for call in calls} == {"ended"}
    assert len({call.ended_at.date() for call in calls}) > 10
    assert len({call.seed for call in calls}) == PLANNED
    now = timezone.now()
    assert all(now - timedelta(days=30) < call.ended_at < now for call in calls)
    assert all(call.started_at == call.created_at for call in calls)
    assert all((c.ended_at - c.started_at).total_seconds() == 60 for c in calls)
    with tenant_scope(acme.tenant.pk):
        assert Rep.objects.get(external_id="demo-rep-1").name == "Maya Lindqvist"
        given = {a.due_on - timezone.now().date() for a in Assignment.objects.all()}
    assert given == {timedelta(days=each.due) for each in month().given}


def test_what_people_say_of_a_call_is_said_once_it_is_scored(acme, monkeypatch):
    said = [replace(each, check=each.check and "doctors") for each in month().said]
    reps = [rep for rep in month().reps if rep.external_id in {each.rep for each in said}]
    plan = replace(month(), said=tuple(said), reps=tuple(reps), given=())
    monkeypatch.setattr("calls.sandbox.month.month", lambda: plan)
    monkeypatch.setattr("calls.sandbox.month.NEXT_LOOK", timedelta(hours=1))
    demo_month_create(tenant=acme.tenant, now=timezone.now())
    drain(SandboxCall, kind="sandbox", handle=made)
    looked_at_again(acme)
    with tenant_scope(acme.tenant.pk):
        assert not Comment.objects.exists()
        assert SandboxCall.objects.filter(due_at__gt=timezone.now()).count() == plan.calls
    for call in calls_of(acme):
        add_transcript(call)
        add_scorecard(call, overall=50)
    with tenant_scope(acme.tenant.pk):
        Call.objects.update(stage=Call.Stage.SCORED, scored_at=timezone.now())
    looked_at_again(acme)
    with tenant_scope(acme.tenant.pk):
        assert not SandboxCall.objects.exclude(due_at=None).exists()
        assert Comment.objects.count() == sum(bool(each.comment) for each in said)
    with tenant_scope(acme.tenant.pk):
        told = {dispute.text: dispute.reply for dispute in Dispute.objects.all()}
        overridden = set(Override.objects.values_list("reason", flat=True))
    assert told == {each.dispute: each.reply for each in said if each.dispute}
    assert overridden == {each.override for each in said if each.override}


def test_it_goes_with_one_command_and_nothing_else_does(acme, credentials):
    make_call(acme.tenant, mode="test", user="rep of ours")
    stranger = make_integrator("Stranger", mode="test")
    demo_month_create(tenant=stranger.tenant, now=timezone.now())
    call_command("demo_month", credentials=credentials)
    call_command("demo_month", credentials=credentials, remove=True)
    drain(Erasure, kind="erase", handle=erasure_carry_out)
    assert [call.external_user_id for call in calls_of(acme)] == ["rep of ours"]
    with tenant_scope(acme.tenant.pk):
        assert not Rep.objects.filter(external_id__startswith="demo-").exists()
        assert not Assignment.objects.exists()
    assert len(calls_of(stranger)) == PLANNED


def test_without_a_file_it_says_what_to_do(tmp_path):
    with pytest.raises(CommandError, match="run demo_seed first"):
        call_command("demo_month", credentials=tmp_path / "none.json")


# --- from the dashboard ---------------------------------------------------------------------------


def test_an_empty_home_offers_it_and_one_click_makes_it(acme, settings):
    stranger = make_integrator("Stranger")
    client = manager_of(acme, role=Membership.Role.OWNER)
    assert "Fill with a demo month" in client.get("/").text
    assert client.post("/demo-month/fill").status_code == 302
    page = client.get("/").text
    assert "The sandbox" in page and f"0 of {PLANNED} calls" in page
    assert client.post("/demo-month/fill").status_code == 302  # a second click makes no second one
    assert len(calls_of(acme)) == PLANNED and not calls_of(stranger)
    other = manager_of(stranger, role=Membership.Role.OWNER)
    assert "Fill with a demo month" in other.get("/").text
    assert other.post("/demo-month/clear").status_code == 302
    assert len(calls_of(acme)) == PLANNED


def test_the_card_tells_how_far_it_is_and_takes_it_away_again(acme):
    client = manager_of(acme, role=Membership.Role.DEVELOPER)
    client.post("/demo-month/fill")
    assert f'<progress max="{PLANNED}" value="0"' in client.get("/demo-month").text
    with tenant_scope(acme.tenant.pk):
        for call in Call.objects.all():
            call_fail(call=call, failure=Call.Failure.REP_NEVER_SPOKE)
    assert client.get("/demo-month").headers["HX-Refresh"] == "true"
    assert "Remove the demo month" in client.get("/").text
    client.post("/demo-month/clear")
    drain(Erasure, kind="erase", handle=erasure_carry_out)
    assert calls_of(acme) == []


def test_it_is_there_for_a_first_look_only_and_for_those_who_develop(acme, settings):
    with tenant_scope(acme.tenant.pk):
        north = Agency.objects.create(tenant=acme.tenant, external_id="north")
    for who in ({"role": Membership.Role.MANAGER}, {"agencies": [north.pk]}):
        client = manager_of(acme, **who)
        assert "demo month" not in client.get("/").text
        assert client.post("/demo-month/fill").status_code == 403
    settings.EMBEDDED = False
    client = manager_of(acme, role=Membership.Role.OWNER)
    assert "demo month" not in client.get("/").text
    assert client.get("/demo-month").status_code == 404
    assert client.post("/demo-month/fill").status_code == 404
    assert client.post("/demo-month/clear").status_code == 404
    assert not calls_of(acme)
