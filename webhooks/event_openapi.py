"""What we post to endpoints, as the API's document describes it. docs/webhooks.md has it all."""

from collections.abc import Mapping
from typing import Any

from tenants.describing import (
    Schema,
    Tag,
    boolean,
    moment,
    named_examples,
    nullable,
    obj,
    ref,
    text,
)
from webhooks.replaying import ENDPOINT_TEST
from webhooks.services import EVENT_TYPES

WEBHOOKS = Tag(
    "Webhooks",
    "Your endpoints, what Athos posts to them, and the log of it. Verify the signature over the"
    " raw body, refuse times more"
    " than 300 seconds away, ignore a `webhookId` that you have had, and answer any 2xx within 15"
    " seconds.",
)

SHAPES: dict[str, Schema] = {
    "CallScoredEvent": obj(
        "A call was scored, or given up. It names the call and holds neither score nor transcript.",
        {
            "event": text("Ignore events that you don't know.", const=EVENT_TYPES[0]),
            "success": boolean("Whether there is a score to fetch."),
            "callId": text("For `GET /calls/{callId}`."),
            "source": text("Where the call came from: `roleplay`."),
            "externalUserId": text("Your name of the rep."),
            "externalAgencyId": nullable(text("Your name of the agency.")),
            "occurredAt": moment("When it happened."),
            "requestId": text("Tell it to us when something is odd."),
            "reason": text(
                "Only when `success` is false: `SCORING_INCOMPLETE` and others; the list may grow."
            ),
            "reasonMessage": text("The reason as a sentence."),
            "mode": text("Only there, and `test`, when the call is the sandbox's.", const="test"),
            "webhookId": text("The same on every attempt and replay.", pattern="^wh_"),
        },
        optional=("reason", "reasonMessage", "mode"),
    ),
    "EndpointTestEvent": obj(
        "What you asked for, to see that your endpoint hears us.",
        {
            "event": text("Always this.", const=ENDPOINT_TEST),
            "occurredAt": moment("When you asked."),
            "requestId": text("Tell it to us when something is odd."),
            "webhookId": text("The same on every attempt.", pattern="^wh_"),
        },
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

TEST_EXAMPLE = {
    name: ENDPOINT_TEST if name == "event" else SCORED_EXAMPLE[name]
    for name in ("event", "occurredAt", "requestId", "webhookId")
}


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


MESSAGES: dict[str, Schema] = {
    EVENT_TYPES[0]: _message(
        "callScored",
        "A call was scored, or given up",
        "Sent at least once to each of your endpoints, in no particular order, the moment that a"
        " call finishes scoring. Everything but a 2xx within 15 seconds is tried again: twelve"
        " attempts over 78 hours. `410` disables the endpoint.",
        "CallScoredEvent",
        {"The call has its score": SCORED_EXAMPLE, "There is no score": FAILED_EXAMPLE},
    ),
    ENDPOINT_TEST: _message(
        "endpointTest",
        "A test that you asked for",
        "Sent by `POST /webhook-endpoints/{endpointId}/test`, signed and tried again like any"
        " other.",
        "EndpointTestEvent",
        {"A test": TEST_EXAMPLE},
    ),
}
