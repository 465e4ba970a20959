"""POST /sandbox/calls: a call with a scripted rep, for integrators' own tests."""

import re
from collections.abc import Collection
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from calls.models import Call
from calls.sandbox.scripts import DEFAULT, scripts
from calls.sandbox.services import SandboxWish, sandbox_call_create
from tenants.api import ApiView, json_object, text_field, text_field_or_none
from tenants.auth import caller_of
from tenants.errors import InvalidRequest
from webhooks.models import Rehearsal

LINES_MAX = 30
LINE_LONGEST = 300  # characters
ALL_LINES_LONGEST = 4000  # characters together: about five minutes of speech
DELAY, DELAY_LONGEST = 30, 600  # seconds, of a webhook that comes late
LONGEST_DRILL_KEY = 1000

_SPEAKABLE = re.compile(r"[A-Za-z0-9]")


class SandboxCallApi(ApiView):
    """POST /sandbox/calls"""

    required_scope = "sessions:write"

    def post(self, request: Request) -> Response:
        call = sandbox_call_create(caller=caller_of(request), wish=_wish(json_object(request)))
        answer = {"callId": call.public_id, "sessionId": call.session_id, "status": Call.Stage.LIVE}
        return Response(answer, status=202)


def _wish(body: dict[str, Any]) -> SandboxWish:
    webhook = _choice(body, "webhook", Rehearsal.values, Rehearsal.NORMAL)
    lines = _rep_lines(body.get("repLines"))
    if lines and body.get("script") is not None:
        raise _odd("repLines", "Give either script or repLines.")
    return SandboxWish(
        drill_key=text_field(body, "drillKey", longest=LONGEST_DRILL_KEY),
        difficulty=_choice(body, "difficulty", Call.Difficulty.values, Call.Difficulty.ADVANCED),
        external_user_id=text_field(body, "externalUserId"),
        external_agency_id=text_field_or_none(body, "externalAgencyId"),
        script="" if lines else _choice(body, "script", scripts(), DEFAULT),
        rep_lines=lines,
        webhook=webhook,
        webhook_delay=_delay(body.get("webhookDelaySeconds"), webhook),
    )


def _choice(body: dict[str, Any], name: str, choices: Collection[str], default: str) -> str:
    value = text_field_or_none(body, name)
    if value is None:
        return default
    if value not in choices:
        raise _odd(name, f"{name} must be one of {', '.join(choices)}.")
    return value


def _rep_lines(value: object) -> tuple[str, ...]:
    """The lines, trimmed; none where they are left out."""
    if value is None:
        return ()
    if not isinstance(value, list) or not 1 <= len(value) <= LINES_MAX:
        raise _odd("repLines", f"repLines must be a list of 1 to {LINES_MAX} strings.")
    lines = tuple(
        text_field({name: line}, name, longest=LINE_LONGEST)
        for name, line in ((f"repLines[{number}]", line) for number, line in enumerate(value))
    )
    for number, line in enumerate(lines):
        if not _SPEAKABLE.search(line):
            raise _odd(f"repLines[{number}]", f"repLines[{number}] has nothing that can be spoken.")
    if sum(map(len, lines)) > ALL_LINES_LONGEST:
        raise _odd("repLines", f"repLines may have {ALL_LINES_LONGEST} characters together.")
    return lines


def _delay(value: object, webhook: str) -> int:
    """Seconds before the first attempt, for a webhook that comes late."""
    if value is not None and webhook != Rehearsal.LATE:
        raise _odd("webhookDelaySeconds", "webhookDelaySeconds goes with webhook late only.")
    if webhook != Rehearsal.LATE:
        return 0
    if value is None:
        return DELAY
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= DELAY_LONGEST:
        problem = f"webhookDelaySeconds must be a whole number from 1 to {DELAY_LONGEST}."
        raise _odd("webhookDelaySeconds", problem)
    return value


def _odd(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(problem, details={"field": field})
