"""The dashboard's pages of calls: what a manager reads, and what a stranger does not."""

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_recording, add_scorecard, add_transcript, make_call
from tenants.isolation import tenant_scope
from tenants.models import Agency, Membership, User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def drill(db):
    return make_drill()


@pytest.fixture
def acme():
    return make_integrator("Acme")


def manager_of(integrator, agencies=(), role=Membership.Role.MANAGER):
    """The signed-in client of a new member."""
    user = User.objects.create(email=f"{uuid.uuid4().hex}@example.com")
    with tenant_scope(integrator.tenant.pk):
        Membership.objects.create(
            tenant=integrator.tenant, user=user, role=role, agencies=list(agencies)
        )
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def shown(page):
    assert page.status_code == 200, page.content
    return re.findall(r'href="/calls/(athos_call_[\w-]{21})"', page.text)


def test_all_own_calls_are_listed_newest_first_whatever_their_stage(acme):
    make_call(make_integrator("Stranger").tenant)
    calls = [
        make_call(acme.tenant, stage=stage)
        for stage in ("scored", "live", "ended", "transcribed", "failed")
    ]
    page = manager_of(acme).get("/calls")
    assert shown(page) == [call.public_id for call in reversed(calls)]
    for words in ("Scored", "Live", "Transcribing", "Scoring", "Not scored"):
        assert words in page.text


def test_the_list_tells_the_newest_score(acme):
    call = make_call(acme.tenant)
    add_scorecard(call, overall=41)
    add_scorecard(call, overall=58, version=2)
    page = manager_of(acme).get("/calls")
    assert "<strong>58</strong>" in page.text


def test_older_calls_are_on_further_pages(acme):
    calls = [make_call(acme.tenant) for _ in range(30)]
    client = manager_of(acme)
    first = client.get("/calls")
    assert len(shown(first)) == 25
    older = re.search(r'href="(/calls\?before=[^"]+)"', first.text)
    second = client.get(older.group(1))
    assert shown(first) + shown(second) == [call.public_id for call in reversed(calls)]
    assert "?before=" not in second.text
    assert client.get("/calls?before=nonsense").headers["Location"] == "/calls"
    stranger = manager_of(make_integrator("Stranger"))
    assert stranger.get(older.group(1)).status_code == 302


def test_a_first_look_is_not_empty_handed(acme):
    assert "No calls yet" in manager_of(acme).get("/calls").text


def test_a_call_is_shown_whole(acme):
    call = make_call(acme.tenant, agency="chicago")
    add_transcript(call)
    add_scorecard(call)
    add_recording(call, b"x" * 100)
    page = manager_of(acme).get(f"/calls/{call.public_id}")
    assert page.status_code == 200
    for words in (
        "A friendly opening", "rep_8842", "chicago", "Dolores Whitfield", "Advanced", "0:37",
        "We do not offer every plan.", "Partly met", "148 words/min", "56 %", "the rep hung up",
        "Nothing was sent about this call", "82 of 100 points",
    ):  # fmt: skip
        assert words in page.text, words
    assert 'data-seek="6.50"' in page.text
    assert page.text.count("/media/v1/recordings/") == 1
    for internal in (call.pk, call.tenant_id, call.rep_id):
        assert str(internal) not in page.text


@pytest.mark.parametrize("stage", ["created", "live", "ended", "transcribed", "failed"])
def test_a_call_without_a_score_is_shown_as_far_as_it_is(acme, stage):
    call = make_call(acme.tenant, stage=stage)
    page = manager_of(acme).get(f"/calls/{call.public_id}")
    assert page.status_code == 200
    assert "Scorecard" not in page.text


def test_a_strangers_call_and_no_call_are_the_same_page(acme):
    theirs = make_call(make_integrator("Stranger").tenant)
    client = manager_of(acme)
    answers = [client.get(f"/calls/{i}") for i in (theirs.public_id, "athos_call_" + "x" * 21, "x")]
    for answer in answers:
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text
    assert Client().get(f"/calls/{theirs.public_id}").status_code == 302


def test_a_member_limited_to_agencies_sees_those_only(acme):
    chicago = make_call(acme.tenant, agency="chicago")
    boston = make_call(acme.tenant, user="kim", agency="boston")
    with tenant_scope(acme.tenant.pk):
        agency = Agency.objects.get(external_id="chicago")
    client = manager_of(acme, agencies=[agency.pk])
    assert shown(client.get("/calls")) == [chicago.public_id]
    assert client.get(f"/calls/{boston.public_id}").status_code == 404


def test_calls_of_the_sandbox_are_no_part_of_the_list(acme):
    make_call(acme.tenant, mode="test")
    assert shown(manager_of(acme).get("/calls")) == []


def test_what_people_said_is_text_and_never_markup(acme):
    evil = '<script>alert(1)</script><img src=x onerror="alert(1)">'
    call = make_call(acme.tenant, user=evil[:200], persona_name="<b>P</b>")
    add_transcript(call, [("user", evil), ("assistant", "</p></li>{{ 7 }}")])
    add_scorecard(call, summary=evil, feedback=evil)
    client = manager_of(acme)
    for path in ("/calls", f"/calls/{call.public_id}"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "&lt;script&gt;" in text


def test_how_the_webhook_stands_is_shown(acme):
    from webhooks.models import Delivery, Endpoint, Event

    call = make_call(acme.tenant)
    tenant = {"tenant": acme.tenant}
    with tenant_scope(acme.tenant.pk):
        endpoint = Endpoint.objects.create(
            **tenant, url="https://hooks.example.com/athos", sealed_secret="x"
        )
        event = Event.objects.create(**tenant, type="call.scored", subject_id=call.pk, body=b"{}")
        Delivery.objects.create(
            **tenant,
            endpoint=endpoint,
            event=event,
            attempt_count=3,
            last_status=503,
            due_at=timezone.now() + timedelta(minutes=10),
        )
    page = manager_of(acme).get(f"/calls/{call.public_id}")
    for words in ("https://hooks.example.com/athos", event.public_id, "pending", "HTTP 503"):
        assert words in page.text
    assert re.search(r"<dt>Attempts</dt><dd>3</dd>", page.text)
    assert "Next try" in page.text


def test_the_list_costs_few_queries(acme, django_assert_max_num_queries):
    for _ in range(10):
        make_call(acme.tenant, agency="chicago")
    client = manager_of(acme)
    with django_assert_max_num_queries(16):
        client.get("/calls")
