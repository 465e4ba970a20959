"""API keys as the API's document describes them."""

from collections.abc import Mapping

from tenants import key_api as api
from tenants.api import ApiView
from tenants.describing import (
    Answer,
    Operation,
    Schema,
    Tag,
    array,
    in_path,
    integer,
    known_words,
    moment,
    name_text,
    nullable,
    obj,
    ref,
    text,
)
from tenants.errors import KeyNotActive, KeyNotFound, TooManyKeys
from tenants.models import ApiKey
from tenants.services import ACTIVE_KEYS, ALL_SCOPES, CONTRACT_SCOPES, GRACE_LONGEST

KEYS = Tag(
    "API keys",
    f"Make, rotate and revoke keys: at most {ACTIVE_KEYS} of a mode are active. A key gives no"
    " other more than it has itself.",
)

KEY_ID = "key_Vx3kQpWz0aBcD1eF2gH3i"
_KEY_ID = text("Names the key; it is no secret.", pattern=r"^key_[A-Za-z0-9_-]{21}$")
_GRACE = int(GRACE_LONGEST.total_seconds())

_KEY: dict[str, Schema] = {
    "id": _KEY_ID,
    "name": text("For people."),
    "mode": ref("KeyMode"),
    "status": text("While a grace runs still `active`.", enum=["active", "expired", "revoked"]),
    "hint": text("Its first and last characters."),
    "scopes": array("What it may do.", ref("Scope")),
    "agencies": array("The agencies it is limited to, as you name them; empty: all.", text("One.")),
    "allowedIps": array("The networks it may be used from; empty: any.", text("In CIDR form.")),
    "createdAt": moment("When it was made."),
    "expiresAt": nullable(moment("When it ends by itself.")),
    "revokedAt": nullable(moment("When it was revoked, or will be.")),
    "lastUsedAt": nullable(moment("To the minute.")),
}


def _grace(default: str) -> Schema:
    seconds = nullable(
        integer(f"Seconds for which the key still works. {default}", minimum=0, maximum=_GRACE)
    )
    return obj("How it ends.", {"graceSeconds": seconds}, optional=("graceSeconds",))


SHAPES: dict[str, Schema] = {
    "Scope": known_words("Something that a key may do.", ALL_SCOPES),
    "KeyMode": known_words("Real calls, or the sandbox.", ApiKey.Mode.values),
    "ApiKey": obj("A key, without its text.", _KEY),
    "NewApiKey": obj(
        "A key with its text.",
        _KEY | {"key": text("The key itself. It is shown this once.", pattern="^ath_(live|test)_")},
    ),
    "ApiKeyList": obj(
        "Keys.", {"data": array("Active ones first, then the newest of the others.", ref("ApiKey"))}
    ),
    "ApiKeyRequest": obj(
        "The key that is wanted. What is left out is as with the asking key.",
        {
            "name": name_text("For people.", longest=api.LONGEST_NAME),
            "mode": nullable(ref("KeyMode")),
            "scopes": nullable(
                array(
                    f"What it may do. Without it `{'` and `'.join(CONTRACT_SCOPES)}`.", ref("Scope")
                )
                | {"maxItems": len(ALL_SCOPES)}
            ),
            "agencies": nullable(
                array("Limits it to these agencies.", name_text("Your name of the agency."))
                | {"maxItems": api.MOST_AGENCIES}
            ),
            "allowedIps": nullable(
                array(
                    "Limits it to these addresses.", name_text("IPv4 or IPv6, alone or as a CIDR.")
                )
                | {"maxItems": api.MOST_NETWORKS}
            ),
            "expiresAt": nullable(moment("When it ends by itself; with a zone.")),
        },
        optional=("mode", "scopes", "agencies", "allowedIps", "expiresAt"),
    ),
    "RevokeRequest": _grace("Without it none: at once."),
    "RotateRequest": _grace("Without it a day."),
}

KEY_EXAMPLE = {
    "id": KEY_ID,
    "name": "Backend",
    "mode": "live",
    "status": "active",
    "hint": "ath_live_4fK…9xQz",
    "scopes": ["sessions:write", "calls:read"],
    "agencies": [],
    "allowedIps": ["203.0.113.0/24"],
    "createdAt": "2026-06-05T18:05:00.000Z",
    "expiresAt": None,
    "revokedAt": None,
    "lastUsedAt": "2026-06-05T18:20:00.000Z",
}
NEW_KEY_EXAMPLE = KEY_EXAMPLE | {
    "lastUsedAt": None,
    "key": "ath_live_" + "4fK" + "…",
}

_PATH_KEY = in_path("keyId", _KEY_ID, example=KEY_ID)

LIST = Operation(
    id="listApiKeys",
    tag=KEYS,
    summary="List API keys",
    description="All keys that the asking key may know of, those that ended included.",
    answers=(
        Answer(
            description="The keys.",
            schema=ref("ApiKeyList"),
            examples={"One key": {"data": [KEY_EXAMPLE]}},
        ),
    ),
)
CREATE = Operation(
    id="createApiKey",
    tag=KEYS,
    summary="Make an API key",
    description="Its text is in this answer and nowhere else: we keep a digest only.",
    body=ref("ApiKeyRequest"),
    body_examples={
        "A key for reading": {"name": "Nightly export", "scopes": ["calls:read"]},
    },
    answers=(
        Answer(
            status=201,
            description="The key, shown this once.",
            schema=ref("NewApiKey"),
            examples={"A key": NEW_KEY_EXAMPLE},
        ),
    ),
    errors=(TooManyKeys,),
)
REVOKE = Operation(
    id="revokeApiKey",
    tag=KEYS,
    summary="Revoke an API key",
    description="At once (within a second everywhere) or after a grace. Twice is harmless.",
    parameters=(_PATH_KEY,),
    body=ref("RevokeRequest"),
    body_optional=True,
    body_examples={"In an hour": {"graceSeconds": 3600}},
    answers=(
        Answer(
            description="The key as it is now.",
            schema=ref("ApiKey"),
            examples={
                "Revoked": KEY_EXAMPLE
                | {"status": "revoked", "revokedAt": "2026-06-06T09:00:00.000Z"}
            },
        ),
    ),
    errors=(KeyNotFound,),
)
ROTATE = Operation(
    id="rotateApiKey",
    tag=KEYS,
    summary="Replace an API key",
    description=(
        "A new key of the same rights; the old one goes on for a day, or for the grace that you"
        " name. Put the new one in place meanwhile."
    ),
    parameters=(_PATH_KEY,),
    body=ref("RotateRequest"),
    body_optional=True,
    body_examples={"In an hour": {"graceSeconds": 3600}},
    answers=(
        Answer(
            status=201,
            description="The new key, shown this once.",
            schema=ref("NewApiKey"),
            examples={"A key": NEW_KEY_EXAMPLE},
        ),
    ),
    errors=(KeyNotFound, KeyNotActive, TooManyKeys),
)

OPERATIONS: Mapping[tuple[type[ApiView], str], Operation] = {
    (api.KeyListApi, "GET"): LIST,
    (api.KeyListApi, "POST"): CREATE,
    (api.KeyRevokeApi, "POST"): REVOKE,
    (api.KeyRotateApi, "POST"): ROTATE,
}
