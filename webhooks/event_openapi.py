"""What we post to endpoints, as the API's document describes it. docs/webhooks.md has it all."""

from collections.abc import Mapping
from typing import Any

from tenants.describing import (
    Schema,
    Tag,
    boolean,
    integer,
    moment,
    named_examples,
    nullable,
    obj,
    ref,
    text,
)
from webhooks.replaying import ENDPOINT_TEST
from webhooks.services import (
    CALL_ENDED,
    CALL_SCORE_FAILED,
    CALL_SCORED,
    CALL_STARTED,
    RECORDING_DELETED,
    SCORE_OVERRIDDEN,
)

WEBHOOKS = Tag(
    "Webhooks",
    "Your endpoints, what Athos posts to them, and the log of it. Verify the signature over the"
    " raw body, refuse times more"
    " than 300 seconds away, ignore a `webhookId` that you have had, and answer any 2xx within 15"
    " seconds.",
)

_CALL: dict[str, Schema] = {
    "callId": text("For `GET /calls/{callId}`, once it is scored."),
    "source": text("Where the call came from: `roleplay`."),
    "externalUserId": text("Your name of the rep."),
    "externalAgencyId": nullable(text("Your name of the agency.")),
}
_HAPPENED: dict[str, Schema] = {
    "occurredAt": moment("When it happened."),
    "requestId": text("Tell it to us when something is odd."),
    "mode": text("Only there, and `test`, when the call is the sandbox's.", const="test"),
    "webhookId": text("The same on every attempt and replay.", pattern="^wh_"),
}
_REASON: dict[str, Schema] = {
    "reason": text("Why there is no score: `SCORING_INCOMPLETE` and others; the list may grow."),
    "reasonMessage": text("The reason as a sentence."),
}


def _event(name: str, description: str, facts: dict[str, Schema], *optional: str) -> Schema:
    event = {"event": text("Ignore events that you don't know.", const=name)}
    return obj(description, event | facts | _HAPPENED, optional=("mode", *optional))


SHAPES: dict[str, Schema] = {
    "CallScoredEvent": _event(
        CALL_SCORED,
        "A call was scored, or given up. It names the call and holds neither score nor transcript.",
        {"success": boolean("Whether there is a score to fetch.")} | _CALL | _REASON,
        "reason",
        "reasonMessage",
    ),
    "CallStartedEvent": _event(CALL_STARTED, "Rep and persona hear each other.", _CALL),
    "CallEndedEvent": _event(
        CALL_ENDED,
        "A call is over; its score comes later.",
        _CALL
        | {
            "endReason": text("`REP_ENDED`, `NETWORK_LOST`, `CEILING` and others; it may grow."),
            "durationSec": integer("Whole seconds of the call.", minimum=0),
        },
    ),
    "CallScoreFailedEvent": _event(
        CALL_SCORE_FAILED, "There will be no score of this call.", _CALL | _REASON
    ),
    "ScoreOverriddenEvent": _event(
        SCORE_OVERRIDDEN,
        "A manager changed the score of a call, or took a change back: fetch the call again.",
        _CALL,
    ),
    "RecordingDeletedEvent": _event(
        RECORDING_DELETED,
        "There is no audio of this call any more. It names nobody: it may be the rep who was"
        " erased.",
        {
            "callId": _CALL["callId"],
            "source": _CALL["source"],
            "reason": text("`RETENTION`, `CALL_ERASED` or `REP_ERASED`; the list may grow."),
        },
    ),
    "EndpointTestEvent": _event(
        ENDPOINT_TEST, "What you asked for, to see that your endpoint hears us.", {}
    ),
}

SCORED_EXAMPLE = {
    "event": "call.scored",
    "success": True,
    "callId": "athos_call_GZ1DjOkZv_VEPoE-CJ8mp",
    "source": "roleplay",
    "externalUserId": "rep_8842",
    "externalAgencyId": "agency_chicago",
    "occurredAt": "2026-06-05T18:09:14.000Z",
    "requestId": "req_6f1c2a0e-9d3b-4f5e-8a7c-1b2d3e4f5a6b",
    "webhookId": "wh_2c7e9a04-5b1d-4e8f-9a6c-3d2e1f0a9b8c",
}
FAILED_EXAMPLE = {
    **SCORED_EXAMPLE,
    "success": False,
    "reason": "REP_NEVER_SPOKE",
    "reasonMessage": "The rep did not speak in this call.",
}


def _header(name: str, schema: Schema, example: str) -> Schema:
    description = schema.pop("description")
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": schema,
        "example": example,
    }


DELIVERY_HEADERS: tuple[Schema, ...] = (
    _header(
        "X-Athos-Signature",
        text(
            "`t` is the time in Unix seconds, `v1` the HMAC-SHA256 of `t`, a full stop and the raw"
            " body, keyed with the whole secret as text. Two `v1` while a secret rotates.",
            pattern=r"^t=\d+(,v1=[0-9a-f]{64}){1,2}$",
        ),
        "t=1749139254,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
    ),
    _header("X-Athos-Webhook-Id", text("The `webhookId` of the body."), "wh_2c7e9a04-5b1d-4e8f…"),
    _header("webhook-id", text("The same, for Standard Webhooks."), "wh_2c7e9a04-5b1d-4e8f…"),
    _header("webhook-timestamp", text("Unix seconds.", pattern=r"^\d+$"), "1749139254"),
    _header(
        "webhook-signature",
        text("`v1,` and base64, as Standard Webhooks wants it; several are parted by a space."),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
)


def _example(event: str, *without: str, **more: Any) -> dict[str, Any]:
    facts = {name: fact for name, fact in SCORED_EXAMPLE.items() if name not in without}
    return facts | {"event": event} | more


_NO_CALL = ("success", "callId", "source", "externalUserId", "externalAgencyId")


def _message(
    id_: str, summary: str, description: str, shape: str, examples: Mapping[str, Any]
) -> Schema:
    """One kind of message, as an item of the document's `webhooks`."""
    content = {"schema": ref(shape), "examples": named_examples(examples)}
    operation = {
        "operationId": id_,
        "tags": [WEBHOOKS.name],
        "summary": summary,
        "description": description,
        "security": [],
        "parameters": list(DELIVERY_HEADERS),
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "You have it. The body of your answer does not matter."},
            "410": {"description": "You want no more: the endpoint is disabled at once."},
        },
    }
    return {"post": operation}


_OPT_IN = "Only for endpoints that name it in `eventTypes`."

MESSAGES: dict[str, Schema] = {
    CALL_SCORED: _message(
        "callScored",
        "A call was scored, or given up",
        "Sent at least once to each of your endpoints, in no particular order, the moment that a"
        " call finishes scoring. Everything but a 2xx within 15 seconds is tried again: twelve"
        " attempts over 78 hours. `410` disables the endpoint.",
        "CallScoredEvent",
        {"The call has its score": SCORED_EXAMPLE, "There is no score": FAILED_EXAMPLE},
    ),
    CALL_STARTED: _message(
        "callStarted",
        "A call began",
        f"{_OPT_IN} Signed and tried again like any other.",
        "CallStartedEvent",
        {"A call began": _example(CALL_STARTED, "success")},
    ),
    CALL_ENDED: _message(
        "callEnded",
        "A call is over",
        f"{_OPT_IN} Signed and tried again like any other.",
        "CallEndedEvent",
        {
            "The rep ended it": _example(
                CALL_ENDED, "success", endReason="REP_ENDED", durationSec=37
            )
        },
    ),
    CALL_SCORE_FAILED: _message(
        "callScoreFailed",
        "A call was given up",
        f"{_OPT_IN} Beside `call.scored` with `success: false`, which every endpoint gets.",
        "CallScoreFailedEvent",
        {
            "The rep was silent": _example(
                CALL_SCORE_FAILED,
                "success",
                reason="REP_NEVER_SPOKE",
                reasonMessage="The rep did not speak in this call.",
            )
        },
    ),
    SCORE_OVERRIDDEN: _message(
        "scoreOverridden",
        "A manager changed a score",
        f"{_OPT_IN} One message for each change: a verdict overridden or given back to the judge,"
        " a score declared invalid or valid again, a call scored again. Fetch the call:"
        " `overallScore` is the final score, `aiScore` the judge's.",
        "ScoreOverriddenEvent",
        {"A verdict was overridden": _example(SCORE_OVERRIDDEN, "success")},
    ),
    RECORDING_DELETED: _message(
        "recordingDeleted",
        "The audio of a call is gone",
        f"{_OPT_IN} Once for each recording, when retention, the erasure of the call or that of the"
        " rep takes it.",
        "RecordingDeletedEvent",
        {
            "Its time was over": _example(
                RECORDING_DELETED,
                *("success", "externalUserId", "externalAgencyId"),
                reason="RETENTION",
            )
        },
    ),
    ENDPOINT_TEST: _message(
        "endpointTest",
        "A test that you asked for",
        "Sent by `POST /webhook-endpoints/{endpointId}/test`, signed and tried again like any"
        " other.",
        "EndpointTestEvent",
        {"A test": _example(ENDPOINT_TEST, *_NO_CALL)},
    ),
}
