"""Hostile HTTP, byte by byte, at a real web process: each request has its answer, in our form.

A connection that is kept must still be in step: a second request on it is answered as if alone.
"""

import re
from dataclasses import dataclass

import pytest
from django.test import TransactionTestCase

from athos.tests.web_process import Answer, Wire, request, web_process
from calls.tests.making import API, make_integrator

REQUEST_ID = re.compile(r"req_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
LIMIT = 1024 * 1024  # bytes of a body
MINT = f"{API}/session"
REDEEM = f"{API}/roleplay/session"
GOOD = b'{"externalUserId": "rep_1"}'


@dataclass(frozen=True)
class Case:
    """Bytes to send and what must come back. `code` None: a page, or an empty body."""

    name: str
    sent: bytes
    status: int
    code: str | None
    closed: bool = False
    method: str = "GET"


def bad(name: str, sent: bytes) -> Case:
    """What is not HTTP: nobody knows where the next request begins, so the connection ends."""
    return Case(name, sent, 400, "INVALID_REQUEST", closed=True)


def lines(*given: bytes) -> bytes:
    return b"\r\n".join([*given, b"", b""])


def get(path: str = f"{API}/nothing", *fields: bytes) -> bytes:
    return lines(b"GET %s HTTP/1.1" % path.encode(), b"Host: localhost", *fields)


def post(body: bytes, *fields: bytes, path: str = MINT, length: bool = True) -> bytes:
    """With a good key, which the test puts in the place of KEY."""
    given = [b"Host: localhost", b"Authorization: Bearer KEY", *fields]
    if not any(field.lower().startswith(b"content-type") for field in fields):
        given.append(b"Content-Type: application/json")
    if length:
        given.append(b"Content-Length: %d" % len(body))
    return lines(b"POST %s HTTP/1.1" % path.encode(), *given) + body


def keyed(path: str) -> bytes:
    return get(path, b"Authorization: Bearer KEY")


def chunked(*chunks: bytes, path: str = MINT) -> bytes:
    """Chunks as they go over the wire, framing included."""
    return post(b"", b"Transfer-Encoding: chunked", path=path, length=False) + b"".join(chunks)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


NOT_HTTP = [
    bad("garbage", b"\x16\x03\x01\x02\x00\x01\x00\xfc\x03\x03\r\n\r\n"),
    bad("one word", lines(b"HELLO")),
    bad("no version", lines(b"GET /")),
    bad("no target", lines(b"GET  HTTP/1.1")),
    bad("HTTP/0.9", lines(b"GET / HTTP/0.9")),
    bad("HTTP/2 by prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    bad("HTTP/9.9", lines(b"GET / HTTP/9.9", b"Host: localhost")),
    bad("lower-case http", lines(b"GET / http/1.1", b"Host: localhost")),
    bad("two spaces", lines(b"GET  / HTTP/1.1", b"Host: localhost")),
    bad("tabs for spaces", lines(b"GET\t/\tHTTP/1.1", b"Host: localhost")),
    bad("a space in the target", lines(b"GET /a b HTTP/1.1", b"Host: localhost")),
    bad("NUL in the target", lines(b"GET /\x00 HTTP/1.1", b"Host: localhost")),
    bad("raw bytes in the target", lines(b"GET /\xff\xfe HTTP/1.1", b"Host: localhost")),
    bad("a method that is none", lines(b"G@T / HTTP/1.1", b"Host: localhost")),
    bad("two empty lines", b"\r\n\r\n"),
    bad("a field without colon", get("/", b"Nonsense")),
    bad("a field without colon amid others", get("/", b"Nonsense", b"A: b")),
    bad("a space before the colon", get("/", b"X-A : b")),
    bad("a field without name", get("/", b": b")),
    bad("a name with a bracket", get("/", b"X(A): b")),
    bad("a name with NUL", get("/", b"X\x00A: b")),
    bad("NUL in a value", get("/", b"X-A: a\x00b")),
    bad("a bare LF in a value", get("/", b"X-A: a\nX-B: b")),
    bad("a bare CR in a value", get("/", b"X-A: a\rX-B: b")),
    bad("no Host", lines(b"GET / HTTP/1.1", b"X-A: b")),
    bad("two Hosts", get("/", b"Host: localhost")),
    bad("two Hosts, one evil", get("/", b"Host: evil.example")),
]
FRAMING = [
    bad("a negative length", post(b"", b"Content-Length: -1", length=False)),
    bad("a signed length", post(b"", b"Content-Length: +5", length=False)),
    bad("a hexadecimal length", post(b"", b"Content-Length: 0x10", length=False)),
    bad("an empty length", post(b"", b"Content-Length:", length=False)),
    bad("a list of lengths", post(b"", b"Content-Length: 5, 5", length=False)),
    bad("two lengths", post(GOOD, b"Content-Length: 5")),
    bad("length and chunked", post(GOOD, b"Transfer-Encoding: chunked")),
    bad("chunked and length", chunked() [:-2] + lines(b"Content-Length: 5")),
    bad("gzip as transfer coding", post(b"", b"Transfer-Encoding: gzip", length=False)),
    bad("gzip, chunked", post(b"", b"Transfer-Encoding: gzip, chunked", length=False)),
    bad("chunked twice", post(b"", *[b"Transfer-Encoding: chunked"] * 2, length=False)),
    bad("chunked with a vertical tab", post(b"", b"Transfer-Encoding: \x0bchunked", length=False)),
    bad("chunked in HTTP/1.0", chunked(b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
    bad("a chunk size that is none", chunked(b"zz\r\n")),
    bad("a negative chunk size", chunked(b"-1\r\n")),
    bad("a chunk size with 0x", chunked(b"0x5\r\nhello\r\n")),
    bad("a chunk longer than it says", chunked(b"3\r\nhello\r\n0\r\n\r\n")),
    bad("an endless chunk size", chunked(b"0" * 2000)),
    bad("an endless chunk extension", chunked(b"5;" + b"x" * 2000 + b"\r\nhello\r\n")),
    bad("NUL in a chunk extension", chunked(b"5;\x00\r\nhello\r\n0\r\n\r\n")),
    bad("an endless trailer", chunked(b"0\r\n" + b"X-A: b\r\n" * 10_000)),
]  # fmt: skip
TOO_LARGE = [
    Case("a URL of 9 kB", get("/" + "x" * 9000), 414, "URI_TOO_LONG", closed=True),
    Case("a URL without end", b"GET /" + b"x" * 20_000, 414, "URI_TOO_LONG", closed=True),
    Case("a query of 9 kB", get(f"{MINT}?" + "x" * 9000), 414, "URI_TOO_LONG", closed=True),
    Case("a field of 9 kB", get("/", b"X: " + b"x" * 9000), 431, "HEADERS_TOO_LARGE", closed=True),
    Case("a cookie of 9 kB", get("/", b"Cookie: a=" + b"x" * 9000), 431, "HEADERS_TOO_LARGE", True),
    Case("a field without end", get()[:-2] + b"X: " + b"x" * 30_000, 431, "HEADERS_TOO_LARGE",
         closed=True),
    Case("101 fields", get("/", *[b"X: y"] * 101), 431, "HEADERS_TOO_LARGE", closed=True),
    Case("17 kB of fields", get("/", *[b"X: " + b"x" * 500] * 34), 431, "HEADERS_TOO_LARGE", True),
    Case("17 kB of one folded field", get("/", b"X: y", *[b" " + b"y" * 500] * 34), 431,
         "HEADERS_TOO_LARGE", closed=True),
    Case("a length over the limit, no body", post(b"", b"Content-Length: %d" % (LIMIT + 1),
         length=False), 413, "PAYLOAD_TOO_LARGE", closed=True),
    Case("a length of 5,000 digits", post(b"", b"Content-Length: " + b"9" * 5000, length=False),
         413, "PAYLOAD_TOO_LARGE", closed=True),
    Case("a body over the limit", post(b" " * (LIMIT + 1)), 413, "PAYLOAD_TOO_LARGE", closed=True),
    Case("... to a page", post(b" " * (LIMIT + 1), path="/sign-in"), 413, "PAYLOAD_TOO_LARGE",
         closed=True),
    Case("... to nowhere", post(b" " * (LIMIT + 1), path="/x"), 413, "PAYLOAD_TOO_LARGE", True),
    Case("... with Expect", post(b"", b"Expect: 100-continue", b"Content-Length: 99999999",
         length=False), 413, "PAYLOAD_TOO_LARGE", closed=True),
    Case("chunks over the limit", chunked(*[chunk(b" " * 65_536)] * 17), 413, "PAYLOAD_TOO_LARGE",
         closed=True),
    Case("... and their end", chunked(chunk(b" " * (LIMIT + 1)), b"0\r\n\r\n"), 413,
         "PAYLOAD_TOO_LARGE", closed=True),
    Case("one chunk of a terabyte", chunked(b"ffffffffff\r\n" + b" " * (LIMIT + 1)), 413,
         "PAYLOAD_TOO_LARGE", closed=True),
]  # fmt: skip
TARGETS = [
    Case("an absolute target", get(f"http://localhost{MINT}"), 400, "INVALID_REQUEST"),
    Case("a stranger's absolute target", get("http://evil.example/"), 400, "INVALID_REQUEST"),
    Case("CONNECT", get("evil.example:443").replace(b"GET", b"CONNECT"), 400, "INVALID_REQUEST"),
    Case("OPTIONS *", get("*").replace(b"GET", b"OPTIONS"), 400, "INVALID_REQUEST"),
    Case("Latin-1 in the path", lines(b"GET /api/\x80 HTTP/1.1", b"Host: localhost"), 400,
         "INVALID_REQUEST"),
    Case("Latin-1 in the query", lines(b"GET /api/?\x80 HTTP/1.1", b"Host: localhost"), 400,
         "INVALID_REQUEST"),
    Case("an encoded NUL in the path", get("/api/%00"), 404, "NOT_FOUND"),
    Case("an encoded NUL for a call", keyed(f"{API}/calls/%00"), 404, "CALL_NOT_FOUND"),
    Case("broken UTF-8 in the path", get("/api/%ff%fe"), 404, "NOT_FOUND"),
    Case("broken UTF-8 for a call", keyed(f"{API}/calls/%ff"), 404, "CALL_NOT_FOUND"),
    Case("a surrogate for a call", keyed(f"{API}/calls/%ed%a0%80"), 404, "CALL_NOT_FOUND"),
    Case("half an escape", get("/api/%"), 404, "NOT_FOUND"),
    Case("dots", get(f"{API}/../../../../etc/passwd"), 404, "NOT_FOUND"),
    Case("encoded dots", get("/static/%2e%2e%2f%2e%2e%2fetc/passwd"), 404, None),
    Case("two slashes", get(f"/{MINT}"), 404, None),
    Case("a slash at the end", get(f"{MINT}/"), 404, "NOT_FOUND"),
    Case("a fragment", get(f"{MINT}#x"), 404, "NOT_FOUND"),
    Case("an unknown page", get("/nothing"), 404, None),
    Case("a NUL in the query", keyed(f"{API}/calls?from=2026-01-01T00:00:00Z&externalUserId=%00"),
         400, "INVALID_REQUEST"),
    Case("broken UTF-8 in the query",
         keyed(f"{API}/calls?from=2026-01-01T00:00:00Z&externalUserId=%ff"), 400,
         "INVALID_REQUEST"),
    Case("1,500 parameters", keyed(f"{API}/calls?" + "a&" * 1500), 400, "INVALID_REQUEST"),
]  # fmt: skip
FIELDS = [
    Case("a Host that is not ours", get().replace(b"localhost", b"evil.example"), 400,
         "INVALID_REQUEST"),
    Case("an empty Host", get().replace(b"localhost", b""), 400, "INVALID_REQUEST"),
    Case("a Host with a path", get().replace(b"localhost", b"localhost/@evil"), 400,
         "INVALID_REQUEST"),
    Case("a Host with Latin-1", get().replace(b"localhost", b"localh\xf6st"), 400,
         "INVALID_REQUEST"),
    Case("a vertical tab in a value", get(MINT, b"X-A: a\x0bb"), 400, "INVALID_REQUEST"),
    Case("Latin-1 in a value", get(f"{API}/nothing", b"X-A: \xff\xfe"), 404, "NOT_FOUND"),
    Case("Latin-1 for a key", get(f"{API}/calls", b"Authorization: Bearer \xff"), 401,
         "INVALID_API_KEY"),
    Case("two keys", post(GOOD, b"Authorization: Bearer KEY"), 401, "INVALID_API_KEY"),
    Case("a folded field", get(f"{API}/nothing", b"X-A: a", b" b"), 404, "NOT_FOUND"),
    Case("junk cookies", get(f"{API}/nothing", b"Cookie: =;;=; a=b=c; \x80"), 404, "NOT_FOUND"),
    Case("a root path", get("/x/healthz", b"Daphne-Root-Path: /x"), 404, None),
    Case("a root path that is none", get("/healthz", b"Daphne-Root-Path: \xff"), 200, None),
    Case("a request id of the client's", get("/healthz", b"X-Athos-Request-Id: req_mine"), 200,
         None),
    Case("HTTP/2 offered in clear", get(f"{API}/nothing", b"Upgrade: h2c", b"Connection: upgrade"),
         404, "NOT_FOUND"),
    Case("a WebSocket where there is none",
         get(f"{API}/nothing", b"Upgrade: websocket", b"Connection: Upgrade"), 404, "NOT_FOUND"),
    Case("a WebSocket by POST",
         post(b"{}", b"Upgrade: websocket", b"Connection: Upgrade", path="/live/v1"), 404, None),
    Case("a WebSocket without a key", get("/live/v1", b"Upgrade: websocket",
         b"Connection: Upgrade"), 400, "INVALID_REQUEST", closed=True),
    Case("a WebSocket of another version", get("/live/v1", b"Upgrade: websocket",
         b"Connection: Upgrade", b"Sec-WebSocket-Version: 99",
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "INVALID_REQUEST", closed=True),
    Case("an expectation we know nothing of", post(GOOD, b"Expect: miracles"), 200, None),
    Case("HTTP/1.0", lines(b"GET /healthz HTTP/1.0"), 200, None, closed=True),
    Case("Connection: close", get("/healthz", b"Connection: close"), 200, None, closed=True),
]  # fmt: skip
METHODS = [
    Case("GET of mint", get(MINT), 405, "METHOD_NOT_ALLOWED"),
    Case("HEAD of mint", get(MINT).replace(b"GET", b"HEAD"), 405, None, method="HEAD"),
    Case("HEAD of nothing", get().replace(b"GET", b"HEAD"), 404, None, method="HEAD"),
    Case("TRACE", get(MINT).replace(b"GET", b"TRACE"), 405, "METHOD_NOT_ALLOWED"),
    Case("BREW", get(MINT).replace(b"GET", b"BREW"), 405, "METHOD_NOT_ALLOWED"),
    Case("OPTIONS of mint", get(MINT).replace(b"GET", b"OPTIONS"), 405, "METHOD_NOT_ALLOWED"),
    Case("preflight of redeem", get(REDEEM).replace(b"GET", b"OPTIONS"), 204, None),
    Case("GET with a body", get(MINT, b"Content-Length: 5") + b"hello", 405, "METHOD_NOT_ALLOWED"),
]  # fmt: skip
BODIES = [
    *(
        Case(f"body {number}: {body[:12]!r}", post(body), 400, "INVALID_REQUEST")
        for number, body in enumerate([
            b"", b"{", b"[1]", b"null", b'"x"', b"5", b"{}{}", b"\x00", b'{"a": NaN}', b"\xff",
            b"\xff\xfe{\x00}\x00", b'{"externalUserId": "\xff"}', b'{"externalUserId": "\\u0000"}',
            b'{"externalUserId": "\\ud800"}', b'{"externalUserId": 5}',
            b'{"externalUserId": ["a"]}', b'{"externalUserId": null}',
            b'{"externalUserId": "r", "externalAgencyId": 1}', b"[" * 100_000, b'{"a":' * 100_000,
            b'{"externalUserId": "r", "externalAgencyId": " "}', b"<a/>", b"externalUserId=r",
            b'{"externalUserId": %s}' % (b"9" * 5000),
        ])
    ),
    Case("a form", post(b"externalUserId=r", b"Content-Type: application/x-www-form-urlencoded"),
         415, "UNSUPPORTED_MEDIA_TYPE"),
    Case("a broken multipart form", post(b"--x\r\nnonsense",
         b"Content-Type: multipart/form-data; boundary=x"), 415, "UNSUPPORTED_MEDIA_TYPE"),
    Case("a multipart form without boundary", post(b"x", b"Content-Type: multipart/form-data"),
         415, "UNSUPPORTED_MEDIA_TYPE"),
    Case("two types", post(GOOD, b"Content-Type: application/json", b"Content-Type: text/plain"),
         415, "UNSUPPORTED_MEDIA_TYPE"),
    Case("gzip", post(GOOD, b"Content-Encoding: gzip"), 415, "UNSUPPORTED_MEDIA_TYPE"),
    Case("unknown fields", post(b'{"externalUserId": "r", "colour": {"a": [1]}}'), 200, None),
    Case("chunked", chunked(chunk(GOOD[:5]), chunk(GOOD[5:]), b"0\r\n\r\n"), 200, None),
    Case("chunked with extension and trailer",
         chunked(b"%x;a=b\r\n%s\r\n" % (len(GOOD), GOOD), b"0\r\nX-A: b\r\n\r\n"), 200, None),
    Case("as large as may be", post(GOOD.ljust(LIMIT)), 200, None),
    Case("chunked as large as may be", chunked(chunk(GOOD.ljust(LIMIT)), b"0\r\n\r\n"), 200, None),
]  # fmt: skip
CORPUS = [*NOT_HTTP, *FRAMING, *TOO_LARGE, *TARGETS, *FIELDS, *METHODS, *BODIES]


@pytest.fixture(scope="module")
def web(django_db_setup, tmp_path_factory):
    with web_process(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="module")
def acme(django_db_setup, django_db_blocker):
    """An integrator that the web process can see: committed, and gone when the module is done."""
    with django_db_blocker.unblock():
        made = make_integrator()
    yield made
    with django_db_blocker.unblock():
        TransactionTestCase("__init__")._fixture_teardown()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CORPUS])
def test_hostile_requests(case, web, acme):
    with web.connect() as wire:
        wire.send(case.sent.replace(b"KEY", acme.secret.encode()))
        answer = wire.answer(case.method)
        assert_answer(answer, case)
        if case.closed:
            assert answer.header("Connection") == "close" or b"HTTP/1.0" in case.sent
            assert wire.is_closed()
        else:
            assert_in_step(wire)
    assert web.get("/healthz").body == b"ok\n"


def assert_answer(answer: Answer, case: Case) -> None:
    assert answer.status == case.status, answer
    request_id = answer.header("X-Athos-Request-Id")
    assert REQUEST_ID.fullmatch(request_id)
    if case.code is not None:
        assert answer.header("Content-Type") == "application/json"
        error = answer.json()["error"]
        assert (error["code"], error["requestId"]) == (case.code, request_id)
        assert error["message"]


def assert_in_step(wire: Wire) -> None:
    wire.send(request("GET", "/healthz"))
    assert wire.answer().body == b"ok\n"


def test_the_corpus_is_large_enough():
    assert len(CORPUS) >= 60
    assert len({case.name for case in CORPUS}) == len(CORPUS)
