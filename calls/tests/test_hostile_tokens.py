"""Session tokens that we did not make: none is accepted, none breaks us, none touches a row."""

import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

import jwt
import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from calls.models import SessionToken
from calls.services.session_jwt import (
    AUDIENCE,
    ISSUER,
    LEEWAY,
    LIFE,
    TYPE,
    InvalidToken,
    SessionClaims,
    TokenExpired,
    session_jwt_make,
    session_jwt_read,
)
from calls.tests.making import code, make_drill, make_integrator, make_worker, redeem
from tenants.isolation import tenant_scope

NOW = 1_800_000_000
RING = {"k2": "n" * 40, "k1": "o" * 40}
HEADER = {"alg": "HS256", "kid": "k2", "typ": TYPE}
CLAIMS = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "rep_8842",
    "tid": "sealed",
    "jti": "0b0f5a5e-7f6c-4b1e-9a51-2a9a3f6f9a10",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + LIFE,
}


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(header: Any = HEADER, claims: Any = CLAIMS, key: str = RING["k2"], how: Any = "sha256"):
    """A token with any header and claims, signed as asked: only its content is wrong."""
    body = f"{part(header)}.{part(claims)}"
    return f"{body}.{part(hmac.new(key.encode(), body.encode(), how).digest())}"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


GOOD = signed()
head, middle, tail = GOOD.split(".")
TEXT = json.dumps(CLAIMS)

HOSTILE: dict[str, str] = {
    # form
    "empty": "",
    "dots": "..",
    "one part": head,
    "two parts": f"{head}.{middle}",
    "no signature": f"{head}.{middle}.",
    "four parts": f"{GOOD}.{tail}",
    "five parts, as encrypted tokens have": f"{head}.{head}.{middle}.{middle}.{tail}",
    "padding": f"{GOOD}=",
    "space inside": GOOD.replace(".", " .", 1),
    "line end": GOOD + "\n",
    "standard base64": f"{head}.{middle}.{'+' + tail[1:]}",
    "signature's other spelling": GOOD[:-1] + chr(ord(GOOD[-1]) + 1),
    "signature cut": GOOD[:-1],
    "signature longer": GOOD + "A",
    "signature of zeros": f"{head}.{middle}.{'A' * 43}",
    "signature changed": f"{head}.{middle}.{('B' if tail[0] != 'B' else 'C') + tail[1:]}",
    "huge": f"{head}.{'A' * 100_000}.{tail}",
    "only unicode": "é.é." + "é" * 43,
    "NUL": GOOD[:5] + "\x00" + GOOD[6:],
    "JSON, not a token": TEXT,
    "quoted": f'"{GOOD}"',
    "header not JSON": signed(b"{"),
    "header a list": signed([]),
    "header null": signed(None),
    "header empty": signed({}),
    "header not UTF-8": signed(b"\xff\xfe"),
    "header deep": signed(b"[" * 1500),
    "claims not JSON": signed(claims=b"nonsense"),
    "claims a list": signed(claims=[CLAIMS]),
    "claims a text": signed(claims="x"),
    "claims null": signed(claims=None),
    "claims empty": signed(claims={}),
    "claims not UTF-8": signed(claims=b"\xff"),
    "claims deep": signed(claims=b"[" * 1500),
    # algorithm
    **{f"alg {alg}": signed(HEADER | {"alg": alg}) for alg in ("none", "None", "NONE", "nOnE", "")},
    "alg none, unsigned": f"{part(HEADER | {'alg': 'none'})}.{middle}.",
    **{
        f"alg {alg}": signed(HEADER | {"alg": alg})
        for alg in ("HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "hs256", "HS256 ")
    },
    "HS512 with its own hash": signed(HEADER | {"alg": "HS512"}, how=hashlib.sha512),
    "HS384 with its own hash": signed(HEADER | {"alg": "HS384"}, how=hashlib.sha384),
    "HS256 said, sha1 used": signed(how=hashlib.sha1),
    "alg missing": signed({"kid": "k2", "typ": TYPE}),
    "alg a list": signed(HEADER | {"alg": ["HS256"]}),
    "alg null": signed(HEADER | {"alg": None}),
    # key
    "kid unknown": signed(HEADER | {"kid": "k9"}),
    "kid of the other key": signed(HEADER | {"kid": "k1"}),
    "kid empty": signed(HEADER | {"kid": ""}),
    "kid a path": signed(HEADER | {"kid": "../../dev/null"}, key=""),
    "kid a statement": signed(HEADER | {"kid": "' OR 1=1 --"}),
    "kid a number": signed(HEADER | {"kid": 2}),
    "kid null": signed(HEADER | {"kid": None}),
    "kid a list": signed(HEADER | {"kid": ["k2"]}),
    "kid missing": signed({"alg": "HS256", "typ": TYPE}),
    "empty key": signed(key=""),
    "key name as key": signed(key="k2"),
    "stranger's key": signed(key="s" * 40),
    # other headers
    **{
        f"header {name}": signed(HEADER | {name: value})
        for name, value in {
            "jku": "https://evil.example/keys",
            "x5u": "https://evil.example/cert",
            "jwk": {"kty": "oct", "k": part(b"s" * 40)},
            "x5c": ["MIIB"],
            "x5t": "a",
            "crit": ["exp"],
            "b64": False,
            "zip": "DEF",
            "cty": "JWT",
            "enc": "A128GCM",
        }.items()
    },
    "typ JWT": signed(HEADER | {"typ": "JWT"}),
    "typ in capitals": signed(HEADER | {"typ": TYPE.upper()}),
    "typ with prefix": signed(HEADER | {"typ": f"application/{TYPE}"}),
    "typ missing": signed({"alg": "HS256", "kid": "k2"}),
    # claims
    **{f"{name} missing": signed(claims=without(name)) for name in CLAIMS},
    **{f"{name} null": signed(claims=CLAIMS | {name: None}) for name in CLAIMS},
    **{f"{name} a list": signed(claims=CLAIMS | {name: [CLAIMS[name]]}) for name in CLAIMS},
    **{f"{name} an object": signed(claims=CLAIMS | {name: {"a": 1}}) for name in CLAIMS},
    **{f"{name} true": signed(claims=CLAIMS | {name: True}) for name in CLAIMS},
    "unknown claim": signed(claims=CLAIMS | {"admin": True}),
    "iss of somebody else": signed(claims=CLAIMS | {"iss": "evil"}),
    "aud of another token": signed(claims=CLAIMS | {"aud": "athos:other"}),
    "aud among others": signed(claims=CLAIMS | {"aud": [AUDIENCE, "other"]}),
    "aud in capitals": signed(claims=CLAIMS | {"aud": AUDIENCE.upper()}),
    "jti no UUID": signed(claims=CLAIMS | {"jti": "1"}),
    "jti in capitals": signed(claims=CLAIMS | {"jti": CLAIMS["jti"].upper()}),
    "jti in braces": signed(claims=CLAIMS | {"jti": "{" + CLAIMS["jti"] + "}"}),
    "jti without dashes": signed(claims=CLAIMS | {"jti": CLAIMS["jti"].replace("-", "")}),
    "jti with a NUL": signed(claims=CLAIMS | {"jti": CLAIMS["jti"] + "\x00"}),
    # times
    "exp a text": signed(claims=CLAIMS | {"exp": str(NOW + LIFE)}),
    "exp a float": signed(claims=CLAIMS | {"exp": NOW + 60.5}),
    "exp infinite": signed(claims=TEXT.replace(str(NOW + LIFE), "Infinity").encode()),
    "exp NaN": signed(claims=TEXT.replace(str(NOW + LIFE), "NaN").encode()),
    "exp endless": signed(claims=CLAIMS | {"exp": 10**400}),
    "exp of many digits": signed(claims=TEXT.replace(str(NOW + LIFE), "9" * 2500).encode()),
    "exp in 2100": signed(claims=CLAIMS | {"exp": 4_102_444_800}),
    "exp one second too far": signed(claims=CLAIMS | {"exp": NOW + LIFE + 1}),
    "exp before iat": signed(claims=CLAIMS | {"exp": NOW - 1}),
    "exp same as iat": signed(claims=CLAIMS | {"exp": NOW}),
    "exp negative": signed(claims=CLAIMS | {"exp": -1}),
    "iat in the future": signed(
        claims=CLAIMS | {"iat": NOW + 60, "nbf": NOW + 60, "exp": NOW + 90}
    ),
    "iat long ago": signed(claims=CLAIMS | {"iat": 0, "nbf": 0}),
    "nbf in the future": signed(claims=CLAIMS | {"nbf": NOW + 60}),
    "nbf before iat": signed(claims=CLAIMS | {"nbf": NOW - 60}),
    "nbf after exp": signed(claims=CLAIMS | {"nbf": NOW + LIFE + 1}),
}


def test_the_corpus_is_large_and_differs():
    assert len(HOSTILE) >= 120
    assert GOOD not in HOSTILE.values()


def test_what_the_corpus_varies_is_good_itself():
    claims = session_jwt_read(GOOD, ring=RING, now=NOW)
    assert claims == SessionClaims(uuid.UUID(CLAIMS["jti"]), "sealed", "rep_8842", NOW)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_invalid(name):
    with pytest.raises(InvalidToken):
        session_jwt_read(HOSTILE[name], ring=RING, now=NOW)


def test_what_is_made_can_be_read_under_either_key():
    claims = SessionClaims(uuid.uuid4(), "sealed", "rep", NOW)
    token = session_jwt_make(claims, ring={"k1": RING["k1"]})
    assert session_jwt_read(token, ring=RING, now=NOW) == claims
    with pytest.raises(InvalidToken):
        session_jwt_read(token, ring={"k2": RING["k2"]}, now=NOW)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": "k1", "typ": TYPE}


@pytest.mark.parametrize(
    ("late", "error"),
    [(0, None), (LIFE + LEEWAY - 1, None), (LIFE + LEEWAY, TokenExpired), (10**9, TokenExpired),
     (-LEEWAY, None), (-LEEWAY - 1, InvalidToken)],
)  # fmt: skip
def test_the_clock_may_differ_by_the_leeway_and_no_more(late, error):
    if error is None:
        session_jwt_read(GOOD, ring=RING, now=NOW + late)
    else:
        with pytest.raises(error):
            session_jwt_read(GOOD, ring=RING, now=NOW + late)


@given(place=st.integers(0, len(GOOD) - 1), letter=st.characters(codec="ascii"))
@hypothesis_settings(max_examples=300, deadline=None)
def test_no_changed_character_passes(place, letter):
    changed = GOOD[:place] + letter + GOOD[place + 1 :]
    if changed != GOOD:
        with pytest.raises(InvalidToken):
            session_jwt_read(changed, ring=RING, now=NOW)


@pytest.mark.django_db
def test_over_http_all_of_them_are_401_without_a_query(django_assert_num_queries):
    make_drill()
    make_worker()
    acme = make_integrator()
    acme.token()
    refusals = set()
    with django_assert_num_queries(0):
        for token in HOSTILE.values():
            if token.isprintable():  # others never leave an HTTP client
                answer = redeem(token)
                refusals.add((answer.status_code, code(answer)))
                assert "Set-Cookie" not in answer.headers
    assert refusals == {(401, "INVALID_TOKEN")}
    with tenant_scope(acme.tenant.pk):
        assert SessionToken.objects.filter(consumed_at=None).count() == 1


@pytest.mark.django_db
def test_a_good_signature_over_another_tenants_id_opens_nothing():
    """Even with our key: the row of the token belongs to its tenant."""
    make_drill()
    make_worker()
    acme, stranger = make_integrator("Acme"), make_integrator("Stranger")
    ours = jwt.decode(acme.token(), options={"verify_signature": False})
    theirs = jwt.decode(stranger.token(), options={"verify_signature": False})
    kid, secret = next(iter(settings.SESSION_TOKEN_KEYS.items()))
    for claims in (ours | {"tid": theirs["tid"]}, ours | {"jti": str(uuid.uuid4())},
                   ours | {"tid": "x"}):  # fmt: skip
        forged = signed({"alg": "HS256", "kid": kid, "typ": TYPE}, claims, secret)
        assert code(redeem(forged)) == "INVALID_TOKEN"
    for integrator in (acme, stranger):
        with tenant_scope(integrator.tenant.pk):
            assert SessionToken.objects.filter(consumed_at=None).count() == 1


@pytest.mark.django_db
def test_an_api_key_is_no_session_token_and_the_other_way_round():
    acme = make_integrator()
    assert code(redeem(acme.secret)) == "INVALID_TOKEN"
    answer = acme.post("/session", {}, Authorization=f"Bearer {acme.token()}")
    assert code(answer) == "INVALID_API_KEY"
