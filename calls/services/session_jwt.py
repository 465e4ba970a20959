"""The session token as text. Pure: keys and time come in as arguments.

HS256 with a key id. Everything that we did not write ourselves is refused, in form as in content.
"""

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from tenants.errors import AthosError

ISSUER = "athos"
AUDIENCE = "athos:redeem"
TYPE = "athos-session+jwt"
LIFE = 300  # seconds, also the most that verification accepts
LEEWAY = 5  # seconds between our machines' clocks
LONGEST = 4096  # characters
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}", re.ASCII)
_HEADER = {"alg", "kid", "typ"}
_CLAIMS = {"iss", "aud", "sub", "tid", "jti", "iat", "nbf", "exp"}


class InvalidToken(AthosError):
    code, status, message = "INVALID_TOKEN", 401, "The session token is missing or not valid."


class TokenExpired(AthosError):
    code, status, message = "TOKEN_EXPIRED", 401, "The session token has expired."


@dataclass(frozen=True, slots=True)
class SessionClaims:
    """What a good token says. `tenant` is the tenant's sealed id; times are Unix seconds."""

    jti: uuid.UUID
    tenant: str
    subject: str
    issued_at: int


def session_jwt_make(claims: SessionClaims, *, ring: Mapping[str, str]) -> str:
    """The token, under the first key of the ring, good for LIFE seconds."""
    kid, secret = next(iter(ring.items()))
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": claims.subject,
        "tid": claims.tenant,
        "jti": str(claims.jti),
        "iat": claims.issued_at,
        "nbf": claims.issued_at,
        "exp": claims.issued_at + LIFE,
    }
    return jwt.encode(payload, secret, algorithm="HS256", headers={"kid": kid, "typ": TYPE})


def session_jwt_read(token: str, *, ring: Mapping[str, str], now: float) -> SessionClaims:
    """What the token says. Raises TokenExpired for an old one of ours, else InvalidToken."""
    if len(token) > LONGEST or not _FORM.fullmatch(token):
        raise InvalidToken
    try:
        payload = _payload(token, ring)
        claims = _claims(payload)
        _check_times(payload, now)
    except (jwt.PyJWTError, ValueError, RecursionError) as broken:
        raise InvalidToken from broken
    return claims


def _payload(token: str, ring: Mapping[str, str]) -> dict[str, Any]:
    header = _header(token)
    kid = header.get("kid")
    if set(header) != _HEADER or header["typ"] != TYPE or not isinstance(kid, str):
        raise InvalidToken
    if kid not in ring:
        raise InvalidToken
    # Times are checked below, against the time that came in and with our own bounds.
    return jwt.decode(
        token,
        ring[kid],
        algorithms=["HS256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={
            "require": sorted(_CLAIMS),
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
        },
    )


def _claims(payload: Mapping[str, Any]) -> SessionClaims:
    texts = [payload["aud"], payload["sub"], payload["tid"], payload["jti"]]
    times = [payload["iat"], payload["nbf"], payload["exp"]]
    # `type(...) is int`: a bool is an int, and a float a way around bounds
    if set(payload) != _CLAIMS or not all(isinstance(text, str) for text in texts):
        raise InvalidToken
    if not all(type(time) is int for time in times):
        raise InvalidToken
    jti = uuid.UUID(payload["jti"])
    if str(jti) != payload["jti"]:
        raise InvalidToken
    return SessionClaims(jti, payload["tid"], payload["sub"], payload["iat"])


def _check_times(payload: Mapping[str, Any], now: float) -> None:
    issued, begins, ends = payload["iat"], payload["nbf"], payload["exp"]
    if not 0 < ends - issued <= LIFE or not issued <= begins <= ends:
        raise InvalidToken
    if max(issued, begins) > now + LEEWAY:
        raise InvalidToken
    if ends <= now - LEEWAY:
        raise TokenExpired


def _header(token: str) -> dict[str, Any]:
    """The header, unverified, of a token in good form: it has one spelling and one meaning.

    Base64 lets the last character vary, JSON lets a name come twice and may be in UTF-16: readers
    differ in what they make of it, so all of that is a ValueError here.
    """
    header, claims, _signature = [_decoded(part) for part in token.split(".")]
    _object(claims)
    return _object(header)


def _decoded(part: str) -> bytes:
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != part:
        raise ValueError("not canonical base64")
    return raw


def _object(raw: bytes) -> dict[str, Any]:
    value = json.loads(raw.decode(), object_pairs_hook=_each_once)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name comes twice")
    return value
