"""Searching and exporting calls: what is found, what is not, and whose it stays."""

import asyncio
import csv
import io
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from calls.history import search as searching
from calls.history.exporting import HEADER, export_batches
from calls.history.listing import Reader
from calls.history.search import CallSearch, calls_search, search_parse
from calls.models import Call
from calls.services.transcripts import words_keep
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_scorecard, add_transcript, make_call
from calls.tests.test_call_pages import manager_of, shown
from tenants.isolation import tenant_scope
from tenants.models import Agency, AuditEvent, Rep

pytestmark = pytest.mark.django_db
XSS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE x; --",
    "{{31*41*43}}",
]


@pytest.fixture(autouse=True)
def drill(db):
    return make_drill()


@pytest.fixture
def acme():
    return make_integrator("Acme")


def said(tenant, words: str, **fields) -> Call:
    call = make_call(tenant, **fields)
    add_transcript(call, [("assistant", "Hello?"), ("user", words), ("assistant", "Goodbye.")])
    return call


def found(integrator, **query) -> list[str]:
    return shown(manager_of(integrator).get("/calls", query))


def test_words_are_found_however_they_are_bent(acme):
    stranger = make_integrator("Stranger")
    said(stranger.tenant, "Which prescriptions do you take?")
    call = said(acme.tenant, "Which prescriptions do you take?")
    said(acme.tenant, "Do you have a pharmacy?")
    for words in (
        "prescription",
        "PRESCRIPTION",
        '"prescriptions do you"',
        "prescriptions -pharmacy",
    ):
        assert found(acme, words=words) == [call.public_id], words
    for words in ("prescriptions pharmacy", "dentist", str(acme.tenant.pk), "the", "'"):
        assert found(acme, words=words) == [], words
    page = manager_of(acme).get("/calls", {"words": "prescription"})
    assert "<mark>prescriptions</mark>" in page.text
    assert f'href="/calls/{call.public_id}?at=5.0#transcript-title"' in page.text


def test_words_are_found_far_back_too(acme, monkeypatch):
    monkeypatch.setattr(searching, "NEAR", 1)
    stranger = make_integrator("Stranger")
    said(stranger.tenant, "A rare giraffe.")
    calls = [said(acme.tenant, "A rare giraffe.", agency="chicago") for _ in range(3)]
    said(acme.tenant, "A rare giraffe.", user="kim", agency="boston")
    said(acme.tenant, "A rare giraffe.", mode="test")
    said(acme.tenant, "Nothing.")
    with tenant_scope(acme.tenant.pk):
        chicago = Agency.objects.get(external_id="chicago")
    client = manager_of(acme, agencies=[chicago.pk])
    assert shown(client.get("/calls?words=giraffe")) == [c.public_id for c in reversed(calls)]
    assert len(found(acme, words="giraffe")) == 4
    reader = Reader(acme.tenant.pk)
    pages, cursor = [], None
    while True:
        each = calls_search(
            reader=reader, search=CallSearch(words="giraffe"), limit=2, cursor=cursor
        ).page
        pages += [call.pk for call in each.calls]
        cursor = each.next_cursor
        if cursor is None:
            break
    assert len(pages) == len(set(pages)) == 4


def test_the_database_functions_keep_to_tenant_and_agencies(acme):
    stranger = make_integrator("Stranger")
    mine = said(acme.tenant, "A giraffe.", agency="chicago")
    other = said(acme.tenant, "A giraffe.", user="kim", agency="boston")
    theirs = said(stranger.tenant, "A giraffe.")
    calls = [mine.pk, other.pk, theirs.pk]

    def ask(narrowed: str = "", words: str = "giraffe") -> set:
        since, before = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
        with connection.cursor() as cursor:
            asked = [words, narrowed, since, before, 10]
            cursor.execute("SELECT calls_saying(%s, %s, %s, %s, %s)", asked)
            far = {row[0] for row in cursor.fetchall()}
        assert narrowed or searching.said_among(calls, words) == far
        return far

    with tenant_scope(acme.tenant.pk):
        chicago = Agency.objects.get(external_id="chicago").pk
        assert ask() == {mine.pk, other.pk}
        assert ask(f"'agency:{other.agency_id}'") == {other.pk}
        assert ask(f"'rep:{mine.rep_id}' & 'mode:live'") == {mine.pk}
        assert ask(f"'{stranger.tenant.pk}'") == ask(words="the") == set()
    with tenant_scope(acme.tenant.pk, agencies=[chicago]):
        assert ask() == ask(words="-zebra") == {mine.pk}
        assert ask(f"'agency:{other.agency_id}'") == set()
    with tenant_scope(stranger.tenant.pk):
        assert ask() == {theirs.pk}


def test_far_back_filters_narrow_and_each_stretch_of_time_is_looked_at_once(acme, monkeypatch):
    monkeypatch.setattr(searching, "NEAR", 1)
    monkeypatch.setattr(searching, "FAR_BATCH", 2)
    now = datetime(2026, 6, 15, 12, tzinfo=UTC)
    calls = []
    for days in (0, 1, 31, 32, 40, 400, 3_000):
        call = said(acme.tenant, "A giraffe.", agency="chicago" if days % 2 else "boston")
        with tenant_scope(acme.tenant.pk):
            Call.objects.filter(pk=call.pk).update(created_at=now - timedelta(days=days))
            call.refresh_from_db()
            words_keep(call=call)
        calls.append(call)
    kim = said(acme.tenant, "A giraffe.", user="kim")
    with tenant_scope(acme.tenant.pk):
        Call.objects.filter(pk=kim.pk).update(drill_key="own-drill")

    def search(**asked) -> list:
        asked = CallSearch(words="giraffe", **asked)
        reader = Reader(acme.tenant.pk)
        return [c.pk for c in calls_search(reader=reader, search=asked, limit=25).page.calls]

    ours = [call.pk for call in calls]
    assert search(rep="rep_8842") == search(drill="ma-full-sale") == ours
    assert search(agency="boston") == [c.pk for c in calls if c.external_agency_id == "boston"]
    assert search(first_day=date(2026, 5, 15), last_day=date(2026, 6, 14)) == ours[1:3]
    monkeypatch.setattr(searching, "FAR_MOST", 3)
    found = calls_search(
        reader=Reader(acme.tenant.pk), search=CallSearch(words="giraffe"), limit=25
    )
    assert [call.pk for call in found.page.calls] == [kim.pk, *ours[:2]]  # kim's is looked at twice
    assert found.notes == ("Only the newest 3 calls with these words were looked at.",)


def test_each_filter_narrows(acme):
    when = datetime(2026, 6, 5, 12, tzinfo=UTC)
    sam = make_call(acme.tenant, user="sam", agency="chicago")
    add_scorecard(sam, overall=40)
    kim = make_call(acme.tenant, user="kim", agency="boston", stage="failed")
    old = make_call(acme.tenant, user="old-sam", stage="live")
    with tenant_scope(acme.tenant.pk):
        Rep.objects.filter(external_id="kim").update(name="Kim Ödegård")
        Call.objects.filter(pk=old.pk).update(created_at=when, drill_key="own-drill")
    for query, wanted in (
        ({"rep": "sam"}, [sam]),  # whose id it is, exactly
        ({"rep": "SAM"}, [sam, old]),
        ({"rep": "ödeg"}, [kim]),
        ({"agency": "boston"}, [kim]),
        ({"drill": "own-drill"}, [old]),
        ({"stage": "scored"}, [sam]),
        ({"stage": "failed"}, [kim]),
        ({"stage": "open"}, [old]),
        ({"score_from": "40", "score_to": "40"}, [sam]),
        ({"score_from": "41"}, []),
        ({"from": "2026-06-05", "to": "2026-06-05"}, [old]),
        ({"to": "2026-06-04"}, []),
        ({"from": "2026-06-06"}, [kim, sam]),
    ):
        assert set(found(acme, **query)) == {call.public_id for call in wanted}, query


def test_what_cannot_be_read_is_told_beside_the_form(acme):
    make_call(acme.tenant)
    page = manager_of(acme).get("/calls?from=yesterday&score_from=101&score_to=-1&stage=x&words=a")
    assert page.status_code == 200
    assert "A day is written like 2026-06-05." in page.text
    assert "A score is a whole number from 0 to 100." in page.text
    assert shown(page) == []
    assert "Clear" in page.text


def test_no_match_and_no_calls_are_told_apart(acme):
    assert "No calls yet" in manager_of(acme).get("/calls").text
    assert "No call matches" in manager_of(acme).get("/calls?rep=nobody").text


def test_a_page_keeps_its_filters_and_a_cursor_its_list(acme):
    for _ in range(26):
        make_call(acme.tenant, user="sam")
    client = manager_of(acme)
    first = client.get("/calls?rep=sam&score_to=")
    older = re.search(r'href="(/calls\?rep=sam&amp;before=[^"]+)"', first.text).group(1)
    older = older.replace("&amp;", "&")
    assert len(shown(client.get(older))) == 1
    other = client.get(older.replace("rep=sam", "rep=kim"))
    assert (other.status_code, other.headers["Location"]) == (302, "/calls?rep=kim")


def test_a_fragment_brings_the_list_alone_and_the_plain_address(acme):
    make_call(acme.tenant)
    headers = {"HX-Request": "true", "HX-Target": "calls"}
    page = manager_of(acme).get("/calls?rep=&words=&stage=scored", headers=headers)
    assert "<form" not in page.text
    assert page.headers["HX-Push-Url"] == "/calls?stage=scored"
    assert len(shown(page)) == 1


def test_a_search_that_takes_too_long_is_told(acme, monkeypatch):
    monkeypatch.setattr(searching, "SEARCH_SECONDS", 0.05)
    monkeypatch.setattr(
        searching, "after", lambda rows, place: rows.extra(where=["pg_sleep(1) IS NULL"])
    )
    make_call(acme.tenant)
    page = manager_of(acme).get("/calls")
    assert "This search took too long" in page.text


@pytest.mark.parametrize("text", XSS)
def test_what_is_asked_or_said_stays_text(acme, text):
    call = said(acme.tenant, f"giraffe {text}", user=text, agency=text)
    page = manager_of(acme).get("/calls", {"words": "giraffe", "rep": text})
    assert shown(page) == [call.public_id]
    assert text not in page.text or "<" not in text
    assert "54653" not in page.text


def test_a_page_asks_little_whatever_it_shows(acme):
    for _ in range(30):
        add_scorecard(said(acme.tenant, "giraffe", agency="chicago"))
    client = manager_of(acme)
    with CaptureQueriesContext(connection) as asked:
        client.get("/calls?words=giraffe&agency=chicago&rep=rep")
    assert len(asked) <= 20, "\n".join(each["sql"][:120] for each in asked)


# --- export --------------------------------------------------------------------------------------


def exported(reader, **search) -> list[list[str]]:
    text = b"".join(export_batches(reader=reader, search=CallSearch(**search))).decode()
    return list(csv.reader(io.StringIO(text)))


def test_everything_that_matches_is_exported_once(acme, monkeypatch):
    monkeypatch.setattr("calls.history.exporting.BATCH", 4)
    make_call(make_integrator("Stranger").tenant)
    calls = [said(acme.tenant, "giraffe" if n % 3 else "zebra") for n in range(11)]
    make_call(acme.tenant, mode="test")
    with tenant_scope(acme.tenant.pk):  # three began together
        at = calls[5].created_at
        Call.objects.filter(pk__in=[c.pk for c in calls[4:7]]).update(created_at=at)
    reader = Reader(acme.tenant.pk)
    header, *rows = exported(reader)
    assert tuple(header) == HEADER
    assert sorted(row[0] for row in rows) == sorted(call.public_id for call in calls)
    _, *some = exported(reader, words="giraffe")
    assert sorted(row[0] for row in some) == sorted(
        c.public_id for n, c in enumerate(calls) if n % 3
    )


def test_no_cell_is_a_formula(acme):
    names = ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(1)", "\t=1", " =1", "plain", 'a"b,c\r\nd']
    for number, name in enumerate(names):
        make_call(acme.tenant, user=f"rep{number}")
        with tenant_scope(acme.tenant.pk):
            Rep.objects.filter(external_id=f"rep{number}").update(name=name)
    column = HEADER.index("repName")
    shown_names = {row[column] for row in exported(Reader(acme.tenant.pk))[1:]}
    assert shown_names == {f"'{name}" for name in names[:6]} | set(names[6:])


@pytest.mark.django_db(transaction=True)
def test_the_file_is_streamed_to_whoever_may_see_the_calls_and_written_down(acme):
    chicago = make_call(acme.tenant, agency="chicago")
    make_call(acme.tenant, user="kim", agency="boston")
    with tenant_scope(acme.tenant.pk):
        agency = Agency.objects.get(external_id="chicago")
    answer = manager_of(acme, agencies=[agency.pk]).get("/calls/export.csv?stage=scored")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["X-Athos-Rows-At-Most"] == "1"

    async def read() -> list[str]:
        return b"".join([part async for part in answer.streaming_content]).decode().splitlines()

    lines = asyncio.run(read())
    answer.close()
    assert [line.split(",")[0] for line in lines] == ["callId", chicago.public_id]
    with tenant_scope(acme.tenant.pk):
        event = AuditEvent.objects.get(action="calls.export")
    assert event.details == {"filters": ["stage"], "mode": "live"}


def test_two_exports_at_a_time_and_the_third_is_told(acme, monkeypatch):
    from calls.views import lists

    monkeypatch.setattr(lists._places, "acquire", lambda blocking: False)
    answer = manager_of(acme).get("/calls/export.csv")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


def test_days_and_scores_are_parsed():
    asked = search_parse({"from": "2026-06-05", "score_to": "0", "rep": " sam ", "other": "x"})
    assert asked.search.query() == {"from": "2026-06-05", "score_to": "0", "rep": "sam"}
    assert asked.problems == {}
    assert search_parse({"words": "x" * 201}).problems
    assert search_parse({"rep": "a\x00"}).problems
