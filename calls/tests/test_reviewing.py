"""What a manager says of a score is kept, told and audited together, and stays in its agency."""

import json

import pytest
from django.test import Client

from calls.history.detail import CallNotFound
from calls.history.listing import Reader
from calls.models import Call
from calls.services.reviewing import score_override, score_override_withdraw, score_validate
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_scorecard, make_call
from scoring.models import Override
from scoring.overrides import ScorecardChanged, Seen
from scoring.ports import Answer
from tenants.isolation import tenant_scope
from tenants.models import Agency, AuditEvent
from tenants.services import ALL_SCOPES
from webhooks.models import Delivery, Event
from webhooks.services import SCORE_OVERRIDDEN, endpoint_create

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]
URL = "https://hooks.example.com/athos"


@pytest.fixture
def acme():
    make_drill()
    return make_integrator("Acme", scopes=ALL_SCOPES)


@pytest.fixture
def call(acme):
    call = make_call(acme.tenant, agency="chicago")
    add_scorecard(call, overall=53)
    return call


def override(call, reader=None, answer=Answer.YES, seen=None):
    return score_override(
        reader=reader or Reader(call.tenant_id, mode=call.mode),
        public_id=call.public_id,
        check_key="doctors",
        answer=answer,
        reason="She named Dr. Patel.",
        seen=seen or Seen(1, 0),
        actor="user:m",
    )


def told(tenant) -> list[dict]:
    with tenant_scope(tenant.pk):
        rows = Event.objects.filter(type=SCORE_OVERRIDDEN).order_by("created_at")
        return [json.loads(bytes(row.body)) for row in rows]


def test_the_api_tells_both_scores(acme, call):
    def asked():
        headers = {"Authorization": f"Bearer {acme.secret}"}
        return Client().get(f"/api/external/v1/calls/{call.public_id}", headers=headers).json()

    before = asked()
    override(call)
    after = asked()
    assert before["score"]["overallScore"] == 53
    assert (after["score"]["overallScore"], after["score"]["aiScore"]) == (87, 53)
    assert after["updatedAt"] > before["updatedAt"]
    assert after["scoredAt"] == before["scoredAt"]
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.get(pk=call.pk).overall == 87


def test_each_change_is_told_once_to_those_who_asked(acme, call):
    endpoint_create(tenant=acme.tenant, url=URL)
    override(call)
    assert told(acme.tenant) == []
    endpoint_create(tenant=acme.tenant, url=URL, event_types=[SCORE_OVERRIDDEN])
    score_override_withdraw(
        reader=Reader(call.tenant_id),
        public_id=call.public_id,
        check_key="doctors",
        seen=Seen(1, 1),
        actor="user:m",
    )
    override(call, seen=Seen(1, 2))
    with pytest.raises(ScorecardChanged):
        override(call, seen=Seen(1, 2), answer=Answer.PARTIAL)
    events = told(acme.tenant)
    assert [event["callId"] for event in events] == [call.public_id] * 2
    assert len({event["webhookId"] for event in events}) == 2
    assert "Patel" not in json.dumps(events)
    with tenant_scope(acme.tenant.pk):
        assert Delivery.objects.count() == 2


def test_a_test_calls_change_is_told_to_endpoints_for_tests(acme):
    endpoint_create(tenant=acme.tenant, url=URL, event_types=[SCORE_OVERRIDDEN])
    endpoint_create(tenant=acme.tenant, url=URL, event_types=[SCORE_OVERRIDDEN], mode="test")
    call = make_call(acme.tenant, mode="test")
    add_scorecard(call)
    override(call)
    assert [event["mode"] for event in told(acme.tenant)] == ["test"]


def test_who_did_it_is_written_down_without_a_word_of_it(acme, call):
    override(call)
    with tenant_scope(acme.tenant.pk):
        event = AuditEvent.objects.get(action="score.override")
    assert (event.actor, event.target) == ("user:m", f"call:{call.public_id}")
    assert event.details == {"check": "doctors", "override": 1}


def test_a_score_that_does_not_count_leaves_the_lists_by_score(acme, call):
    reader = Reader(call.tenant_id)
    say = {"reader": reader, "public_id": call.public_id, "actor": "user:m"}
    score_validate(**say, valid=False, reason="Noise.", seen=Seen(1, 0))
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.get(pk=call.pk).overall is None
    score_validate(**say, valid=True, reason="", seen=Seen(1, 1))
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.get(pk=call.pk).overall is not None


def test_a_manager_of_an_agency_reviews_its_calls_and_no_others(acme, call):
    endpoint_create(tenant=acme.tenant, url=URL, event_types=[SCORE_OVERRIDDEN])
    make_call(acme.tenant, user="kim", agency="boston")
    with tenant_scope(acme.tenant.pk):
        ids = {a.external_id: a.pk for a in Agency.objects.all()}
    with pytest.raises(CallNotFound):
        override(call, Reader(call.tenant_id, agencies=(ids["boston"],)))
    override(call, Reader(call.tenant_id, agencies=(ids["chicago"],)))
    assert len(told(acme.tenant)) == 1
    with tenant_scope(acme.tenant.pk, agencies=[ids["boston"]]):
        assert not Override.objects.exists()
    with tenant_scope(acme.tenant.pk, agencies=[ids["chicago"]]):
        assert Override.objects.count() == 1


def test_a_stranger_finds_no_call(call):
    stranger = make_integrator("Stranger")
    with pytest.raises(CallNotFound):
        override(call, Reader(stranger.tenant.pk))


def test_only_a_scored_call_has_a_score_to_change(acme):
    call = make_call(acme.tenant, stage=Call.Stage.TRANSCRIBED)
    with pytest.raises(CallNotFound):
        override(call)


def test_an_erased_call_takes_them_along(acme, call):
    override(call)
    answer = Client().delete(
        f"/api/external/v1/calls/{call.public_id}",
        headers={"Authorization": f"Bearer {acme.secret}"},
    )
    assert answer.json()["counts"]["overrides"] == 1
    with tenant_scope(acme.tenant.pk):
        assert not Override.objects.exists()
