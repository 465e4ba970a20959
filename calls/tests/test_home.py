"""Home: figures of a team as they are, for those who may see them, and nothing that is a guess."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from calls.history.listing import Reader
from calls.history.team import needy_reasons
from calls.history.to_review import review_reason
from calls.models import Call, PracticeDay, RepStanding
from calls.services.discussing import dispute_create
from calls.services.practice_days import practice_day_count, practice_recount
from calls.services.reviewing import score_override
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_scorecard, make_call
from calls.tests.test_call_pages import manager_of
from scoring.overrides import Seen
from scoring.ports import Answer
from tenants.isolation import tenant_scope
from tenants.models import Agency, Membership, Rep
from tenants.services import SYSTEM
from work.drain import drain

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]
NOW = timezone.now()


@pytest.fixture
def acme():
    make_drill()
    return make_integrator("Acme")


def practised(tenant, overalls, *, days_ago=1, **fields):
    """That many scored calls of a minute, the first the newest, one a day; counted."""
    for number, overall in enumerate(overalls):
        ended_at = NOW - timedelta(days=days_ago + number)
        call = make_call(tenant, ended_at=ended_at, seconds=60, overall=overall, **fields)
        add_scorecard(call, overall=overall)
    practice_recount(tenant_id=tenant.pk)
    drain(PracticeDay, kind="practice", handle=practice_day_count)


def test_the_figures_of_a_month(acme):
    practised(make_integrator("Stranger").tenant, [1] * 9, user="stranger")
    practised(acme.tenant, [80, 70, 60, 50, 40, 30])
    page = manager_of(acme).get("/")
    assert page.status_code == 200
    for words in (
        "6 min", "6 scored; 0 in the 30 days before", "of 100, n = 6", "Met in 0 of 6 calls",
        "Asked which doctors", "n = 6 scored calls",
    ):  # fmt: skip
        assert words in page.text, words
    assert "55" in page.text  # the mean
    assert "stranger" not in page.text


def test_few_calls_make_no_claim(acme):
    practised(acme.tenant, [20, 20])
    page = manager_of(acme).get("/").text
    assert "Met in" not in page
    assert "No check was asked in 5 calls or more" in page
    assert "Nobody:" in page
    assert "of 100, n = 2" in page
    assert "%" not in page.partition("<main")[2].replace("100%", "")


def test_a_managers_answer_counts_for_the_team(acme):
    practised(acme.tenant, [50] * 5)
    with tenant_scope(acme.tenant.pk):
        call = Call.objects.first()
    assert "Met in 0 of 5 calls" in manager_of(acme).get("/").text
    score_override(
        reader=Reader(acme.tenant.pk),
        public_id=call.public_id,
        check_key="doctors",
        answer=Answer.YES,
        reason="She did.",
        seen=Seen(1, 0),
        actor=SYSTEM,
    )
    practice_recount(tenant_id=acme.tenant.pk)
    drain(PracticeDay, kind="practice", handle=practice_day_count)
    assert "Met in 1 of 5 calls" in manager_of(acme).get("/").text


def test_periods_and_the_period_before(acme):
    practised(acme.tenant, [80] * 5)
    practised(acme.tenant, [60] * 5, days_ago=8)
    client = manager_of(acme)
    week = client.get("/?days=7").text
    assert "of 100, n = 5; +20 on the 5 before" in week
    assert "of 100, n = 10" in client.get("/?days=90").text
    assert client.get("/?days=8").headers["Location"] == "/"


def test_a_manager_of_an_agency_reads_its_figures_alone(acme):
    practised(acme.tenant, [90] * 6, agency="north", user="nora")
    practised(acme.tenant, [20] * 6, agency="south", user="sam")
    with tenant_scope(acme.tenant.pk):
        north = Agency.objects.get(external_id="north")
    client = manager_of(acme, agencies=[north.pk])
    page = client.get("/")
    assert "of 100, n = 6" in page.text
    assert page.text.count("sam") == 0
    assert "south" not in page.text
    assert client.get("/?agency=south").headers["Location"] == "/"
    everything = manager_of(acme)
    assert "of 100, n = 12" in everything.get("/").text
    assert "Last 3 scores 20 of 100" in everything.get("/?agency=south").text
    assert "Last 3 scores" not in everything.get("/?agency=north").text


def test_the_sandbox_has_figures_of_its_own(acme):
    practised(acme.tenant, [80] * 5, mode="test")
    client = manager_of(acme)
    assert "No practice in these 30 days" in client.get("/").text
    client.post("/mode", {"mode": "test"})
    assert "of 100, n = 5" in client.get("/").text


def test_people_are_named_with_the_reason(acme):
    practised(acme.tenant, [50, 50, 50, 90, 90, 90], user="falls")
    practised(acme.tenant, [70] * 5, user="away", days_ago=20)
    with tenant_scope(acme.tenant.pk):
        Rep.objects.filter(external_id="falls").update(name="Fay <b>Falls</b>")
    page = manager_of(acme, role=Membership.Role.ANALYST).get("/").text
    assert "Fay &lt;b&gt;Falls&lt;/b&gt;" in page
    assert "Last 3 scores 50 on average, 90 before (n = 6)" in page
    assert "No practice for 20 days" in page


def test_who_got_better_is_named_and_who_practised_is_a_click_away(acme):
    practised(acme.tenant, [90, 90, 90, 50, 50, 50], user="rises", agency="north")
    practised(acme.tenant, [72, 72, 72, 70, 70, 70], user="steady", agency="north")
    practised(acme.tenant, [70], user="away", days_ago=20, agency="south")
    client = manager_of(acme)
    page = client.get("/?days=7").text
    better = page.partition('id="better-title"')[2].partition("</section>")[0]
    assert "Last 3 scores 90 on average, 50 before (n = 6)" in better
    assert "rises" in better
    assert "steady" not in better
    assert 'href="/reps?practised=7"' in page
    shown = {key: client.get(f"/reps?practised={key}").text for key in ("7", "30", "away", "odd")}
    for user, keys in {"rises": {"7", "30", "odd"}, "away": {"30", "away", "odd"}}.items():
        assert {key for key, text in shown.items() if f">{user}</a>" in text} == keys
    with tenant_scope(acme.tenant.pk):
        south = Agency.objects.get(external_id="south")
    page = manager_of(acme, agencies=[south.pk]).get("/").text
    assert "rises" not in page


def test_a_rep_who_waits_for_an_answer_comes_first(acme):
    practised(acme.tenant, [80], user="low", agency="south")
    old = make_call(acme.tenant, user="waits", agency="north", ended_at=NOW - timedelta(days=80))
    add_scorecard(old, overall=75)
    add_scorecard(make_call(acme.tenant, user="bad"), overall=10)
    said = {"check_key": "doctors", "text": "I asked for her doctors."}
    dispute_create(tenant_id=acme.tenant.pk, call_id=old.pk, **said)
    with tenant_scope(acme.tenant.pk):
        south = Agency.objects.get(external_id="south")
    client = manager_of(acme)
    review = client.get("/").text.partition('id="review-title"')[2]
    link = f"/calls/{old.public_id}#check-doctors"
    assert link in review
    assert 0 < review.index("The rep sees a verdict differently") < review.index("A low score")
    for other in (manager_of(acme, agencies=[south.pk]), manager_of(make_integrator("Stranger"))):
        assert link not in other.get("/").text
    client.post(
        f"/calls/{old.public_id}/review", {"action": "reply", "check": "doctors", "text": "Right."}
    )
    assert link not in client.get("/").text


def test_a_page_of_twenty_queries_at_most(acme):
    for number in range(4):
        practised(acme.tenant, [30] * 6, user=f"rep_{number}", agency=f"agency_{number}")
    client = manager_of(acme)
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/?agency=agency_1").status_code == 200
    asked = [q["sql"] for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(asked) <= 20, [sql[:90] for sql in asked]


def test_what_a_rep_keeps_to_themselves_is_not_offered_for_review(acme):
    practised(acme.tenant, [80] * 5)
    for private in (False, True):
        call = make_call(acme.tenant, user=f"low_{private}")
        add_scorecard(call, overall=0)
        with tenant_scope(acme.tenant.pk):
            kept = {"private": True, "overall": None} if private else {"private": False}
            Call.objects.filter(pk=call.pk).update(**kept)
    page = manager_of(acme).get("/").text
    assert "low_False" in page
    assert "low_True" not in page


def test_who_develops_is_shown_the_first_steps_until_they_hide_them(acme):
    client = manager_of(acme, role=Membership.Role.DEVELOPER)
    assert client.get("/").text.count('data-done="no"') == 4
    practised(acme.tenant, [80])
    assert 'hx-get="/first-steps"' in client.get("/").text
    assert client.get("/first-steps").text.count('data-done="no"') == 3
    assert client.post("/first-steps/hide").headers["Location"] == "/"
    assert "/first-steps" not in client.get("/").text
    manager = manager_of(acme)
    assert "/first-steps" not in manager.get("/").text
    assert manager.get("/first-steps").status_code == 403


@pytest.mark.parametrize(
    ("lately", "before", "days", "words"),
    [
        (None, None, 1, []),
        (60.0, None, 1, []),
        (59.4, None, 1, ["Last 3 scores 59 of 100 on average"]),
        (80.0, 89.0, 1, []),
        (80.0, 90.0, 1, ["Last 3 scores 80 on average, 90 before (n = 6)"]),
        (80.0, 80.0, 13, []),
        (80.0, 80.0, 14, ["No practice for 14 days"]),
        (80.0, 80.0, 61, []),
    ],
)
def test_reasons_to_look_after_somebody(lately, before, days, words):
    standing = RepStanding(
        lately=lately, before=before, last_at=NOW - timedelta(days=days), scores=[0] * 6
    )
    assert list(needy_reasons(standing, NOW)) == words


def test_reasons_to_listen_to_a_call():
    assert review_reason(score=80, hard_fails=[], coverage=0.9) == ""
    assert "79%" in review_reason(score=80, hard_fails=[], coverage=0.79)
    assert "caps" in review_reason(score=80, hard_fails=["x"], coverage=1)
    assert review_reason(score=49, hard_fails=[], coverage=1) == "A low score"
