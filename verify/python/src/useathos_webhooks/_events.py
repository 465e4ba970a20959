"""The messages of Athos as Python sees them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any


class BodyInvalid(ValueError):
    """Not JSON, or a fact that every message has is missing or of another type."""


@dataclass(frozen=True)
class Event:
    """What all messages have. One of a kind that this version does not know is a plain `Event`."""

    event: str  # the kind: `call.scored`; ignore those that you don't know
    webhook_id: str  # the same on every attempt: ignore a message whose id you have had
    occurred_at: datetime  # in UTC
    request_id: str  # tell it to us when something is odd
    mode: str  # `live`, or `test` in the sandbox
    raw: Mapping[str, Any] = field(repr=False, compare=False)  # the whole message, as it came


@dataclass(frozen=True)
class _CallEvent(Event):
    call_id: str  # for GET /api/external/v1/calls/{callId}
    source: str  # `roleplay`
    external_user_id: str  # your own name of the rep
    external_agency_id: str | None


@dataclass(frozen=True)
class CallScored(_CallEvent):
    """`call.scored`: there is a score to fetch if `success`, else `reason` says why not."""

    success: bool
    reason: str | None = None
    reason_message: str | None = None


@dataclass(frozen=True)
class CallStarted(_CallEvent):
    """`call.started`: rep and persona hear each other."""


@dataclass(frozen=True)
class CallEnded(_CallEvent):
    """`call.ended`: the call is over; its score comes later."""

    end_reason: str  # `REP_ENDED`, `NETWORK_LOST` and others; the list may grow
    duration_sec: int


@dataclass(frozen=True)
class CallScoreFailed(_CallEvent):
    """`call.score_failed`: there will be no score of this call."""

    reason: str | None = None
    reason_message: str | None = None


@dataclass(frozen=True)
class ScoreOverridden(_CallEvent):
    """`score.overridden`: a manager changed the score, or took that back. Fetch the call again."""


@dataclass(frozen=True)
class RecordingDeleted(Event):
    """`recording.deleted`: there is no audio of the call any more. It names nobody."""

    call_id: str
    source: str  # `roleplay`
    reason: str | None  # `RETENTION`, `CALL_ERASED`, `REP_ERASED`; the list may grow


@dataclass(frozen=True)
class EndpointTest(Event):
    """`endpoint.test`: what you asked for, to see that your endpoint hears us."""


KINDS: Mapping[str, type[Event]] = {
    "call.scored": CallScored,
    "call.started": CallStarted,
    "call.ended": CallEnded,
    "call.score_failed": CallScoreFailed,
    "score.overridden": ScoreOverridden,
    "recording.deleted": RecordingDeleted,
    "endpoint.test": EndpointTest,
}
_TYPES = {"success": bool, "duration_sec": int, "occurred_at": str}
_MAY_BE_NULL = {"external_agency_id", "reason", "reason_message"}


def event_of(body: bytes) -> Event:
    """The event that a verified body tells of. Raises BodyInvalid."""
    try:
        message = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as cause:
        raise BodyInvalid("not JSON") from cause
    if not isinstance(message, dict):
        raise BodyInvalid("not an object")
    kind = KINDS.get(_fact(message, "event"), Event)
    facts = {
        one.name: _fact(message, one.name)
        for one in fields(kind)
        if one.name not in ("raw", "mode")
    }
    return kind(**facts, mode=str(message.get("mode", "live")), raw=message)


def _fact(message: Mapping[str, Any], name: str) -> Any:
    """A fact under the name that it has in JSON, of the type that the event promises."""
    value: Any = message.get(_camel(name))
    if value is None and name in _MAY_BE_NULL:
        return None
    if type(value) is not _TYPES.get(name, str):
        raise BodyInvalid(f"{_camel(name)} is missing or odd")
    return _moment(str(value)) if name == "occurred_at" else value


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    except ValueError as cause:
        raise BodyInvalid("occurredAt is no time") from cause


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
