"""Assignments: given, followed, reminded of without a second mail; and practice kept private."""

import re
import smtplib
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from calls.assignments.reminding import reminder_send, stop_link
from calls.assignments.schedule import Reminder, reminder_after
from calls.erasure.carrying_out import erasure_carry_out
from calls.models import Assignee, Assignment, Call, Erasure
from calls.services.embedding import private_practice_set
from calls.services.outcomes import call_succeed
from calls.services.tickets import ticket_sign
from calls.tests.making import API, make_drill, make_integrator
from calls.tests.making_calls import add_recording, add_scorecard, add_transcript, make_call
from calls.tests.test_call_pages import manager_of
from calls.tests.test_reps import EVIL, actions, agency_named, rep_named, scored
from scoring.models import Rubric
from tenants.isolation import tenant_scope
from tenants.models import Rep
from tenants.services import ALL_SCOPES
from work.claims import claims
from work.drain import drain

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def drill(db, settings):
    settings.EMAIL_URL = "memorymail:"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    return make_drill()


@pytest.fixture
def acme():
    return make_integrator("Acme", scopes=ALL_SCOPES)


@pytest.fixture
def client(acme):
    return manager_of(acme)


def given(client, *reps, days=5, **wish):
    """The public id of a new assignment."""
    form = {
        "form_id": str(uuid.uuid4()),
        "drill": "ma-full-sale",
        "due_on": str(timezone.now().date() + timedelta(days=days)),
        "pass_mark": "70",
        "rep": [rep.public_id for rep in reps],
    }
    answer = client.post("/assignments/add", form | wish)
    assert answer.status_code == 302, re.findall(r'role="alert"[^>]*>([^<]+)', answer.text)
    return answer.headers["Location"].rpartition("/")[2]


def set_back(acme, public_id, **columns):
    """As if it had been given nine days ago."""
    with tenant_scope(acme.tenant.pk):
        columns = {"created_at": timezone.now() - timedelta(days=9)} | columns
        Assignment.objects.filter(public_id=public_id).update(**columns)


def standing_of(client, public_id):
    page = client.get(f"/assignments/{public_id}").text
    return re.findall(r'data-label="Standing"><span class="badge"[^>]*>([^<]+)', page)


def send_due(acme):
    drain(Assignee, kind="remind", handle=reminder_send)
    with tenant_scope(acme.tenant.pk):
        return list(Assignee.objects.order_by("id").values_list("reminder", "mails", "due_at"))


def make_due(acme):
    with tenant_scope(acme.tenant.pk):
        Assignee.objects.update(due_at=timezone.now())


# --- giving ---------------------------------------------------------------------------------------


def test_the_form_is_filled_from_a_weak_check(acme, client):
    rep = rep_named(acme)
    with tenant_scope(acme.tenant.pk):
        Rubric.objects.create(
            tenant=acme.tenant, key="ma-full-sale", version=1, digest="d" * 64, title="x",
            content={"sections": [{"key": "a", "title": "A", "checks": [
                {"key": "doctors", "title": "Asked for the doctors"}]}]},
        )  # fmt: skip
    page = client.get(f"/assignments/add?drill=ma-full-sale&check=doctors&rep={rep.public_id}").text
    assert 'value="Asked for the doctors"' in page
    assert '<option value="ma-full-sale" selected>' in page
    assert f'value="{rep.public_id}" checked' in page


def test_an_agency_and_a_team_are_those_who_are_there(acme, client):
    north, south = agency_named(acme, "north"), agency_named(acme, "south")
    rep_named(acme, "a", agency=north, team="Blue")
    rep_named(acme, "b", agency=north)
    rep_named(acme, "c", agency=south, team="Blue")
    alone = rep_named(acme, "d")
    for wish, people in (
        ({"agency": north.public_id}, 2),
        ({"team": "Blue"}, 2),
        ({"agency": north.public_id, "team": "Blue"}, 1),
        ({"agency": north.public_id, "rep": [alone.public_id]}, 3),
    ):
        assert len(standing_of(client, given(client, **wish))) == people, wish


def test_a_form_that_is_sent_twice_assigns_once(acme, client):
    rep, form = rep_named(acme), str(uuid.uuid4())
    assert given(client, rep, form_id=form) == given(client, rep, form_id=form)
    assert actions(acme).count("assignment.create") == 1


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"drill": "no-such-drill"}, "Choose a drill."),
        ({"drill": "' OR 1=1"}, "Choose a drill."),
        ({"due_on": "2020-01-01"}, "today or later"),
        ({"due_on": "9999-12-31"}, "within a year"),
        ({"due_on": "soon"}, "Choose a day."),
        ({"pass_mark": "0"}, "1 to 100"),
        ({"pass_mark": "101"}, "1 to 100"),
        ({"pass_mark": "٧٠"}, "1 to 100"),
        ({"rep": []}, "at least one rep"),
        ({"rep": ["rep_" + "x" * 21]}, "at least one rep"),
        ({"note": "x" * 1001}, "1000"),
        ({"focus": "a\x00"}, "no text"),
    ],
)
def test_what_cannot_be_assigned_is_told_and_kept_in_the_form(acme, client, wish, told):
    form = {"drill": "ma-full-sale", "due_on": str(timezone.now().date()), "pass_mark": "70",
            "rep": rep_named(acme).public_id, "note": "Kept"}  # fmt: skip
    answer = client.post("/assignments/add", form | wish)
    assert answer.status_code == 400
    assert told in answer.text
    with tenant_scope(acme.tenant.pk):
        assert not Assignment.objects.exists()


# --- following ------------------------------------------------------------------------------------


def test_who_did_who_passed_and_who_is_late_is_computed_from_scored_calls(acme, client):
    people = {name: rep_named(acme, name) for name in ("none", "tried", "passed", "before")}
    scored(acme, 99, user="before", days_ago=1)
    public_id = given(client, *people.values())
    in_time = {"ended_at": timezone.now() + timedelta(seconds=5)}
    for user, points in (("tried", 69), ("passed", 40), ("passed", 70)):
        add_scorecard(make_call(acme.tenant, user=user, **in_time), overall=points)
    add_scorecard(make_call(acme.tenant, user="none", mode="test", **in_time), overall=100)
    assert sorted(standing_of(client, public_id)) == [
        *("Not started", "Not started", "Passed", "Practised, not passed")
    ]
    assert "1 of 4" in client.get("/assignments").text
    set_back(acme, public_id, due_on=timezone.now().date() - timedelta(days=1),
             created_at=timezone.now() - timedelta(hours=30))  # fmt: skip
    assert sorted(standing_of(client, public_id)) == ["Late", "Late", "Passed", "Passed late"]


def test_a_cancelled_one_asks_for_nothing_more(acme, client):
    public_id = given(client, rep_named(acme, email="sam@example.com"))
    assert client.post(f"/assignments/{public_id}/cancel").status_code == 302
    client.post(f"/assignments/{public_id}/cancel")
    assert standing_of(client, public_id) == ["Cancelled"]
    assert actions(acme).count("assignment.cancel") == 1
    make_due(acme)
    send_due(acme)
    assert mail.outbox == []


def test_each_agency_sees_its_own_people_of_an_assignment(acme, client):
    north, south = agency_named(acme, "north"), agency_named(acme, "south")
    ours, theirs = rep_named(acme, "n", agency=north), rep_named(acme, "s", agency=south)
    shared, foreign = given(client, ours, theirs), given(client, theirs)
    northern = manager_of(acme, agencies=[north.pk])
    assert len(standing_of(northern, shared)) == 1
    assert theirs.public_id not in northern.get(f"/assignments/{shared}").text
    assert foreign not in northern.get("/assignments").text
    assert northern.get(f"/assignments/{foreign}").status_code == 404
    northern.post(f"/assignments/{shared}/cancel")
    assert "Cancelled" not in standing_of(client, shared)
    stranger = manager_of(make_integrator("Stranger"))
    for path in (f"/assignments/{shared}", f"/assignments/add?rep={ours.public_id}"):
        assert ours.public_id not in stranger.get(path).text
    assert stranger.post(f"/assignments/{shared}/cancel").status_code == 404
    form = {"drill": "ma-full-sale", "due_on": str(timezone.now().date()), "pass_mark": "70"}
    for asker, rep in ((stranger, ours), (northern, theirs)):
        assert asker.post("/assignments/add", form | {"rep": rep.public_id}).status_code == 400


def test_free_text_of_an_assignment_is_text(acme, client):
    for evil in EVIL:
        rep = rep_named(acme, f"id {evil}", name=evil)
        public_id = given(client, rep, focus=evil, note=evil)
        for path in (f"/assignments/{public_id}", "/assignments", f"/reps/{rep.public_id}"):
            text = client.get(path).text
            assert "<script>alert" not in text and "<img src=x" not in text, path
            assert text.partition("</head>")[0].count("</title>") == 1


def test_assignments_cost_few_queries(acme, client, django_assert_max_num_queries):
    reps = [rep_named(acme, f"rep_{n}") for n in range(12)]
    for _ in range(12):
        public_id = given(client, *reps)
    for path in ("/assignments", f"/assignments/{public_id}"):
        with django_assert_max_num_queries(20):
            assert client.get(path).status_code == 200
    assert client.get("/assignments").text.count('class="number"') == 1 + 10
    assert 'rel="next"' in client.get("/assignments").text


# --- reminding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "at", "following"),
    [
        ("given", (1, 9), ("soon", (8, 8))),
        ("given", (8, 7), ("today", (10, 8))),
        ("soon", (8, 8), ("today", (10, 8))),
        ("given", (10, 7), None),
        ("today", (10, 8), None),
    ],
)
def test_mails_come_at_once_two_days_before_and_on_the_day_but_not_crowded(last, at, following):
    at = datetime(2026, 6, *at, tzinfo=UTC)  # day, hour
    expected = following and (following[0], datetime(2026, 6, *following[1], tzinfo=UTC))
    assert reminder_after(Reminder(last), at=at, due_on=date(2026, 6, 10)) == expected


def test_a_mail_tells_what_to_do_and_how_to_get_no_more(acme, client):
    given(
        client, rep_named(acme, name="Sam", email="sam@example.com"), note="Slow\ndown", focus="F"
    )
    rows = send_due(acme)
    (sent,) = mail.outbox
    assert sent.to == ["sam@example.com"]
    assert sent.subject.startswith("ma-full-sale: please practise by ")
    for words in ("Hello Sam", "Acme", "70 of 100", "Slow\ndown", "Work on this: F"):
        assert words in sent.body
    link = re.search(r"http://\S+(/reminders/stop/\S+)", sent.body).group(1)
    assert link in sent.extra_headers["List-Unsubscribe"]
    assert rows[0][:2] == ("soon", 1)
    anybody = Client(enforce_csrf_checks=True)
    assert anybody.get(link).status_code == 200
    assert rep_named(acme).reminders_stopped_at is None  # a scanner of mails opened it
    for _ in range(2):
        assert anybody.post(link, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert actions(acme).count("reminders.stop") == 1
    make_due(acme)
    send_due(acme)
    assert len(mail.outbox) == 1
    for broken in (link[:-4] + "AAAA", "/reminders/stop/x"):
        assert anybody.get(broken).status_code == anybody.post(broken).status_code == 404


def test_nobody_without_a_reason_gets_a_mail(acme, client):
    done = rep_named(acme, "done", email="done@example.com")
    public_id = given(client, done, rep_named(acme, "silent"))
    set_back(acme, public_id)
    scored(acme, 90, user="done")
    send_due(acme)
    assert mail.outbox == []


def test_a_worker_killed_while_it_mails_costs_no_second_mail(acme, client, monkeypatch):
    class Killed(BaseException):
        pass

    def die_after_sending(claim, now, *, sent):
        raise Killed

    given(client, rep_named(acme, email="sam@example.com"))
    with monkeypatch.context() as patch:
        patch.setattr("calls.assignments.reminding._go_on", die_after_sending)
        (claim,) = claims(Assignee, kind="remind")
        with pytest.raises(Killed):
            reminder_send(claim)
    assert len(mail.outbox) == 1
    with tenant_scope(acme.tenant.pk):
        Assignee.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    ((reminder, _, due_at),) = send_due(acme)
    assert len(mail.outbox) == 1
    assert reminder == "soon" and due_at > timezone.now()


def test_a_mail_server_that_is_away_is_asked_again(acme, client, monkeypatch):
    def away(self, fail_silently=False):
        raise smtplib.SMTPServerDisconnected("away")

    given(client, rep_named(acme, email="sam@example.com"))
    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.EmailMessage.send", away)
        send_due(acme)
    with tenant_scope(acme.tenant.pk):
        row = Assignee.objects.get()
        assert (row.mail_begun_at, row.failures, row.last_error) == (None, 1, "MAIL_UNAVAILABLE")
        Assignee.objects.update(lease_until=None)
    send_due(acme)
    assert len(mail.outbox) == 1


# --- what the rep sees ----------------------------------------------------------------------------


def asked(token, drill="ma-full-sale"):
    return Client().get(
        "/embed/v1/assignments",
        query_params={"drill": drill},
        headers={"Authorization": f"Bearer {token}"},
    )


def test_the_rep_is_told_before_the_call_by_a_token_that_is_not_spent(acme, client):
    given(client, rep_named(acme), focus="Ask early", note="Slowly")
    token = acme.token()
    for _ in range(2):
        (told,) = asked(token).json()["assignments"]
    assert told == {
        "dueOn": str(timezone.now().date() + timedelta(days=5)),
        "passMark": 70, "focus": "Ask early", "note": "Slowly", "best": None, "state": "open",
    }  # fmt: skip
    assert asked(token, drill="another").json() == {"assignments": []}
    assert asked(acme.token("somebody else")).json() == {"assignments": []}
    assert asked(make_integrator("Stranger").token()).json() == {"assignments": []}
    for broken in ("", "x", token[:-2]):
        assert asked(broken).status_code == 401


def card_of(call):
    ticket = ticket_sign(call_id=call.pk, tenant_id=call.tenant_id, public_id=call.public_id)
    headers = {"Authorization": f"Ticket {ticket}"}
    return Client().get("/embed/v1/call/scorecard", headers=headers).text


def test_the_rep_is_told_after_the_call_whether_it_is_passed(acme, client):
    set_back(acme, given(client, rep_named(acme)))
    assert "Assignment not passed yet" in card_of(scored(acme, 69))
    assert "Assignment passed" in card_of(scored(acme, 70))


# --- private practice -----------------------------------------------------------------------------


def consent(call, **body):
    ticket = ticket_sign(call_id=call.pk, tenant_id=call.tenant_id, public_id=call.public_id)
    return Client().post(
        "/embed/v1/call/consent",
        data={"version": "athos-1"} | body,
        content_type="application/json",
        headers={"Authorization": f"Ticket {ticket}"},
    )


def open_call(acme):
    return make_call(acme.tenant, stage="created", started_at=None, ended_at=None, scored_at=None)


def test_a_call_is_private_only_where_the_tenant_allows_it(acme, client):
    call = open_call(acme)
    assert consent(call, private=True).status_code == 400
    assert consent(call, private="yes").status_code == 400
    assert client.post("/settings/practice", {"private_practice": "1"}).status_code == 302
    assert consent(call, private=True).status_code == 204
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.get(pk=call.pk).private
    client.post("/settings/practice", {})
    assert actions(acme)[-2:] == ["private_practice.allow", "private_practice.forbid"]


def test_managers_see_that_it_was_and_no_more_and_the_api_sees_all(acme, client):
    """The API stays what its contract says: the tenant's own systems get every scored call."""
    canary = "canarywords"
    private_practice_set(tenant_id=acme.tenant.pk, allowed=True, actor="system")
    rep, public_id = rep_named(acme), given(client, rep_named(acme))
    set_back(acme, public_id)
    call = make_call(acme.tenant, stage="transcribed", scored_at=None)
    add_transcript(call, [("user", canary)])
    add_recording(call, b"sound")
    add_scorecard(call, overall=13, summary=canary)  # so low that a call would be one to review
    with tenant_scope(acme.tenant.pk):
        Call.objects.filter(pk=call.pk).update(private=True, overall=None)
        call_succeed(call=Call.objects.select_for_update().get(pk=call.pk), overall=13)
    for path in (
        f"/calls/{call.public_id}",
        "/calls",
        f"/calls?words={canary}",
        f"/reps/{rep.public_id}",
        "/reps",
        f"/assignments/{public_id}",
        "/calls/export.csv",
        "/",
    ):
        answer = client.get(path)
        body = b"".join(answer) if answer.streaming else answer.content
        assert answer.status_code in {200, 302}, path
        text = body.decode().replace(f"words={canary}", "").replace(f'value="{canary}"', "")
        assert canary not in text and "/media/v1/recordings/" not in text, path
        assert not re.search(r">13<|,13\r?\n|13 of 100|A low score", text), path
    assert "Private practice" in client.get(f"/reps/{rep.public_id}").text
    assert standing_of(client, public_id) == ["Not started"]
    assert "kept this call private" in card_of(call)
    told = Client().get(
        f"{API}/calls/{call.public_id}", headers={"Authorization": f"Bearer {acme.secret}"}
    ).json()  # fmt: skip
    assert told["score"]["overallScore"] == 13
    assert told["transcript"][0]["content"] == canary


def test_the_database_keeps_no_score_of_it_for_lists(acme):
    call = make_call(acme.tenant, private=True)
    with pytest.raises(IntegrityError), tenant_scope(acme.tenant.pk):
        Call.objects.filter(pk=call.pk).update(overall=50)


# --- erasure --------------------------------------------------------------------------------------


def test_erasing_a_rep_takes_their_assignments_and_notes_along(acme, client):
    rep = rep_named(acme, email="sam@example.com")
    alone, shared = given(client, rep, note="Sam!"), given(client, rep, rep_named(acme, "other"))
    link = stop_link(rep).partition("//")[2].partition("/")[2]
    answer = Client().delete(
        f"{API}/reps/{rep.external_id}", headers={"Authorization": f"Bearer {acme.secret}"}
    )
    assert answer.status_code == 202, answer.content
    drain(Erasure, kind="erase", handle=erasure_carry_out)
    with tenant_scope(acme.tenant.pk):
        assert not Rep.objects.filter(pk=rep.pk).exists()
        assert Assignee.objects.count() == 1
        assert Erasure.objects.get().counts["assignments"] == 2
    assert client.get(f"/assignments/{alone}").status_code == 404
    assert client.get(f"/assignments/{shared}").status_code == 200
    assert Client().post(f"/{link}").status_code == 404
