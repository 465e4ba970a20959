"""The Python helper on what the product's own code signs, and on what it would never sign."""

import base64
import json
import random
import time

import pytest
from useathos_webhooks import (
    CallEnded,
    CallScored,
    CallScoreFailed,
    CallStarted,
    EndpointTest,
    Event,
    RecordingDeleted,
    ScoreOverridden,
    WebhookRefused,
    verify,
)

from webhooks import event_openapi, signing

NOW = 1_749_139_254
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = json.dumps(event_openapi.SCORED_EXAMPLE, separators=(",", ":")).encode()


def header(body: bytes = BODY, *, at: int = NOW, secrets=(SECRET,)) -> str:
    return signing.signature_header(secrets=secrets, body=body, sent_at=at)


def refused(headers, body: bytes = BODY, secret=SECRET, **options) -> str:
    with pytest.raises(WebhookRefused) as cause:
        verify(body, headers, secret, **{"now": NOW} | options)
    assert cause.value.code in str(cause.value)
    return cause.value.code


def test_what_we_sign_is_accepted_and_read():
    event = verify(BODY, header(), SECRET, now=NOW)
    assert isinstance(event, CallScored)
    assert (event.success, event.external_agency_id, event.mode) == (True, "agency_chicago", "live")
    assert event.occurred_at.isoformat() == "2026-06-05T18:09:14+00:00"
    assert event.raw == json.loads(BODY)


@pytest.mark.parametrize(
    "headers",
    [
        header(),
        {"X-Athos-Signature": header()},
        signing.signed_headers(secrets=[SECRET], event_id="wh_1", body=BODY, sent_at=NOW),
        {"host": "x", "x-athos-signature": header()},
    ],
)
def test_headers_come_in_any_mapping(headers):
    assert verify(BODY, headers, SECRET, now=NOW).event == "call.scored"


def test_each_event_that_we_describe_has_its_class_and_loses_no_fact():
    kinds = [
        *(CallScored, CallScored, CallStarted, CallEnded, CallScoreFailed),
        *(ScoreOverridden, RecordingDeleted, EndpointTest),
    ]
    found = []
    for message in event_openapi.MESSAGES.values():
        content = message["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            body = json.dumps(example["value"]).encode()
            event = verify(body, header(body), SECRET, now=NOW)
            found.append(type(event))
            assert {_snake(name) for name in example["value"]} <= set(vars(event))
    assert found == kinds


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def test_an_event_of_a_kind_that_came_later_is_passed_on():
    facts = {"event": "call.praised", "occurredAt": "2026-06-05T18:09:14.000Z", "by": "Zoë"}
    body = json.dumps(facts | {"requestId": "req_1", "webhookId": "wh_2", "mode": "test"}).encode()
    event = verify(body, header(body), SECRET, now=NOW)
    assert type(event) is Event
    assert (event.mode, event.raw["by"]) == ("test", "Zoë")


def test_300_seconds_in_either_direction_are_allowed_and_no_more():
    for away in (-300, 0, 300):
        assert verify(BODY, header(at=NOW + away), SECRET, now=NOW)
    assert refused(header(at=NOW - 301)) == "TIME_TOO_OLD"
    assert refused(header(at=NOW + 301)) == "TIME_TOO_NEW"
    assert refused(header(at=NOW - 11), tolerance=10) == "TIME_TOO_OLD"
    assert verify(BODY, header(at=int(time.time())), SECRET)


def test_while_a_secret_rotates_any_signature_and_any_secret_will_do():
    new, stranger = signing.secret_make(), signing.secret_make()
    both = header(secrets=(new, SECRET))
    for secret in (SECRET, new, [stranger, SECRET]):
        assert verify(BODY, both, secret, now=NOW)
    assert verify(BODY, header(), [new, SECRET], now=NOW)
    assert refused(both, secret=[stranger]) == "SIGNATURE_MISMATCH"


@pytest.mark.parametrize("headers", [{}, {"webhook-signature": "v1,x"}])
def test_without_the_header_nothing_is_accepted(headers):
    assert refused(headers) == "SIGNATURE_MISSING"


DIGEST = header().partition("v1=")[2]


@pytest.mark.parametrize(
    "value",
    [
        "", "t=,v1=", f"v1={DIGEST}", f"t={NOW}", f"t={NOW},v1=", f"t={NOW},v1=é",
        f"t=x,v1={DIGEST}", f"t={NOW},v0={DIGEST}", f"t={NOW},v1={DIGEST[2:]}",
        f"t=-1,v1={DIGEST}", f"t=1e9,v1={DIGEST}",
        f"t={NOW}, v1={DIGEST}", f"t={NOW},v1={DIGEST.upper()}", f"t={NOW},t={NOW},v1={DIGEST}",
        f"t={NOW},v1={DIGEST}0", f"t=１,v1={DIGEST}", f"t={'1' * 13},v1={DIGEST}",
        f"t={NOW},v1={DIGEST}" + ",v1=00" * 1000, f"t={NOW}\n,v1={DIGEST}",
    ],
)  # fmt: skip
def test_a_header_of_another_form_is_refused(value):
    assert refused(value) == "SIGNATURE_MALFORMED"


def test_other_bytes_another_time_and_another_secret_are_refused():
    assert refused(header(), BODY + b" ") == "SIGNATURE_MISMATCH"
    assert refused(header().replace(f"t={NOW}", f"t={NOW + 1}")) == "SIGNATURE_MISMATCH"
    assert refused(header(), secret="whsec_other") == "SIGNATURE_MISMATCH"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b"\xff\xfe", b"{}", b"\xef\xbb\xbf{}", b"[" * 100_000,
     BODY.replace(b"true", b'"true"'), BODY.replace(b"2026-06-05T", b"yesterday"),
     BODY.replace(b'"call.scored"', b"[1]"), BODY.replace(b"callId", b"callIt")],
)  # fmt: skip
def test_what_is_signed_but_no_message_of_ours_is_refused(body):
    assert refused(header(body), body) == "BODY_INVALID"


@pytest.mark.parametrize("body", [BODY.decode(), json.loads(BODY), None])
def test_a_body_that_is_not_bytes_is_a_fault_of_the_caller(body):
    with pytest.raises(TypeError, match="raw bytes"):
        verify(body, header(), SECRET)


@pytest.mark.parametrize("secret", ["", [], [""], "MDEy", [SECRET, None]])
def test_a_secret_that_is_none_is_a_fault_of_the_caller(secret):
    with pytest.raises(ValueError, match="whsec_"):
        verify(BODY, header(), secret)


@pytest.mark.parametrize("tolerance", [-1, float("inf"), float("nan")])
def test_a_tolerance_that_is_none_is_a_fault_of_the_caller(tolerance):
    with pytest.raises(ValueError, match="tolerance"):
        verify(BODY, header(), SECRET, tolerance=tolerance)


def test_random_headers_never_do_more_than_refuse():
    chance = random.Random(7)
    for _ in range(3000):
        letters = list(header())
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(letters))
            letters[place] = chance.choice(["", ",", "=", "t=", "v1=", "é", "\x00", "0", "f"])
        value = "".join(letters)
        if value.lower() != header():
            assert refused(value) in {"SIGNATURE_MALFORMED", "SIGNATURE_MISMATCH"}
