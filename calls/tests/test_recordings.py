"""The sound behind a signed link: ranges, expiry, and who may not have it."""

import re
import time
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import AsyncClient, Client

from calls.history.recording_links import PURPOSE, recording_link_make
from calls.models import Recording
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import add_recording, make_call
from calls.views.byte_ranges import ByteRange, NotSatisfiable, byte_range
from tenants import sealing
from tenants.isolation import tenant_scope

SOUND = bytes(range(256)) * 800  # 200 KiB: several pieces


# --- ranges, pure --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, 999),
        ("bytes=500-", 500, 999),
        ("bytes=999-", 999, 999),
        ("bytes=0-5000", 0, 999),
        ("bytes=-1", 999, 999),
        ("bytes=-5000", 0, 999),
        ("bytes= 10-19 ", 10, 19),
    ],
)
def test_a_range_of_a_thousand_bytes(header, first, last):
    assert byte_range(header, size=1000, most=2000) == ByteRange(first, last)


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-", 0, 299),
        ("bytes=900-", 900, 999),
        ("bytes=0-999", 0, 999),
        ("bytes=-500", 500, 999),
    ],
)
def test_a_range_without_an_end_gets_so_much_at_most(header, first, last):
    assert byte_range(header, size=1000, most=300) == ByteRange(first, last)


@pytest.mark.parametrize(
    "header",
    ["", "bytes=", "bytes=-", "bytes=a-b", "bytes=9-1", "bytes=0-1,5-6", "items=0-1", "0-1",
     "bytes=1-2-3", "bytes=" + "9" * 30 + "-"],
)  # fmt: skip
def test_what_is_no_single_range_means_all(header):
    assert byte_range(header, size=1000, most=300) is None


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0"])
def test_a_range_behind_the_end(header):
    with pytest.raises(NotSatisfiable):
        byte_range(header, size=1000, most=300)


# --- the view ------------------------------------------------------------------------------------


@pytest.fixture
def call(db):
    make_drill()
    call = make_call(make_integrator().tenant)
    add_recording(call, SOUND)
    return call


@pytest.fixture
def path(call):
    return link(call)


def link(call):
    url = recording_link_make(tenant_id=call.tenant_id, call_id=call.pk).url
    assert url.startswith(settings.PUBLIC_URL + "/media/v1/recordings/")
    return urlsplit(url).path


def get(path, method="get", **headers):
    return getattr(Client(), method)(
        path, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def body(answer):
    return b"".join(answer)


# the test client consumes our asynchronous body synchronously, which Django warns about
pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")


def test_the_whole_file(path):
    answer = get(path)
    assert answer.status_code == 200
    assert body(answer) == SOUND
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Content-Length"] == str(len(SOUND))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Disposition"] == "inline"
    assert answer.headers["X-Athos-Request-Id"].startswith("req_")
    assert not answer.cookies


@pytest.mark.parametrize(
    ("range_", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=70000-", 70000, len(SOUND) - 1),
        ("bytes=-5", len(SOUND) - 5, len(SOUND) - 1),
    ],
)
def test_a_part_of_it(path, range_, first, last):
    answer = get(path, range=range_)
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(SOUND)}"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert body(answer) == SOUND[first : last + 1]


def test_a_range_behind_the_end_is_416(path):
    answer = get(path, range=f"bytes={len(SOUND)}-")
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(SOUND)}"


def test_head_has_the_headers_and_no_body(path):
    answer = get(path, method="head")
    assert (answer.status_code, body(answer)) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(SOUND))
    part = get(path, method="head", range="bytes=0-9")
    assert (part.status_code, part.headers["Content-Length"]) == (206, "10")
    assert part.headers["Content-Range"] == f"bytes 0-9/{len(SOUND)}"


def test_a_range_of_another_version_gives_the_whole_file(path):
    tag = get(path).headers["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    assert get(path, range="bytes=0-9", if_range=tag).status_code == 206
    assert get(path, range="bytes=0-9", if_range='"another"').status_code == 200
    assert get(path, range="bytes=0-9", if_range="Wed, 21 Oct 2026 07:28:00 GMT").status_code == 200
    assert get(path, if_none_match=tag).status_code == 304
    assert get(path, if_none_match='"another"').status_code == 200


def test_two_links_to_one_recording_are_the_same_file(call):
    first, second = link(call), link(call)
    assert first != second
    assert get(first).headers["ETag"] == get(second).headers["ETag"]


def refused(path):
    answer = get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND"), path
    assert answer.json()["error"]["requestId"] == answer.headers["X-Athos-Request-Id"]


def test_a_link_is_good_for_an_hour(call, monkeypatch):
    path = link(call)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3595)
    assert get(path).status_code == 200
    monkeypatch.setattr(time, "time", lambda: now + 3602)
    refused(path)


def test_a_link_cannot_be_made_or_changed(call, path):
    for odd in (path[:-1], path[:60] + "-" * 9 + path[69:], "/media/v1/recordings/x"):
        refused(odd)
    ticket = sealing.seal(b'["a","b"]', purpose="athos.call.ticket")
    refused(f"/media/v1/recordings/{ticket}")


def test_a_link_shows_no_ids(call, path):
    for internal in (call.pk, call.tenant_id):
        assert internal.hex not in path
        assert str(internal) not in path


def test_a_link_that_mixes_tenants_finds_nothing(call):
    stranger = make_integrator("Stranger")
    url = recording_link_make(tenant_id=stranger.tenant.pk, call_id=call.pk).url
    refused(urlsplit(url).path)


def test_an_erased_recording_is_gone(call, path):
    with tenant_scope(call.tenant_id):
        row = Recording.objects.get()
    row.file.storage.delete(row.file.name)
    refused(path)
    with tenant_scope(call.tenant_id):
        Recording.objects.all().delete()
    refused(path)


def test_only_get_and_head(path):
    assert get(path, method="post").status_code == 405


def test_links_outlive_a_turn_of_the_keys(call, settings):
    path = link(call)
    settings.ENCRYPTION_KEYS = {"new": "n" * 40} | settings.ENCRYPTION_KEYS
    assert get(path).status_code == 200
    assert sealing.unseal(path.rpartition("/")[2], purpose=PURPOSE)


@pytest.mark.django_db(transaction=True)
async def test_under_asgi_the_body_comes_in_pieces():
    from asgiref.sync import sync_to_async

    def make():
        make_drill()
        call = make_call(make_integrator().tenant)
        add_recording(call, SOUND)
        return link(call)

    answer = await AsyncClient().get(await sync_to_async(make)(), headers={"Range": "bytes=10-"})
    await sync_to_async(lambda: connection.close())()  # that of the thread in which views run
    pieces = [piece async for piece in answer.streaming_content]
    assert b"".join(pieces) == SOUND[10:]
    assert max(map(len, pieces)) <= 64 * 1024
    assert len(pieces) == 4
