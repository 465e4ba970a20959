"""The dashboard's pages of the log of requests."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from athos.tests.test_request_log import an_answer
from tenants import request_reading
from tenants.models import User
from tenants.request_advice import ADVICE
from tenants.request_log import Owner, requests_write
from tenants.services import api_key_create, tenant_create
from tenants.tests.test_key_pages import someone

PAGE = "/developers/requests"
NOW = datetime.now(UTC)


@pytest.fixture
def acme():
    return tenant_create(name="Acme", owner=User.objects.create(email="o@acme.example"))


def write(tenant, *facts, key=None):
    owner = Owner(tenant.pk, key.pk if key else None)
    batch = [
        an_answer(owner, **({"at": NOW - timedelta(seconds=n)} | each))
        for n, each in enumerate(facts)
    ]
    requests_write(batch)
    return [f"req_{each.request_id}" for each in batch]


def listed(page: str) -> list[str]:
    return re.findall(rf'href="{PAGE}/(req_[0-9a-f-]+)"', page)


@pytest.mark.django_db
def test_the_page_filters_by_result_key_and_route(acme):
    key, _ = api_key_create(tenant=acme, name="<b>CRM</b>")
    fine, missing, broken = write(
        acme,
        {},
        {"status": 404, "code": "CALL_NOT_FOUND", "route": "/calls/{callId}"},
        {"status": 500, "code": "INTERNAL_ERROR"},
    )
    (keyed,) = write(acme, {"at": NOW - timedelta(minutes=1)}, key=key)
    developer = someone(acme)
    page = developer.get(PAGE).text
    assert listed(page) == [fine, missing, broken, keyed]
    assert "&lt;b&gt;CRM" in page
    for query, found in {
        "status=refused": [missing, broken],
        "status=failed": [broken],
        "status=404": [missing],
        f"key={key.public_id}": [keyed],
        "key=key_nobodys": [],
        "route=/calls/{callId}": [missing],
        "status=refused&route=/calls": [broken],
        "status=nonsense": [fine, missing, broken, keyed],
    }.items():
        assert listed(developer.get(f"{PAGE}?{query}").text) == found, query


@pytest.mark.django_db
def test_pages_follow_each_other_without_a_gap_also_within_one_moment(acme):
    made = write(acme, *[{"at": NOW} for _ in range(60)], *[{} for _ in range(50)])
    developer, address, seen = someone(acme), PAGE, []
    for _ in range(3):
        page = developer.get(address).text
        seen += listed(page)
        older = re.search(r'rel="next" href="(\?[^"]+)"', page)
        if older is None:
            break
        address = PAGE + older[1].replace("&amp;", "&")
    assert sorted(seen) == sorted(made)
    assert len(set(seen)) == 110


@pytest.mark.django_db
def test_a_search_reads_so_many_rows_and_says_how_far_it_got(acme, monkeypatch):
    monkeypatch.setattr(request_reading, "LOOKED_AT", 5)
    made = write(acme, *[{} for _ in range(8)], {"route": "/usage"})
    developer = someone(acme)
    first = developer.get(f"{PAGE}?route=/usage").text
    assert listed(first) == []
    assert "Nothing like that so far" in first
    (older,) = re.findall(r'rel="next" href="(\?[^"]+)"', first)
    second = developer.get(PAGE + older.replace("&amp;", "&")).text
    assert listed(second) == [made[-1]]


@pytest.mark.django_db
def test_a_request_says_what_to_do(acme):
    (odd,) = write(acme, {"status": 400, "code": "INVALID_REQUEST", "field": "<i>limit</i>"})
    (nowhere,) = write(acme, {"status": 404, "code": "NOT_FOUND", "route": ""})
    (site,) = write(
        acme, {"status": 400, "code": "INVALID_REQUEST", "subject": "https://x.example<script>"}
    )
    developer = someone(acme)
    page = developer.get(f"{PAGE}/{odd}").text
    assert ADVICE["INVALID_REQUEST"] in page
    assert "&lt;i&gt;limit" in page
    assert "Nothing answers there" in developer.get(f"{PAGE}/{nowhere}").text
    page = developer.get(f"{PAGE}/{site}").text
    assert "not on your list" in page
    assert "https://x.example&lt;script&gt;" in page


@pytest.mark.django_db
def test_a_request_is_found_by_its_id_alone(acme):
    (made,) = write(acme, {})
    developer = someone(acme)
    for text in (made, f" {made} ", made.removeprefix("req_")):
        answer = developer.get(PAGE, {"id": text})
        assert answer.headers["Location"] == f"{PAGE}/{made}"
    assert developer.get(PAGE, {"id": "what<b>"}).headers["Location"] == PAGE
    assert developer.get(f"{PAGE}/req_{uuid.uuid4()}").status_code == 404
    assert developer.get(f"{PAGE}/nonsense").status_code == 404
    assert developer.get(f"{PAGE}?before=nonsense").status_code == 302


@pytest.mark.django_db
def test_others_see_none_of_it(acme):
    (made,) = write(acme, {})
    other = tenant_create(name="Other", owner=User.objects.create(email="o@x.example"))
    assert listed(someone(other).get(PAGE).text) == []
    assert someone(other, "owner").get(f"{PAGE}/{made}").status_code == 404
    for role in ("manager", "analyst"):
        assert someone(acme, role).get(PAGE).status_code == 403
        assert someone(acme, role + "", [uuid.uuid4()]).get(f"{PAGE}/{made}").status_code == 403


def test_the_advice_is_what_the_docs_say():
    told = dict(
        re.findall(
            r"^\| `([A-Z_]+)` \| \d+ \| .*? \| (.*?) \|$",
            Path("docs/errors.md").read_text(),
            re.MULTILINE,
        )
    )
    plain = {
        code: re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text).replace("`", "")
        for code, text in told.items()
    }
    assert plain == ADVICE
