"""Session tokens that we did not make: none is accepted, none breaks us, none touches a row."""

import base64
import hashlib
import hmac
import json
import uuid
import zlib
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
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
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_PUBLIC = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RSA_JWK = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key()))
EC = ec.generate_private_key(ec.SECP256R1())


def twice(value: dict[str, Any], name: str, *, last: Any) -> bytes:
    """JSON in which a name comes twice."""
    return f"{json.dumps(value)[:-1]}, {json.dumps(name)}: {json.dumps(last)}}}".encode()


def once_more(value: dict[str, Any], name: str, *, first: Any) -> bytes:
    """The same, the odd value first: a reader that takes the last one sees a good token."""
    return f"{{{json.dumps(name)}: {json.dumps(first)}, {json.dumps(value)[1:]}".encode()


def asymmetric(how: str, key: Any, **more: Any) -> str:
    return jwt.encode(CLAIMS, key, how, headers={"kid": "k2", "typ": TYPE} | more)


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
    # other people's algorithms, properly signed
    **{
        f"really {how}": asymmetric(how, RSA)
        for how in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
    },
    "really ES256": asymmetric("ES256", EC),
    "RS256 with its own jwk": asymmetric("RS256", RSA, jwk=RSA_JWK),
    "RS256 with a jku": asymmetric("RS256", RSA, jku="https://evil.example/keys"),
    "RS256 with an x5u": asymmetric("RS256", RSA, x5u="https://evil.example/cert"),
    "the public key as our secret": signed(key=RSA_PUBLIC.decode()),
    "the same, said RS256": signed(HEADER | {"alg": "RS256"}, key=RSA_PUBLIC.decode()),
    "the jwk as our secret": signed(key=json.dumps(RSA_JWK)),
    "RS256 signature, said HS256": f"{head}.{middle}." + asymmetric("RS256", RSA).split(".")[2],
    "half a signature of HS512": f"{head}.{middle}."
    + part(hmac.new(RING["k2"].encode(), f"{head}.{middle}".encode(), "sha512").digest()[:32]),
    "signature over the claims only": f"{head}.{middle}."
    + part(hmac.new(RING["k2"].encode(), middle.encode(), "sha256").digest()),
    "signature of the JSON": f"{head}.{middle}."
    + part(hmac.new(RING["k2"].encode(), TEXT.encode(), "sha256").digest()),
    "signature in hex": f"{head}.{middle}."
    + hmac.new(RING["k2"].encode(), f"{head}.{middle}".encode(), "sha256").hexdigest(),
    "signature of another good token": f"{head}.{part(CLAIMS | {'sub': 'other'})}.{tail}",
    "header of another good token": f"{part(HEADER | {'kid': 'k1'})}.{middle}.{tail}",
    # tokens in tokens, and not signed as such
    "a token as claims": signed(HEADER | {"cty": "JWT"}, GOOD.encode()),
    "a token as a claim": signed(claims={"token": GOOD}),
    "encrypted": ".".join(
        [part({"alg": "dir", "enc": "A256GCM"}), "", part(b"i" * 12), middle, part(b"t" * 16)]
    ),
    "encrypted by a password": ".".join(
        [
            part(
                {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31 - 1, "p2s": "c2FsdA"}
            ),
            part(b"k" * 24),
            part(b"i" * 12),
            middle,
            part(b"t" * 16),
        ]
    ),
    "claims not encoded, b64 false": f"{part(HEADER | {'b64': False, 'crit': ['b64']})}.{TEXT}."
    + tail,
    "b64 false, encoded": signed(HEADER | {"b64": False, "crit": ["b64"]}),
    "claims detached": f"{head}..{tail}",
    "claims compressed": signed(HEADER | {"zip": "DEF"}, zlib.compress(TEXT.encode())[2:-4]),
    "claims compressed a lot": signed(HEADER | {"zip": "DEF"}, zlib.compress(b" " * 10**6)),
    "JSON serialization": json.dumps({"payload": middle, "protected": head, "signature": tail}),
    # a name that comes twice: one reader takes the first, another the last
    **{
        f"header {name} twice": signed(twice(HEADER, name, last=last))
        for name, last in {"alg": "none", "kid": "k9", "typ": "JWT"}.items()
    },
    **{
        f"header {name} twice, the good one last": signed(once_more(HEADER, name, first=first))
        for name, first in {"alg": "none", "kid": "k9", "typ": "JWT", "b64": False}.items()
    },
    **{
        f"{name} twice, the good one last": signed(claims=once_more(CLAIMS, name, first="x"))
        for name in CLAIMS
    },
    **{
        f"{name} twice, the same": signed(claims=twice(CLAIMS, name, last=CLAIMS[name]))
        for name in CLAIMS
    },
    # other spellings of JSON and of digits
    "claims in UTF-16": signed(claims=TEXT.encode("utf-16")),
    "claims in UTF-16 without a mark": signed(claims=TEXT.encode("utf-16-le")),
    "claims in UTF-32": signed(claims=TEXT.encode("utf-32")),
    "claims with a mark": signed(claims=b"\xef\xbb\xbf" + TEXT.encode()),
    "header in UTF-16": signed(json.dumps(HEADER).encode("utf-16")),
    "header with a mark": signed(b"\xef\xbb\xbf" + json.dumps(HEADER).encode()),
    "claims and more": signed(claims=TEXT.encode() + b"{}"),
    "claims with a comment": signed(claims=TEXT.encode() + b"/**/"),
    "claims with a last comma": signed(claims=TEXT[:-1].encode() + b",}"),
    "claims in single quotes": signed(claims=TEXT.replace('"', "'").encode()),
    "claims with a NUL behind": signed(claims=TEXT.encode() + b"\x00"),
    **{
        f"exp as {name}": signed(
            claims=TEXT.replace(f'"exp": {NOW + LIFE}', f'"exp": {digits}').encode()
        )
        for name, digits in {
            "Arabic digits": "".join(chr(0x660 + int(digit)) for digit in str(NOW + LIFE)),
            "full-width digits": "".join(chr(0xFF10 + int(digit)) for digit in str(NOW + LIFE)),
            "a power": "1.8000003e9",
            "a whole float": f"{NOW + LIFE}.0",
            "hex": hex(NOW + LIFE),
            "octal": f"0{NOW + LIFE}",
            "a signed number": f"+{NOW + LIFE}",
            "grouped digits": f"{NOW + LIFE:_}",
            "minus infinity": "-Infinity",
        }.items()
    },
    "kid in full-width letters": signed(HEADER | {"kid": "\uff4b2"}),
    "kid with a NUL": signed(HEADER | {"kid": "k2\x00"}),
    "kid with a space": signed(HEADER | {"kid": "k2 "}),
    "kid of 3,000 letters": signed(HEADER | {"kid": "k" * 3000}),
    "kid an address": signed(HEADER | {"kid": "https://evil.example/key"}),
    "alg in full-width letters": signed(HEADER | {"alg": "\uff28\uff33256"}),
    "alg with a dotless i": signed(HEADER | {"alg": "d\u0131r"}),
    "alg a number": signed(HEADER | {"alg": 256}),
    "name of a header in capitals": signed({"ALG": "HS256", "kid": "k2", "typ": TYPE}),
    "names of claims in capitals": signed(claims={n.upper(): v for n, v in CLAIMS.items()}),
    "jti in full-width digits": signed(claims=CLAIMS | {"jti": "\uff10" + CLAIMS["jti"][1:]}),
    "jti as a URN": signed(claims=CLAIMS | {"jti": "urn:uuid:" + CLAIMS["jti"]}),
    "jti a statement": signed(claims=CLAIMS | {"jti": "' OR 1=1 --"}),
    "iss with a slash": signed(claims=CLAIMS | {"iss": ISSUER + "/"}),
    "aud with a space": signed(claims=CLAIMS | {"aud": AUDIENCE + " "}),
    "aud empty": signed(claims=CLAIMS | {"aud": ""}),
    "a claim of 3,000 letters": signed(claims=CLAIMS | {"more": "m" * 3000}),
    "a key that is __proto__": signed(claims=CLAIMS | {"__proto__": {"admin": True}}),
}


def test_the_corpus_is_large_and_differs():
    assert len(set(HOSTILE.values())) >= 230
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


@pytest.mark.django_db
def test_signing_keys_turn_while_tokens_are_out(settings):
    """The steps of docs/operations.md: nobody's token is lost, and the old key ends."""
    make_drill()
    make_worker()
    acme = make_integrator()
    old = settings.SESSION_TOKEN_KEYS
    kid = next(iter(old))
    early, late = acme.token(), acme.token()
    settings.SESSION_TOKEN_KEYS = old | {"next": "n" * 40}  # known everywhere, not used yet
    assert jwt.get_unverified_header(acme.token())["kid"] == kid
    settings.SESSION_TOKEN_KEYS = {"next": "n" * 40} | old
    fresh = acme.token()
    assert jwt.get_unverified_header(fresh)["kid"] == "next"
    assert redeem(early).status_code == 200
    settings.SESSION_TOKEN_KEYS = {"next": "n" * 40}
    answer = redeem(late)
    assert (answer.status_code, code(answer)) == (401, "INVALID_TOKEN")
    assert redeem(fresh).status_code == 200
