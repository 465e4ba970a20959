"""The dashboard's quickstart, usage and embedding pages."""

import csv
import html
import io
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext

from calls.models import Call
from calls.services.first_steps import FirstSteps, first_steps
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_scorecard, make_call
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, Membership, Tenant, User
from tenants.request_log import Answered, Owner, requests_write
from tenants.services import api_key_create
from tenants.tests.signing import signed_in

pytestmark = pytest.mark.django_db
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def acme() -> Tenant:
    make_drill()
    return make_integrator("Acme").tenant


def someone(tenant, role="developer", agencies=(), *, mode="live"):
    user = User.objects.create(email=f"{role}-{tenant.pk}-{len(agencies)}-{mode}@x.example")
    with tenant_scope(tenant.pk):
        Membership.objects.create(tenant=tenant, user=user, role=role, agencies=list(agencies))
    client = signed_in(user)
    session = client.session
    session["mode"] = mode
    session.save()
    return client


def origins(tenant) -> list[str]:
    with tenant_scope(tenant.pk):
        return Tenant.objects.get(pk=tenant.pk).browser_origins


# --- embedding -----------------------------------------------------------------------------------


def test_web_sites_are_added_in_their_plain_form_and_removed(acme):
    developer = someone(acme)
    for given in ("https://Training.example.com/", "http://localhost:3000"):
        developer.post("/developers/embedding/add", {"origin": given})
    developer.post("/developers/embedding/add", {"origin": "https://training.example.com"})
    assert origins(acme) == ["https://training.example.com", "http://localhost:3000"]
    developer.post("/developers/embedding/remove", {"origin": "http://localhost:3000"})
    developer.post("/developers/embedding/remove", {"origin": "https://not.listed.example"})
    assert origins(acme) == ["https://training.example.com"]
    assert "https://training.example.com" in developer.get("/developers/embedding").text


@pytest.mark.parametrize(
    "given",
    ["", "training.example.com", "http://a.example", "https://a.example/path", "https://*", EVIL],
)
def test_what_is_no_web_site_is_refused_and_shown_as_text(acme, given):
    answer = someone(acme).post("/developers/embedding/add", {"origin": given})
    assert answer.status_code == 400
    assert EVIL not in answer.text
    assert origins(acme) == []


def test_a_web_site_that_was_refused_lately_is_one_click_away(acme):
    facts = {"method": "POST", "route": "/roleplay/session", "query": "", "field": ""}
    for number, (code, subject) in enumerate(
        [
            ("INVALID_REQUEST", "https://new.example"),
            ("INVALID_REQUEST", EVIL),
            ("IP_NOT_ALLOWED", "192.0.2.77"),
        ]
    ):
        entry = Answered(
            request_id=ApiKey._meta.pk.get_default(),
            owner=Owner(acme.pk, None),
            at=datetime.now(UTC) - timedelta(minutes=number),
            status=400,
            code=code,
            subject=subject,
            duration_ms=3,
            **facts,
        )
        requests_write([entry])
    developer = someone(acme)
    page = developer.get("/developers/embedding").text
    assert "Refused lately" in page
    assert EVIL not in page
    assert "192.0.2.77" not in page
    developer.post("/developers/embedding/add", {"origin": "https://new.example"})
    assert origins(acme) == ["https://new.example"]


def test_the_snippet_shows_an_address_that_works_for_the_tenants_web_sites(acme):
    developer = someone(acme)
    developer.post("/developers/embedding/add", {"origin": "https://training.example.com"})
    page = developer.get("/developers/embedding").text
    shown = re.search(r'src="https?://[^/]+(/embed[^"]+)"', page)
    assert shown is not None
    path = html.unescape(shown[1])
    framed = Client().get(path).headers["Content-Security-Policy"]
    assert "frame-ancestors https://training.example.com" in framed
    other = someone(make_integrator("Other").tenant).get("/developers/embedding").text
    assert "training.example.com" not in other.replace('https://training.example.com"', "")


def test_the_old_address_leads_there(acme):
    answer = someone(acme).get("/embedding")
    assert answer.headers["Location"] == "/developers/embedding"


# --- usage ---------------------------------------------------------------------------------------


def calls_of_june(tenant) -> None:
    for day, agency, seconds in ((3, "north", 60), (3, "=cmd|x", 120), (30, None, 30)):
        ended = datetime(2026, 6, day, 23, 59, tzinfo=UTC)
        started = ended - timedelta(seconds=seconds)
        call = make_call(tenant, user="rep", agency=agency, ended_at=ended, started_at=started)
        if agency == "north":
            add_scorecard(call)
    make_call(tenant, user="rep", mode="test", ended_at=datetime(2026, 6, 4, tzinfo=UTC))
    make_call(tenant, user="rep", ended_at=datetime(2026, 7, 1, 0, 0, 1, tzinfo=UTC))


def test_usage_tells_the_month_its_days_and_agencies(acme):
    calls_of_june(acme)
    with tenant_scope(acme.pk):
        Tenant.objects.filter(pk=acme.pk).update(monthly_minutes=7)
    page = someone(acme).get("/developers/usage?month=2026-06").text
    assert "of 7 allowed, 50 %" in page
    assert re.search(r"<dd>3\.5 <small>of 7", page)
    assert "<title>3 Jun: 3.0 min, 2 calls</title>" in page
    assert page.count('<rect class="value"') == 30
    assert "without an agency" in page
    assert (
        "No call in 2026-05" in someone(acme, "owner").get("/developers/usage?month=2026-05").text
    )


def test_the_sandbox_has_figures_of_its_own(acme):
    calls_of_june(acme)
    page = someone(acme, mode="test").get("/developers/usage?month=2026-06").text
    assert "nothing of them counts" in page
    assert "<title>4 Jun:" in page


def test_usage_as_a_table_to_keep_holds_no_formula(acme):
    calls_of_june(acme)
    answer = someone(acme).get("/developers/usage.csv?month=2026-06")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    told = [(row["day"], row["externalAgencyId"], row["minutes"]) for row in rows]
    assert told == [
        ("2026-06-03", "'=cmd|x", "2.00"),
        ("2026-06-03", "north", "1.00"),
        ("2026-06-30", "", "0.50"),
    ]
    assert someone(acme, "owner").get("/developers/usage?month=soon").status_code == 302


# --- quickstart ----------------------------------------------------------------------------------


def test_one_click_makes_a_test_key_and_fills_it_in(acme):
    developer = someone(acme)
    assert "ath_test_…" in developer.get("/developers/quickstart").text
    page = developer.post("/developers/quickstart/key").text
    (text,) = set(re.findall(r"ath_test_[0-9A-Za-z]{49}", page))
    assert page.count(text) >= 4
    with tenant_scope(acme.pk):
        key = ApiKey.objects.get(name="Quickstart")
    assert (key.mode, key.scopes) == ("test", ["sessions:write", "calls:read", "webhooks:write"])
    assert text not in developer.get("/developers/quickstart").text


def test_the_ticks_follow_what_was_done(acme):
    assert first_steps(tenant_id=acme.pk) == FirstSteps()
    developer = someone(acme)
    assert 'hx-trigger="every 3s"' in developer.get("/developers/quickstart/steps").text
    call = make_call(acme, user="rep", mode="test", stage=Call.Stage.ENDED)
    steps = first_steps(tenant_id=acme.pk)
    assert (steps.call, steps.scored) == (call.public_id, False)
    with tenant_scope(acme.pk):
        Call.objects.filter(pk=call.pk).update(stage="scored")
        ApiKey.objects.update(last_used_at=datetime.now(UTC))
    steps = first_steps(tenant_id=acme.pk)
    assert (steps.scored, steps.live_key_used, steps.live_call) == (True, True, False)
    assert first_steps(tenant_id=make_integrator("Other").tenant.pk) == FirstSteps()


@pytest.mark.parametrize("language", ["py", "ts", "sh"])
@pytest.mark.django_db(transaction=True)
def test_the_snippet_runs_as_it_is_shown(acme, live_server, tmp_path, settings, language):
    page = someone(acme).post("/developers/quickstart/key").text
    (key,) = set(re.findall(r"ath_test_[0-9A-Za-z]{49}", page))
    context = {"base": live_server.url, "key": key, "drill": "ma-full-sale"}
    script = tmp_path / f"call.{language}"
    script.write_text(render_to_string(f"calls/developers/snippets/call.{language}.txt", context))
    if language == "ts":
        _compile(script, tmp_path / "call.mts")
    program = {"py": [sys.executable], "ts": ["node"], "sh": ["bash"]}[language]
    command = [*program, str(tmp_path / "call.mjs" if language == "ts" else script)]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        _score_the_call(acme, running)
        said, _ = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 0
    assert "overallScore" in said


def _compile(script: Path, module: Path) -> None:
    """With types checked; newer Nodes run it as it is."""
    script.rename(module)
    compiler = Path("node_modules/.bin/tsc").absolute()
    options = ["--module", "nodenext", "--target", "es2022", "--strict", "--types", ""]
    subprocess.run([compiler, *options, str(module)], check=True, cwd=module.parent)


def _score_the_call(tenant, running) -> None:
    for _ in range(600):
        with tenant_scope(tenant.pk):
            call = Call.objects.filter(mode="test").first()
        if call is not None:
            now = datetime.now(UTC)
            add_scorecard(call)
            with tenant_scope(tenant.pk):
                Call.objects.filter(pk=call.pk).update(
                    stage="scored", started_at=now, ended_at=now, scored_at=now, due_at=None
                )
            return
        try:
            running.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError("it ended before it started a call")
    raise AssertionError("no call was started")


# --- who may ------------------------------------------------------------------------------------


def test_who_does_not_develop_sees_and_changes_nothing(acme):
    for person in (
        someone(acme, "manager"),
        someone(acme, "analyst"),
        someone(acme, "owner", [acme.pk]),
    ):
        for page in ("quickstart", "quickstart/steps", "usage", "usage.csv", "embedding"):
            assert person.get(f"/developers/{page}").status_code == 403
        for act in ("quickstart/key", "embedding/add", "embedding/remove"):
            assert (
                person.post(f"/developers/{act}", {"origin": "https://x.example"}).status_code
                == 403
            )
    assert origins(acme) == []


@pytest.mark.parametrize(
    "page",
    [
        *("quickstart", "quickstart/steps", "usage", "usage.csv", "embedding", "keys", "requests"),
        *("../webhooks", "../webhooks/deliveries"),
    ],
)
def test_a_page_asks_few_questions(acme, page):
    for number in range(3):
        make_call(acme, user=f"rep{number}", agency=f"agency{number}")
        api_key_create(tenant=acme, name="key", mode="test")
    developer = someone(acme)
    developer.get("/calls")  # its session is read from now on
    with CaptureQueriesContext(connection) as captured:
        answer = developer.get(f"/developers/{page}".replace("/developers/..", ""))
    assert answer.status_code == 200
    # a served request is in no transaction of a test: its scopes make no savepoints
    asked = [q["sql"] for q in captured if "SAVEPOINT" not in q["sql"]]
    assert len(asked) <= 20, asked
