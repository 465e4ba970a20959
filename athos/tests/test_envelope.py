"""Every answer carries a request id; every failure of the API has the one form."""

import json
import re

import pytest
from django.db import connection, connections
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from athos.urls import urlpatterns as product_urls
from calls.tests.making import API, make_integrator
from tenants.api import ApiView
from tenants.errors import RateLimited

REQUEST_ID = re.compile(r"req_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Failing(ApiView):
    authentication_classes = []

    def get(self, request: Request, kind: str) -> Response:
        raise {
            "crash": RuntimeError("a secret text"),
            "limited": RateLimited(retry_after=7),
            "throttled": Throttled(wait=3),
        }[kind]


def broken_page(request):
    raise RuntimeError("a secret text")


urlpatterns = [
    *product_urls,
    path("api/external/v1/fails/<kind>", Failing.as_view()),
    path("api/broken", broken_page),
    path("broken", broken_page),
]
handler400 = "athos.errors.bad_request"
handler403 = "athos.errors.permission_denied"
handler404 = "athos.errors.page_not_found"
handler500 = "athos.errors.server_error"


def client(**headers):
    return Client(raise_request_exception=False, headers=headers)


def assert_envelope(answer, status, code):
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert set(error) >= {"code", "message", "requestId"}
    assert error["code"] == code
    assert error["message"]
    assert REQUEST_ID.fullmatch(error["requestId"])
    assert error["requestId"] == answer.headers["X-Athos-Request-Id"]


@pytest.mark.parametrize(
    "address",
    ["/api/external/v1/nothing", "/api/external/v1/", "/api/external/v1/session/", "/api", "/api/x",
     "/api/external/v1/session%00", "/api/external/v2/session", "/api/%ff%fe",
     "/api/external/v1/roleplay/session/extra"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options"])
def test_an_unknown_address(address, method):
    answer = getattr(client(), method)(address)
    if address == "/api":
        assert answer.status_code == 404
        assert REQUEST_ID.fullmatch(answer.headers["X-Athos-Request-Id"])
    else:
        assert_envelope(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize("address", [f"{API}/session", f"{API}/roleplay/session"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_a_wrong_method_is_405_with_or_without_a_key(address, method):
    answer = client().generic(method, address, headers={"Authorization": "Bearer x"})
    assert_envelope(answer, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["Allow"]
    assert client().head(address).status_code == 405


@pytest.mark.django_db
class TestBodies:
    @pytest.mark.parametrize(
        "content_type",
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
         "application/xml", "application/jsonp", "nonsense", "application/json/x", ""],
    )  # fmt: skip
    def test_other_content_types(self, content_type):
        acme = make_integrator()
        answer = client().generic(
            "POST", f"{API}/session", b'{"externalUserId": "r"}', content_type,
            headers={"Authorization": f"Bearer {acme.secret}"},
        )  # fmt: skip
        assert_envelope(answer, 415, "UNSUPPORTED_MEDIA_TYPE")

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"],
    )
    def test_json_in_its_spellings(self, content_type):
        acme = make_integrator()
        answer = client().generic(
            "POST", f"{API}/session", b'\xef\xbb\xbf{"externalUserId": "r"}', content_type,
            headers={"Authorization": f"Bearer {acme.secret}", "Accept": "text/html"},
        )  # fmt: skip
        assert answer.status_code == 200

    def test_a_compressed_body_is_refused(self):
        answer = make_integrator().post("/session", {}, **{"Content-Encoding": "gzip"})
        assert_envelope(answer, 415, "UNSUPPORTED_MEDIA_TYPE")

    @pytest.mark.parametrize("body", ["{", "", "[1]", "\x00", "{'a': 1}"])
    def test_malformed_json(self, body):
        assert_envelope(make_integrator().post("/session", body), 400, "INVALID_REQUEST")

    def test_a_body_over_a_mebibyte(self):
        acme = make_integrator()
        whole = json.dumps({"externalUserId": "r"})
        limit = 1024 * 1024
        assert acme.post("/session", whole.ljust(limit)).status_code == 200
        assert_envelope(acme.post("/session", whole.ljust(limit + 1)), 413, "PAYLOAD_TOO_LARGE")

    def test_without_a_key(self):
        answer = client().post(f"{API}/session")
        assert_envelope(answer, 401, "INVALID_API_KEY")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_host_that_is_not_ours():
    assert_envelope(client(Host="evil.example").get(f"{API}/session"), 400, "INVALID_REQUEST")


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize("address", [f"{API}/fails/crash", "/api/broken"])
def test_a_crash_says_nothing_of_its_cause(address, caplog):
    answer = client().get(address)
    assert_envelope(answer, 500, "INTERNAL_ERROR")
    assert b"secret" not in answer.content
    assert any(record.exc_info for record in caplog.records)


@override_settings(ROOT_URLCONF=__name__)
def test_a_crash_of_a_page_is_a_page():
    answer = client().get("/broken")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/html")
    assert REQUEST_ID.fullmatch(answer.headers["X-Athos-Request-Id"])


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(("kind", "seconds"), [("limited", "7"), ("throttled", "3")])
def test_too_many_requests_says_when_to_come_back(kind, seconds):
    answer = client().get(f"{API}/fails/{kind}")
    assert_envelope(answer, 429, "RATE_LIMITED")
    assert answer.headers["Retry-After"] == seconds


def test_the_clients_own_request_id_is_not_taken_over():
    answer = client(**{"X-Athos-Request-Id": "req_mine"}).get(f"{API}/nothing")
    assert "mine" not in answer.headers["X-Athos-Request-Id"]


def test_each_request_has_its_own_id():
    assert len({client().get("/").headers["X-Athos-Request-Id"] for _ in range(20)}) == 20


async def test_the_same_through_asgi():
    asgi = AsyncClient(raise_request_exception=False)
    assert_envelope(await asgi.get(f"{API}/nothing"), 404, "NOT_FOUND")
    assert_envelope(await asgi.get(f"{API}/session"), 405, "METHOD_NOT_ALLOWED")
    assert_envelope(await asgi.post(f"{API}/session"), 401, "INVALID_API_KEY")
    assert_envelope(await asgi.post(f"{API}/roleplay/session"), 401, "INVALID_TOKEN")


@pytest.mark.django_db(transaction=True)
def test_while_the_database_is_away_we_say_503_and_when_to_come_back():
    acme = make_integrator()
    connection.close()
    default = connections["default"]
    default.close_pool()
    host = default.settings_dict["HOST"]
    default.settings_dict["HOST"] = "/nowhere"
    try:
        answer = acme.post("/session", {"externalUserId": "r"})
        assert_envelope(answer, 503, "SERVICE_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
        assert_envelope(client().get(f"{API}/nothing"), 404, "NOT_FOUND")
    finally:
        default.close_pool()
        default.settings_dict["HOST"] = host
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
