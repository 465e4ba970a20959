"""The pages of reps and agencies, and names from a file: by people, and by strangers."""

import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from calls.history.listing import Reader
from calls.reps.progress import trend
from calls.reps.sheets import Line, sheet_decode, sheet_read, sheet_write
from calls.services.reviewing import score_override, score_override_withdraw
from calls.tests.making import make_drill, make_integrator, make_worker, redeem
from calls.tests.making_calls import add_scorecard, make_call
from calls.tests.test_call_pages import manager_of
from scoring.overrides import Seen
from scoring.ports import Answer
from tenants.isolation import tenant_scope
from tenants.models import Agency, AuditEvent, Membership, Rep
from tenants.services import SYSTEM

pytestmark = pytest.mark.django_db
EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 70707|add:70707 }}",
    "</title>",
)


@pytest.fixture(autouse=True)
def drill(db):
    return make_drill()


@pytest.fixture
def acme():
    return make_integrator("Acme")


@pytest.fixture
def client(acme):
    return manager_of(acme)


def rep_named(integrator, external_id="rep_8842", **columns):
    with tenant_scope(integrator.tenant.pk):
        rep, _ = Rep.objects.get_or_create(tenant=integrator.tenant, external_id=external_id)
        Rep.objects.filter(pk=rep.pk).update(**columns)
        return Rep.objects.select_related("agency").get(pk=rep.pk)


def agency_named(integrator, external_id):
    with tenant_scope(integrator.tenant.pk):
        return Agency.objects.get_or_create(tenant=integrator.tenant, external_id=external_id)[0]


def scored(integrator, points, *, days_ago=0, **more):
    ended_at = timezone.now() - timedelta(days=days_ago, minutes=5)
    call = make_call(integrator.tenant, ended_at=ended_at, **more)
    add_scorecard(call, overall=points)
    return call


def names_in(page):
    assert page.status_code == 200, page.content
    return re.findall(r'<a href="/reps/rep_[\w-]{21}">([^<]+)</a>', page.text)


def actions(integrator):
    with tenant_scope(integrator.tenant.pk):
        return list(AuditEvent.objects.order_by("at").values_list("action", flat=True))


def edit(client, rep, **wish):
    page = client.get(f"/reps/{rep.public_id}").text
    seen = re.search(r'name="seen" value="(\w+)"', page).group(1)
    return client.post(f"/reps/{rep.public_id}/edit", {"seen": seen} | wish)


# --- the list -------------------------------------------------------------------------------------


def test_an_unknown_id_is_shown_as_such_and_one_click_from_a_name(acme, client):
    scored(acme, 70)
    rep = rep_named(acme)
    page = client.get("/reps").text
    assert "No name yet" in page
    assert f'/reps/{rep.public_id}#edit">Give a name' in page
    assert edit(client, rep, name="Sam Carter").status_code == 302
    page = client.get("/reps").text
    assert "Sam Carter" in page and "No name yet" not in page


def test_reps_are_paged_by_name_and_no_page_repeats_one(acme, client):
    for number in range(30):
        rep_named(acme, f"rep_{number:02}", name=f"Person {number % 7}" if number % 3 else "")
    seen, address = [], "/reps"
    while address:
        page = client.get(address)
        seen += names_in(page)
        more = re.search(r'rel="next" href="([^"]+)"', page.text)
        address = more and more.group(1).replace("&amp;", "&")
    assert len(seen) == 30
    assert seen == sorted(seen, key=str.casefold)
    assert client.get("/reps?after=broken").status_code == 302


def test_reps_are_found_by_name_id_mail_agency_and_team(acme, client):
    north = agency_named(acme, "north")
    agency_named(acme, "south")
    rep_named(acme, "a_1", name="Ada", email="ada@example.com", agency=north, team="Blue")
    rep_named(acme, "b_2", name="Bob")
    rep_named(acme, "c_3")
    for query, found in (
        ("q=ADA", ["Ada"]),
        ("q=b_2", ["Bob"]),
        ("q=ada@", ["Ada"]),
        (f"agency={north.public_id}", ["Ada"]),
        ("team=Blue", ["Ada"]),
        ("unnamed=1", ["c_3"]),
        ("q=%25", []),
        ("q=%00", ["Ada", "Bob", "c_3"]),
    ):
        assert names_in(client.get(f"/reps?{query}")) == found, query


def test_the_list_tells_practice_of_thirty_days_and_the_last_score(acme, client):
    scored(acme, 91, days_ago=40)
    scored(acme, 60, days_ago=3)
    scored(acme, 50, days_ago=1)
    scored(acme, 99, mode="test")
    cells = re.findall(r'<td class="number"[^>]*>(?:<strong>)?(\d+)', client.get("/reps").text)
    assert cells == ["2", "1", "60", "50"]  # calls, minutes, best, last


def test_who_is_only_known_to_the_sandbox_is_no_part_of_the_live_list(acme, client):
    make_worker()
    test = make_integrator("Tester", mode="test")
    assert redeem(test.token("tester")).status_code == 200
    mine = manager_of(test)
    assert names_in(mine.get("/reps")) == []
    mine.post("/mode", {"mode": "test"})
    assert names_in(mine.get("/reps")) == ["tester"]


def test_the_list_costs_few_queries(acme, client, django_assert_max_num_queries):
    for number in range(8):
        scored(acme, 50, user=f"rep_{number}", agency="north")
    for address in ("/reps", "/agencies", "/assignments/add"):
        with django_assert_max_num_queries(20):
            client.get(address)
    rep = rep_named(acme, "rep_1")
    for address in (f"/reps/{rep.public_id}", f"/agencies/{rep.agency.public_id}"):
        with django_assert_max_num_queries(20):
            client.get(address)


# --- one rep --------------------------------------------------------------------------------------


def test_progress_is_of_the_drill_and_its_checks_against_the_own_past(acme, client):
    for day, points in enumerate((90, 88, 86, 84, 82, 60, 58, 56, 54)):
        scored(acme, points, days_ago=day)
    scored(acme, 10, user="somebody else")
    page = client.get(f"/reps/{rep_named(acme).public_id}").text
    assert "54, 56, 58, 60, 82, 84, 86, 88, 90" in page
    assert "now 86 points (n = 5), before 57 (n = 4), best 90" in " ".join(page.split())
    assert "Better" in page
    assert "Asked which doctors the customer wants to keep" in page


def test_of_a_check_a_managers_answer_counts_until_it_is_given_back(acme, client):
    call = scored(acme, 80)
    reader, said = Reader(acme.tenant.pk), {"check_key": "doctors", "actor": SYSTEM}
    said |= {"reader": reader, "public_id": call.public_id, "reason": "She did, at 0:12."}

    def met() -> str:
        page = client.get(f"/reps/{rep_named(acme).public_id}").text
        row = page.partition("Asked which doctors the customer wants to keep</th>")[2]
        return re.search(r'data-label="Now"><span>(\d+)', row).group(1)

    assert met() == "0"
    score_override(**said, answer=Answer.YES, seen=Seen(1, 0))
    assert met() == "100"
    score_override_withdraw(**said, seen=Seen(1, 1))
    assert met() == "0"


def test_too_few_attempts_are_not_compared():
    assert trend([90.0], 5).direction == "unknown"
    assert trend([90.0] * 3 + [50.0, 50.0], 5).direction == "unknown"
    assert trend([90.0] * 3 + [50.0] * 3, 5).direction == "up"
    assert trend([90.0] * 7, 5).now_count == 4
    assert trend([90.0] * 5 + [50.0] * 3, 5).direction == "up"
    assert trend([50.0] * 5 + [90.0] * 3, 5).direction == "down"
    assert trend([50.0] * 5 + [52.0] * 3, 5).direction == "same"
    assert trend([], 5).now is None


def test_an_edit_is_audited_without_the_name(acme, client):
    rep = rep_named(acme)
    assert edit(client, rep, name="Sam", email="sam@example.com", team="Red").status_code == 302
    with tenant_scope(acme.tenant.pk):
        event = AuditEvent.objects.get(action="rep.update")
    assert event.target == f"rep:{rep.public_id}"
    assert event.details == {"changed": ["name", "email", "team"]}
    edit(client, rep, name="Sam", email="sam@example.com", team="Red")
    assert actions(acme).count("rep.update") == 1


def test_two_who_edit_at_once_do_not_overwrite_each_other(acme, client):
    rep = rep_named(acme)
    first = client.get(f"/reps/{rep.public_id}").text
    seen = re.search(r'name="seen" value="(\w+)"', first).group(1)
    edit(client, rep, name="From Ada")
    late = client.post(f"/reps/{rep.public_id}/edit", {"seen": seen, "name": "From Bob"})
    assert late.status_code == 409
    assert "Somebody changed this" in late.text
    assert rep_named(acme).name == "From Ada"


@pytest.mark.parametrize(
    "wish",
    [
        {"name": "x" * 201},
        {"name": "a\x00b"},
        {"email": "no mail"},
        {"email": "a@b.c\nBcc: all@example.com"},
        {"agency": "agency_" + "x" * 21},
    ],
)
def test_what_is_no_name_or_address_is_refused_and_kept_in_the_form(acme, client, wish):
    rep = rep_named(acme)
    answer = edit(client, rep, **wish)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert rep_named(acme).name == ""


def test_roles_that_do_not_coach_see_no_form_and_may_not_post(acme):
    rep = rep_named(acme)
    for role in (Membership.Role.ANALYST, Membership.Role.DEVELOPER):
        client = manager_of(acme, role=role)
        assert 'name="seen"' not in client.get(f"/reps/{rep.public_id}").text
        for path in (f"/reps/{rep.public_id}/edit", "/reps/import", "/assignments/add"):
            assert client.post(path, {}).status_code == 403, path


def test_a_stranger_and_a_manager_of_another_agency_find_nothing(acme):
    scored(acme, 70, agency="north")
    rep, north = rep_named(acme), agency_named(acme, "north")
    south = agency_named(acme, "south")
    stranger = manager_of(make_integrator("Stranger"))
    southern = manager_of(acme, agencies=[south.pk])
    for client in (stranger, southern):
        assert names_in(client.get("/reps")) == []
        for path in (f"/reps/{rep.public_id}", f"/agencies/{north.public_id}"):
            assert client.get(path).status_code == 404
            assert client.post(f"{path}/edit", {"name": "x"}).status_code == 404
    assert names_in(manager_of(acme, agencies=[north.pk]).get("/reps")) == ["rep_8842"]


def test_who_left_for_another_agency_is_seen_but_not_changed_by_the_old_one(acme):
    scored(acme, 70, agency="north")
    north, south = agency_named(acme, "north"), agency_named(acme, "south")
    rep = rep_named(acme, agency=south, email="private@example.com", name="Sam")
    client = manager_of(acme, agencies=[north.pk])
    page = client.get(f"/reps/{rep.public_id}")
    assert page.status_code == 200
    assert "private@example.com" not in page.text and 'name="seen"' not in page.text
    assert client.post(f"/reps/{rep.public_id}/edit", {"name": "x"}).status_code == 403
    assert rep_named(acme).name == "Sam"


def test_a_manager_of_one_agency_moves_nobody_out_of_it(acme):
    north, south = agency_named(acme, "north"), agency_named(acme, "south")
    rep = rep_named(acme, agency=north)
    client = manager_of(acme, agencies=[north.pk])
    for elsewhere in (south.public_id, ""):
        assert edit(client, rep, name="x", agency=elsewhere).status_code == 400
    assert edit(client, rep, name="x", agency=north.public_id).status_code == 302


def test_free_text_is_text_on_every_page(acme, client):
    for number, evil in enumerate(EVIL):
        agency = agency_named(acme, f"{evil}{number}")
        rep = rep_named(acme, f"id {evil}", agency=agency)
        scored(acme, 50, user=rep.external_id)
        edit(client, rep, name=evil, team=evil, agency=agency.public_id)
        client.post(f"/agencies/{agency.public_id}/edit", {"name": evil})
        paths = ("/reps", "/agencies", f"/reps/{rep.public_id}", f"/agencies/{agency.public_id}")
        for path in (*paths, "/assignments/add", f"/reps?q={evil}&team={evil}"):
            text = client.get(path).text
            assert "<script>alert" not in text and "<img src=x" not in text, path
            assert (
                "141414" not in re.sub(r"<[^>]*>", "", text) or "{{ 70707|add:70707 }}" in text
            ), path
            assert text.partition("</head>")[0].count("</title>") == 1, path


# --- a file of names ------------------------------------------------------------------------------


def upload(client, content, **more):
    content = content if isinstance(content, bytes) else content.encode()
    return client.post("/reps/import", {"file": SimpleUploadedFile("reps.csv", content)} | more)


def carry_out(client, text, **more):
    plan = re.search(r'name="plan" value="(\w+)"', upload(client, text).text).group(1)
    return client.post("/reps/import", {"text": text, "plan": plan} | more)


def test_a_file_is_shown_first_and_then_carried_out_once(acme, client):
    rep_named(acme, "rep_1")
    text = (
        "externalUserId;Name;Email;agency\nrep_1;Ada Lovelace;ada@example.com;north\nrep_2;Bob;;\n"
    )
    shown = upload(client, text)
    assert shown.status_code == 200
    assert "Ada Lovelace" in shown.text and "north" in shown.text
    assert rep_named(acme, "rep_1").name == ""
    for _ in range(2):
        assert carry_out(client, text).status_code == 302
    ada = rep_named(acme, "rep_1")
    assert (ada.name, ada.email, ada.agency.external_id) == (
        "Ada Lovelace",
        "ada@example.com",
        "north",
    )
    assert rep_named(acme, "rep_2").name == "Bob"
    with tenant_scope(acme.tenant.pk):
        details = list(AuditEvent.objects.filter(action="reps.import").values_list("details"))
    assert {"new": 1, "changed": 1, "replace": False} in [each for (each,) in details]


def test_what_somebody_wrote_is_replaced_only_on_purpose(acme, client):
    rep_named(acme, "rep_1", name="Ada", team="")
    text = "externalUserId,name,team\nrep_1,Augusta,Blue\n"
    assert "<del>Ada</del>" in upload(client, text).text
    carry_out(client, text)
    rep = rep_named(acme, "rep_1")
    assert (rep.name, rep.team) == ("Ada", "Blue")
    carry_out(client, text, replace="1")
    assert rep_named(acme, "rep_1").name == "Augusta"


def test_a_plan_that_is_old_is_shown_again_and_not_carried_out(acme, client):
    text = "externalUserId,name\nrep_1,Ada\n"
    plan = re.search(r'name="plan" value="(\w+)"', upload(client, text).text).group(1)
    rep_named(acme, "rep_1", name="Grace")
    answer = client.post("/reps/import", {"text": text, "plan": plan, "replace": "1"})
    assert answer.status_code == 409
    assert rep_named(acme, "rep_1").name == "Grace"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "Choose a file."),
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"\xff\xfeexternalUserId", "UTF-8"),
        (b"externalUserId\n\x00", "not a text file"),
        (b"name\nAda", "externalUserId"),
        (b"externalUserId,shoe size\n1,2", "none of them"),
        (b"externalUserId,name,name\n1,2,3", "twice"),
        (b'externalUserId,name\n1,"never closed', "quote"),
        (b"externalUserId\n", "names nobody"),
        (b"externalUserId\n" + b"x\n" * 300_000, "KiB"),
        (b"externalUserId\n" + b"".join(b"r%d\n" % n for n in range(5001)), "5000"),
        (b"externalUserId,name\nr," + b"x" * 200_000, "too long"),
    ],
)
def test_a_hostile_file_is_refused_in_a_sentence(acme, client, content, told):
    answer = upload(client, content)
    assert answer.status_code == 400
    assert told in answer.text


def test_lines_with_problems_are_named_and_the_others_go_on(acme, client):
    lines = ("ok,Ada,", ",Nobody,", "ok,Again,", "bad,Bob,no mail", "long,Eve,,extra")
    text = "\n".join(("\ufeffexternalUserId,name,email", *lines))
    shown = upload(client, text).text
    for number, told in ((3, "empty"), (4, "line 2"), (5, "no e-mail"), (6, "4 cells")):
        assert re.search(rf"Line {number}</strong> [^<]*{told}", shown), number
    carry_out(client, text)
    assert rep_named(acme, "ok").name == "Ada"
    with tenant_scope(acme.tenant.pk):
        assert not Rep.objects.filter(external_id__in=["bad", "long"]).exists()


def test_an_import_of_one_agency_stays_in_it(acme):
    north, south = agency_named(acme, "north"), agency_named(acme, "south")
    rep_named(acme, "theirs", agency=south)
    client = manager_of(acme, agencies=[north.pk])
    text = "externalUserId,name,agency\nmine,Ada,north\nnew,Bob,\nother,Eve,south\n"
    shown = upload(client, text).text
    assert shown.count("agencies.</li>") == 2
    carry_out(client, text)
    with tenant_scope(acme.tenant.pk):
        assert set(Rep.objects.values_list("external_id", flat=True)) == {"mine", "theirs"}
    taken = carry_out(client, "externalUserId,name,agency\ntheirs,Stolen,north\n")
    assert taken.status_code == 400
    assert rep_named(acme, "theirs").name == ""


def test_formulas_are_quoted_in_the_template_and_taken_back(acme, client):
    rep_named(acme, "=cmd|' /C calc'!A0")
    template = client.get("/reps/import/template.csv")
    assert "\n=cmd" not in template.text and "'=cmd" in template.text
    (line,) = sheet_read(sheet_decode(template.content)).lines
    assert line.external_id == "=cmd|' /C calc'!A0"


def test_what_is_written_is_read_again():
    people = [Line(2, "a,b", 'Quo"te', "a@example.com", "-1", "@team"), Line(3, "+49")]
    assert sheet_read(sheet_write(people)).lines == tuple(people)


# --- agencies in the settings ---------------------------------------------------------------------


def test_managers_see_name_and_add_agencies_in_the_settings(acme, client):
    stranger = make_integrator("Stranger")
    foreign = agency_named(stranger, "foreign")
    north = agency_named(acme, "north")
    rep_named(acme, "rep_1", agency=north)
    limited = manager_of(acme, [north.pk])
    page = client.get("/settings/agencies").text
    assert "north" in page and "foreign" not in page and "@example.com" in page
    answer = client.post(f"/agencies/{north.public_id}/edit", {"name": EVIL[0], "from": "settings"})
    assert answer.headers["Location"] == "/settings/agencies"
    assert "&lt;script&gt;alert(1)" in client.get("/settings/agencies").text
    answer = client.post(f"/agencies/{foreign.public_id}/edit", {"name": "x", "from": "settings"})
    assert answer.status_code == 404
    new = {"external_id": " south ", "name": "The South"}
    assert client.post("/settings/agencies", new).status_code == 302
    for wrong in (new, {"external_id": " "}, {"external_id": "x" * 201}, {"external_id": "a\x00"}):
        assert client.post("/settings/agencies", wrong).status_code == 400
    with tenant_scope(acme.tenant.pk):
        assert dict(Agency.objects.values_list("external_id", "name")) == {
            "north": EVIL[0],
            "south": "The South",
        }
    assert actions(acme)[-2:] == ["agency.update", "agency.create"]
    assert limited.get("/settings/agencies").status_code == 403
    assert limited.post("/settings/agencies", new).status_code == 403
    analyst = manager_of(acme, role=Membership.Role.ANALYST)
    assert analyst.get("/settings/agencies").status_code == 403


def test_agencies_in_the_settings_are_paged(acme, client):
    with tenant_scope(acme.tenant.pk):
        Agency.objects.bulk_create(
            Agency(tenant=acme.tenant, external_id=f"agency {n:02}") for n in range(60)
        )
    first = client.get("/settings/agencies").text
    more = re.search(r'rel="next" href="([^"]+)"', first).group(1).replace("&amp;", "&")
    second = client.get(f"/settings/agencies{more}").text
    found = re.findall(r">(agency \d\d)</a>", first + second)
    assert found == [f"agency {n:02}" for n in range(60)]
