"""The REST API of a tenant's own keys, for its backend. Behind the scope `keys:write`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api import ApiView, json_object, text_field, text_field_or_none, timestamp
from tenants.auth import caller_of
from tenants.errors import InvalidRequest
from tenants.models import ApiKey
from tenants.selectors import KeySummary, keys_list
from tenants.services import (
    ALL_SCOPES,
    CONTRACT_SCOPES,
    GRACE_LONGEST,
    KeyWish,
    api_key_issue,
    api_key_revoke,
    api_key_rotate,
)

LONGEST_NAME = 100  # characters
MOST_AGENCIES = 100
MOST_NETWORKS = 50
ROTATION_GRACE = timedelta(hours=24)


class KeyListApi(ApiView):
    """GET and POST /keys"""

    required_scope = "keys:write"

    def get(self, request: Request) -> Response:
        caller = caller_of(request)
        found = keys_list(tenant=caller.tenant, holder=caller.holder)
        return Response({"data": [key_output(key) for key in found]})

    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        key, text = api_key_issue(
            tenant=caller.tenant,
            holder=caller.holder,
            wish=key_wish(json_object(request)),
        )
        return Response(key_output(key) | {"key": text}, status=201)


class KeyRevokeApi(ApiView):
    """POST /keys/{keyId}/revoke"""

    required_scope = "keys:write"

    def post(self, request: Request, key_id: str) -> Response:
        caller = caller_of(request)
        key = api_key_revoke(
            tenant=caller.tenant,
            holder=caller.holder,
            key_id=key_id,
            grace=_grace(json_object(request, may_be_empty=True), default=timedelta(0)),
        )
        return Response(key_output(key))


class KeyRotateApi(ApiView):
    """POST /keys/{keyId}/rotate"""

    required_scope = "keys:write"

    def post(self, request: Request, key_id: str) -> Response:
        caller = caller_of(request)
        key, text = api_key_rotate(
            tenant=caller.tenant,
            holder=caller.holder,
            key_id=key_id,
            grace=_grace(json_object(request, may_be_empty=True), default=ROTATION_GRACE),
        )
        return Response(key_output(key) | {"key": text}, status=201)


def key_output(key: KeySummary) -> dict[str, object]:
    """A key as the API shows it, without its text."""
    return {
        "id": key.public_id,
        "name": key.name,
        "mode": key.mode,
        "status": key.status,
        "hint": key.hint,
        "scopes": list(key.scopes),
        "agencies": list(key.agencies),
        "allowedIps": list(key.allowed_ips),
        "createdAt": timestamp(key.created_at),
        "expiresAt": _timestamp(key.expires_at),
        "revokedAt": _timestamp(key.revoked_at),
        "lastUsedAt": _timestamp(key.last_used_at),
    }


def _timestamp(at: datetime | None) -> str | None:
    return timestamp(at) if at else None


# --- what is asked for ---------------------------------------------------------------------------


def key_wish(body: Mapping[str, Any]) -> KeyWish:
    """What a body asks of a new key. Raises InvalidRequest, which names the field."""
    mode = text_field_or_none(dict(body), "mode")
    if mode is not None and mode not in ApiKey.Mode.values:
        raise _refused("mode", f"must be {' or '.join(ApiKey.Mode.values)}.")
    return KeyWish(
        name=text_field(dict(body), "name", longest=LONGEST_NAME),
        mode=mode,
        scopes=_texts(body, "scopes", most=len(ALL_SCOPES)) or CONTRACT_SCOPES,
        agencies=_texts(body, "agencies", most=MOST_AGENCIES),
        allowed_ips=_texts(body, "allowedIps", most=MOST_NETWORKS),
        expires_at=_moment(body, "expiresAt"),
    )


def _texts(body: Mapping[str, Any], name: str, *, most: int) -> tuple[str, ...]:
    """An optional list of texts, each trimmed and once; null and left out are an empty one."""
    given = body.get(name)
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > most:
        raise _refused(name, f"must be a list of at most {most} strings.")
    return tuple(dict.fromkeys(text_field({name: value}, name) for value in given))


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    text = text_field_or_none(dict(body), name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError(text)
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as odd:
        raise _refused(name, "must be an ISO 8601 time with a zone.") from odd


def _grace(body: Mapping[str, Any], *, default: timedelta) -> timedelta:
    seconds = body.get("graceSeconds")
    if seconds is None:
        return default
    longest = int(GRACE_LONGEST.total_seconds())
    if type(seconds) is not int or not 0 <= seconds <= longest:  # a bool is an int
        raise _refused("graceSeconds", f"must be a whole number from 0 to {longest}.")
    return timedelta(seconds=seconds)


def _refused(name: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{name} {problem}", details={"field": name})
