"""The call's page as a place to work: overrides, comments, disputes, scoring again, deleting."""

import html
import json
import re

import numpy as np
import pytest
from django.test import Client

from calls.after_call import assessment
from calls.after_call.stereo import PICTURED, Peaks
from calls.models import Call, Comment, Dispute, Rescoring
from calls.services.tickets import ticket_sign
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_recording, add_scorecard, add_transcript, make_call
from calls.tests.test_call_pages import manager_of
from scoring.judges.embedded import EmbeddedJudge
from scoring.models import Override, Rubric, Scorecard
from scoring.rubric import rubric_digest
from scoring.tests.making import check_content, embed, rubric_content
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import Agency, AuditEvent, Membership, User
from tenants.tests.signing import signed_in
from webhooks.models import Event
from webhooks.services import CALL_SCORED, SCORE_OVERRIDDEN, endpoint_create
from work.drain import drain

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]
XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7|add:7 }}"


@pytest.fixture
def acme():
    make_drill()
    return make_integrator("Acme")


@pytest.fixture
def call(acme):
    call = make_call(acme.tenant, agency="chicago")
    add_transcript(call)
    add_scorecard(call, overall=53)
    return call


def post(client, call, **form):
    return client.post(f"/calls/{call.public_id}/review", form)


def override(client, call, seen="1.0", answer="yes", reason="She named Dr. Patel.", **more):
    form = {"action": "override", "check": "doctors", "answer": answer, "seen": seen}
    return post(client, call, reason=reason, **form | more)


def page_of(client, call) -> str:
    return client.get(f"/calls/{call.public_id}").text


def test_a_manager_overrides_and_both_verdicts_are_shown(acme, call):
    client = manager_of(acme)
    answer = override(client, call)
    assert answer.headers["Location"] == f"/calls/{call.public_id}#check-doctors"
    page = page_of(client, call)
    for words in (
        *("The score is 87 of 100 now.", "The AI gave 53 of 100.", "The AI said: Missed, 0 of 10."),
        *("She named Dr. Patel.", "87 of 100 points", "What was changed", 'value="1.1"'),
    ):
        assert words in page, words
    post(client, call, action="withdraw", check="doctors", seen="1.1")
    page = page_of(client, call)
    assert "The judge&#x27;s verdict holds again. The score is 53 of 100." in page
    assert "back to the judge&#x27;s verdict" in page


def test_who_was_slower_is_told_and_keeps_what_was_typed(acme, call):
    one, other = manager_of(acme), manager_of(acme)
    override(one, call)
    answer = override(other, call, answer="partial", reason="Only in passing.")
    assert answer.status_code == 409
    assert "Somebody changed this scorecard meanwhile" in answer.text
    assert "Only in passing.</textarea>" in answer.text
    with tenant_scope(acme.tenant.pk):
        assert Override.objects.count() == 1


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"reason": " "}, 400),
        ({"answer": "perhaps"}, 400),
        ({"check": "nothing"}, 404),
        ({"seen": "x"}, 409),
        ({"seen": "9" * 400 + ".0"}, 409),
        ({"action": "unknown"}, 404),
    ],
)
def test_an_odd_form_changes_nothing(acme, call, form, status):
    assert override(manager_of(acme), call, **form).status_code == status
    with tenant_scope(acme.tenant.pk):
        assert not Override.objects.exists()


def test_only_reviewers_see_and_use_the_forms(acme, call):
    for role, allowed in (("owner", True), ("manager", True), ("analyst", False)):
        client = manager_of(acme, role=role)
        assert ("the verdict of" in page_of(client, call)) is allowed, role
        assert (override(client, call, answer="partial").status_code == 403) is not allowed, role
        with tenant_scope(acme.tenant.pk):
            Override.objects.all().delete()


def test_nobody_works_on_calls_of_other_agencies_or_tenants(acme, call):
    make_call(acme.tenant, user="kim", agency="boston")
    with tenant_scope(acme.tenant.pk):
        boston = Agency.objects.get(external_id="boston").pk
    acts = (
        {"action": "override", "check": "doctors", "answer": "yes", "reason": "x", "seen": "1.0"},
        {"action": "comment", "line": "1", "text": "x"},
        {"action": "validate", "valid": "no", "reason": "x", "seen": "1.0"},
        {"action": "rescore"},
        {"action": "reply", "check": "doctors", "text": "x"},
    )
    for client in (
        manager_of(acme, agencies=[boston]),
        manager_of(make_integrator("Stranger")),
    ):
        for form in acts:
            assert post(client, call, **form).status_code == 404, form
        assert client.post(
            f"/calls/{call.public_id}/delete", {"confirm": "delete"}
        ).status_code in (*(302, 404),)
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.filter(pk=call.pk).exists()
        assert not Comment.objects.exists() and not Override.objects.exists()


def test_a_score_that_does_not_count_is_shown_as_such(acme, call):
    client = manager_of(acme)
    post(client, call, action="validate", valid="no", reason="Noise.", seen="1.0")
    assert "A manager said that this score does not count." in page_of(client, call)
    assert "Not counted" in client.get("/calls").text
    post(client, call, action="validate", valid="yes", reason="", seen="1.1")
    assert "does not count." not in page_of(client, call).split("What was changed")[0]


# --- comments ------------------------------------------------------------------------------------


def test_a_comment_stands_at_its_line_and_its_author_removes_it(acme, call):
    author, other = manager_of(acme), manager_of(acme)
    answer = post(author, call, action="comment", line="3", text="Good question.\nMore of it!")
    assert answer.headers["Location"].endswith("#line-3")
    page = page_of(other, call)
    line = page.split('id="line-3"')[1].split('id="line-4"')[0]
    assert "Good question.<br>More of it!" in line
    assert "Remove" not in line
    comment = re.search(r"cmt_[\w-]{21}", page_of(author, call)).group()
    post(other, call, action="uncomment", comment=comment)
    assert "Good question." in page_of(other, call)
    post(author, call, action="uncomment", comment=comment)
    assert "Good question." not in page_of(other, call)
    with tenant_scope(acme.tenant.pk):
        actions = [event.action for event in AuditEvent.objects.order_by("at")]
        assert actions[-2:] == ["call.comment", "call.comment_remove"]


@pytest.mark.parametrize(
    "form", [{"line": "77"}, {"line": "x"}, {"text": ""}, {"text": "x" * 2001}]
)
def test_a_comment_needs_a_line_and_words(acme, call, form):
    answer = post(manager_of(acme), call, **{"action": "comment", "line": "1", "text": "x"} | form)
    assert answer.status_code == 400
    with tenant_scope(acme.tenant.pk):
        assert not Comment.objects.exists()


# --- disputes ------------------------------------------------------------------------------------


def confirmed(client) -> None:
    """As if the member had signed in just now."""
    user = User.objects.get(pk=client.session["_auth_user_id"])
    client.cookies = signed_in(user).cookies


def rep_of(call):
    ticket = ticket_sign(call_id=call.pk, tenant_id=call.tenant_id, public_id=call.public_id)
    return Client(headers={"Authorization": f"Ticket {ticket}"})


def disagree(call, check="doctors", text="I asked for Dr. Patel."):
    body = json.dumps({"checkKey": check, "text": text})
    return rep_of(call).post("/embed/v1/call/dispute", body, content_type="application/json")


def test_a_rep_disagrees_and_reads_the_answer(acme, call):
    assert "I see it differently" in rep_of(call).get("/embed/v1/call/scorecard").text
    assert disagree(call).status_code == 204
    assert disagree(call).json()["error"]["code"] == "ALREADY_DISPUTED"
    assert "has not answered yet" in rep_of(call).get("/embed/v1/call/scorecard").text
    client = manager_of(acme)
    page = page_of(client, call)
    assert "The rep sees it differently" in page and "I asked for Dr. Patel." in page
    post(client, call, action="reply", check="doctors", text="You are right, I changed it.")
    assert "You are right" in rep_of(call).get("/embed/v1/call/scorecard").text
    assert "@example.com" not in rep_of(call).get("/embed/v1/call/scorecard").text


@pytest.mark.parametrize(
    ("check", "text", "status"),
    [("nothing", "x", 404), ("doctors", " ", 400), ("doctors", "x" * 1001, 400)],
)
def test_an_odd_dispute_is_refused(acme, call, check, text, status):
    assert disagree(call, check, text).status_code == status
    with tenant_scope(acme.tenant.pk):
        assert not Dispute.objects.exists()


def test_there_is_nothing_to_dispute_before_the_score(acme):
    call = make_call(acme.tenant, stage=Call.Stage.TRANSCRIBED)
    assert disagree(call).json()["error"]["code"] == "CALL_NOT_SCORED"


# --- scoring again -------------------------------------------------------------------------------


@pytest.fixture
def judge(monkeypatch):
    monkeypatch.setattr(assessment.engines, "judge", lambda: EmbeddedJudge(embed))


def new_rubric() -> None:
    checks = [check_content("greets", rule={"yes": {"say": ["hi"]}})]
    with tenant_scope(CATALOGUE):
        Rubric.objects.create(
            tenant_id=CATALOGUE,
            key="ma-full-sale",
            version=2,
            digest=rubric_digest(content := rubric_content(*checks)),
            title="New",
            content=content,
        )


@pytest.mark.usefixtures("judge")
@pytest.mark.django_db(transaction=True)
def test_a_call_is_scored_again_once_and_the_old_scorecard_is_kept(acme, call, bells):
    endpoint_create(
        tenant=acme.tenant,
        url="https://hooks.example.com/",
        event_types=[SCORE_OVERRIDDEN, CALL_SCORED],
    )
    new_rubric()
    client = manager_of(acme)
    override(client, call)
    for _ in range(2):
        post(client, call, action="rescore")
    assert bells.count("rescore") == 1
    assert "is being scored again" in page_of(client, call)
    drain(Rescoring, kind="rescore", handle=assessment.call_rescore)
    drain(Rescoring, kind="rescore", handle=assessment.call_rescore)
    page = page_of(client, call)
    assert "100 of 100 points" in page
    assert "Scorecard 1: the AI gave <strong>53</strong>" in page
    with tenant_scope(acme.tenant.pk):
        assert [c.version for c in Scorecard.objects.order_by("version")] == [1, 2]
        assert Call.objects.get(pk=call.pk).overall == 100
        assert Override.objects.count() == 1
        told = [event.type for event in Event.objects.order_by("created_at")]
    assert told == [SCORE_OVERRIDDEN, SCORE_OVERRIDDEN]
    post(client, call, action="rescore")
    with tenant_scope(acme.tenant.pk):
        assert Rescoring.objects.get().outcome == ""


def test_without_a_transcript_there_is_nothing_to_score_again(acme):
    call = make_call(acme.tenant)
    add_scorecard(call)
    answer = post(manager_of(acme), call, action="rescore")
    assert answer.status_code == 409
    assert "not kept any more" in answer.text


# --- deleting ------------------------------------------------------------------------------------


def test_a_manager_deletes_a_call_by_typing_the_word(acme, call):
    client = manager_of(acme)
    confirmed(client)
    address = f"/calls/{call.public_id}/delete"
    client.post(address, {"confirm": "yes"})
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.filter(pk=call.pk).exists()
    answer = client.post(address, {"confirm": " Delete "})
    assert answer.headers["Location"] == "/calls"
    assert "The call is deleted" in client.get("/calls").text
    assert client.get(f"/calls/{call.public_id}").status_code == 404
    with tenant_scope(acme.tenant.pk):
        assert AuditEvent.objects.get(action="call.erase").actor.startswith("user:")


def test_who_may_not_erase_does_not(acme, call):
    client = manager_of(acme, role=Membership.Role.ANALYST)
    confirmed(client)
    answer = client.post(f"/calls/{call.public_id}/delete", {"confirm": "delete"})
    assert answer.status_code == 403
    assert "Delete this call" not in page_of(client, call)


# --- what is free text, and what is a picture ----------------------------------------------------


def test_no_free_text_is_more_than_text(acme, call):
    client = manager_of(acme)
    override(client, call, reason=XSS)
    post(client, call, action="comment", line="1", text=XSS)
    disagree(call, "doctors", XSS)
    post(client, call, action="reply", check="doctors", text=XSS)
    post(client, call, action="validate", valid="no", reason=XSS, seen="1.1")
    add_recording(call, b"x")
    for page in (page_of(client, call), rep_of(call).get("/embed/v1/call/scorecard").text):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert html.escape(XSS) in page or html.escape(XSS).replace("&#x27;", "&#39;") in page


def test_peaks_are_as_loud_as_the_sound_in_bounded_room():
    peaks = Peaks()
    for loud in (0, 8_000, 32_767):
        side = np.full(48_000, loud, np.int16)
        peaks.add(np.stack((side, -side // 2)))
    both = np.frombuffer(peaks.bytes(), np.uint8).reshape(2, -1)
    assert both.shape == (2, 60)
    assert both[0, [0, 30, 59]].tolist() == [0, 62, 255]
    assert abs(int(both[1, 59]) - 127) <= 1
    for _ in range(60):
        peaks.add(np.full((2, 48_000), -32_768, np.int16))
    long = np.frombuffer(peaks.bytes(), np.uint8).reshape(2, -1)
    assert long.shape[1] <= PICTURED
    assert long[:, -2].tolist() == [255, 255]
    assert Peaks().bytes() == b""


def test_peaks_reach_the_page_and_a_recording_without_them_plays_all_the_same(acme, call):
    recording = add_recording(call, b"x" * 10)
    client = manager_of(acme)
    assert "data-wave" not in page_of(client, call)
    with tenant_scope(acme.tenant.pk):
        type(recording).objects.filter(pk=recording.pk).update(peaks=bytes([0, 255, 7, 9]))
    page = page_of(client, call)
    assert '<script id="peaks" type="application/json">[[0, 255], [7, 9]]</script>' in page
    assert "<audio controls" in page
