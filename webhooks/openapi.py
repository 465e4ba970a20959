"""Webhook endpoints and their log as the API's document describes them."""

from collections.abc import Mapping

from tenants.api import ApiView
from tenants.describing import (
    Answer,
    Operation,
    Schema,
    array,
    boolean,
    in_path,
    integer,
    moment,
    name_text,
    nullable,
    number,
    obj,
    query,
    ref,
    text,
)
from tenants.models import ApiKey
from webhooks import api
from webhooks.addresses import URL_LONGEST
from webhooks.endpoints import LONGEST_DESCRIPTION
from webhooks.errors import (
    EndpointNotFound,
    EndpointUrlRefused,
    EventExpired,
    EventNotFound,
    SecretRotating,
    TooManyEndpoints,
)
from webhooks.event_openapi import SCORED_EXAMPLE, WEBHOOKS
from webhooks.log import CURSOR_LONGEST, DELIVERIES_PAGE, Absence
from webhooks.models import Delivery, Endpoint
from webhooks.replaying import ENDPOINT_TEST, REPLAYED_AT_ONCE
from webhooks.services import CALL_SCORED, ENDPOINTS_MAX, EVENT_TYPES

ENDPOINT_ID = "ep_Vx3kQpWz0aBcD1eF2gH3i"
WEBHOOK_ID = str(SCORED_EXAMPLE["webhookId"])
_ENDPOINT_ID = text("Names the endpoint.", pattern=r"^ep_[A-Za-z0-9_-]{21}$")
_WEBHOOK_ID = text("Names the event, in the body and the header.", pattern=r"^wh_[0-9a-f-]{36}$")

_URL = text("HTTPS, on the public internet.", minLength=1, maxLength=URL_LONGEST)
_EVENT_TYPES = array(
    f"Which events to send; empty: `{CALL_SCORED}` alone.", text("One.", enum=list(EVENT_TYPES))
)
_DESCRIPTION = name_text("For people.", longest=LONGEST_DESCRIPTION)

_ENDPOINT: dict[str, Schema] = {
    "id": _ENDPOINT_ID,
    "url": text("Where we post."),
    "description": text("For people; may be empty."),
    "eventTypes": array(f"Which events are sent; empty: `{CALL_SCORED}` alone.", text("One.")),
    "enabled": boolean("Whether we post."),
    "disabledAt": nullable(moment("Since when we don't.")),
    "disabledReason": nullable(ref("EndpointDisabledReason")),
    "failingSince": nullable(moment("Nothing has arrived since this attempt; null: all is well.")),
    "failedAttempts": integer("Attempts that failed since then."),
    "mode": text("Events of live calls, or of the sandbox.", enum=list(ApiKey.Mode.values)),
    "previousSecretUntil": nullable(moment("Until then the secret before signs too.")),
    "createdAt": moment("When it was made."),
}
_EVENT: dict[str, Schema] = {
    "webhookId": _WEBHOOK_ID,
    "event": text("Which event."),
    "callId": nullable(text("Which call; `null`: it is of none.")),
    "createdAt": moment("When it happened."),
}
_STATE = text(
    "`pending` waits for its next attempt; `abandoned`: its endpoint was disabled meanwhile.",
    enum=list(Delivery.State.values),
)
_DELIVERY: dict[str, Schema] = {
    "state": ref("DeliveryState"),
    "attempts": integer("Tries so far.", minimum=0),
    "lastStatus": nullable(integer("HTTP status of the last answer.")),
    "lastFailure": nullable(text("Why the last try failed: a code of docs/webhooks.")),
    "nextTryAt": nullable(moment("When it is tried again.")),
    "endedAt": nullable(moment("When it was over.")),
    "explanation": text("Why it did or did not arrive, in a sentence."),
}
_LIMIT = integer("Rows of a page.", minimum=1, maximum=100, default=DELIVERIES_PAGE)
_AFTER = text("`nextCursor` of the page before.", maxLength=CURSOR_LONGEST)
_CURSOR = nullable(text("For the next page; `null` on the last."))


def _milliseconds(what: str) -> Schema:
    return nullable(integer(f"Milliseconds: {what}.", minimum=0))


SHAPES: dict[str, Schema] = {
    "EndpointDisabledReason": text(
        "`gone`: your endpoint answered 410. `failing`: nothing arrived there for five days.",
        enum=list(Endpoint.DisabledReason.values),
    ),
    "WebhookEndpoint": obj("A URL of yours that hears of events.", _ENDPOINT),
    "NewWebhookSecret": obj(
        "An endpoint with its secret.",
        _ENDPOINT | {"secret": text("Shown this once. Sign with it.", pattern="^whsec_")},
    ),
    "WebhookEndpointList": obj(
        "All endpoints.",
        {"data": array(f"The oldest first; {ENDPOINTS_MAX} at most.", ref("WebhookEndpoint"))},
    ),
    "WebhookEndpointRequest": obj(
        "The endpoint that is wanted.",
        {
            "url": _URL,
            "description": nullable(_DESCRIPTION),
            "eventTypes": nullable(_EVENT_TYPES | {"maxItems": api.MOST_EVENT_TYPES}),
        },
        optional=("description", "eventTypes"),
    ),
    "WebhookEndpointChanges": obj(
        "What is to change; what is left out or null stays.",
        {
            "url": nullable(_URL),
            "description": nullable(_DESCRIPTION),
            "eventTypes": nullable(_EVENT_TYPES | {"maxItems": api.MOST_EVENT_TYPES}),
            "enabled": nullable(boolean("Whether we post there.")),
        },
        optional=("url", "description", "eventTypes", "enabled"),
    ),
    "RotateSecretRequest": obj(
        "For how long the old secret signs too.",
        {"graceHours": number("Without it a day; 0 ends it at once.", minimum=0, maximum=168)},
        optional=("graceHours",),
    ),
    "WebhookSent": obj("A message on its way.", {"webhookId": _WEBHOOK_ID}),
    "ReplayFailedRequest": obj(
        "What to send again.",
        {"since": moment("What failed or was abandoned from then on. Without a zone: UTC.")},
    ),
    "ReplayEventRequest": obj(
        "Where to send it again.",
        {"endpointId": nullable(text("One endpoint; without it all that it went to."))},
        optional=("endpointId",),
    ),
    "Replayed": obj(
        "What is sent again.", {"deliveries": integer("How many deliveries.", minimum=0)}
    ),
    "DeliveryState": _STATE,
    "DeliveryRow": obj("An event on its way to the endpoint.", _EVENT | _DELIVERY),
    "DeliveryPage": obj(
        "A page of deliveries.",
        {"data": array("The newest first.", ref("DeliveryRow")), "nextCursor": _CURSOR},
    ),
    "FoundDelivery": obj(
        "An event on its way to one of your endpoints.",
        _EVENT
        | {"endpointId": _ENDPOINT_ID, "endpointUrl": text("Where it is posted.")}
        | _DELIVERY,
    ),
    "DeliveryAbsence": obj(
        "Why an event or the events of a call were not found.",
        {
            "code": text(
                "`NO_EVENT`: there was nothing to tell so far. `NO_ENDPOINT`: no endpoint was on"
                " that wanted to hear of it. `NOT_THERE`: the rest of the search excludes it. The"
                " list may grow."
            ),
            "message": text("The same as a sentence."),
        },
    ),
    "FoundDeliveries": obj(
        "A page of what was found.",
        {
            "data": array("The newest first.", ref("FoundDelivery")),
            "nextCursor": _CURSOR,
            "absence": nullable(ref("DeliveryAbsence")),
        },
    ),
    "Attempt": obj(
        "One try. `null` where it did not get that far.",
        {
            "number": integer("1 is the first.", minimum=1),
            "startedAt": moment("When it began."),
            "status": nullable(integer("HTTP status of your answer.")),
            "failure": nullable(text("Why it failed: a code of docs/webhooks.")),
            "lookupMs": _milliseconds("the host's name"),
            "connectMs": _milliseconds("TCP and TLS"),
            "answerMs": _milliseconds("connected to the head of your answer"),
            "totalMs": integer("Milliseconds: all of it.", minimum=0),
            "requestHeaders": {
                "type": "object",
                "description": "What we sent.",
                "additionalProperties": {"type": "string"},
            },
            "responseBody": text("The first 1,024 bytes of your answer."),
        },
    ),
    "EventDelivery": obj(
        "The way to one endpoint.",
        {"endpointId": _ENDPOINT_ID}
        | _DELIVERY
        | {"log": array("Every try, in order.", ref("Attempt"))},
    ),
    "WebhookEvent": obj(
        "An event with everything that was tried.",
        _EVENT
        | {
            "body": nullable(text("The exact text that we post; `null` once it was deleted.")),
            "deliveries": array("One for each endpoint.", ref("EventDelivery")),
        },
    ),
}

ENDPOINT_EXAMPLE = {
    "id": ENDPOINT_ID,
    "url": "https://crm.example.com/hooks/athos",
    "description": "CRM",
    "eventTypes": [],
    "enabled": True,
    "disabledAt": None,
    "disabledReason": None,
    "failingSince": None,
    "failedAttempts": 0,
    "mode": "live",
    "previousSecretUntil": None,
    "createdAt": "2026-06-05T18:05:00.000Z",
}
NEW_EXAMPLE = ENDPOINT_EXAMPLE | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw…"}
DELIVERY_EXAMPLE = {
    "state": "delivered",
    "attempts": 2,
    "lastStatus": 200,
    "lastFailure": None,
    "nextTryAt": None,
    "endedAt": "2026-06-05T18:09:20.410Z",
    "explanation": "It arrived: your server answered 200, after 2 attempts.",
}
_EVENT_EXAMPLE = {
    "webhookId": WEBHOOK_ID,
    "event": "call.scored",
    "callId": SCORED_EXAMPLE["callId"],
    "createdAt": "2026-06-05T18:09:14.000Z",
}
ATTEMPT_EXAMPLE = {
    "number": 1,
    "startedAt": "2026-06-05T18:09:14.310Z",
    "status": 503,
    "failure": "HTTP_STATUS",
    "lookupMs": 4,
    "connectMs": 31,
    "answerMs": 118,
    "totalMs": 154,
    "requestHeaders": {"X-Athos-Webhook-Id": WEBHOOK_ID},
    "responseBody": "try later",
}
EVENT_EXAMPLE = _EVENT_EXAMPLE | {
    "body": '{"event":"call.scored","success":true}',
    "deliveries": [{"endpointId": ENDPOINT_ID, **DELIVERY_EXAMPLE, "log": [ATTEMPT_EXAMPLE]}],
}

_PATH_ENDPOINT = in_path("endpointId", _ENDPOINT_ID, example=ENDPOINT_ID)
_PATH_EVENT = in_path("webhookId", _WEBHOOK_ID, example=WEBHOOK_ID)
_SHOWN = Answer(
    description="The endpoint.",
    schema=ref("WebhookEndpoint"),
    examples={"An endpoint": ENDPOINT_EXAMPLE},
)
_REPLAYED = Answer(
    status=202,
    description="It is on its way.",
    schema=ref("Replayed"),
    examples={"Three deliveries": {"deliveries": 3}},
)


LIST = Operation(
    id="listWebhookEndpoints",
    tag=WEBHOOKS,
    summary="List webhook endpoints",
    description="All endpoints of the key's mode.",
    answers=(
        Answer(
            description="The endpoints.",
            schema=ref("WebhookEndpointList"),
            examples={"One endpoint": {"data": [ENDPOINT_EXAMPLE]}},
        ),
    ),
)
CREATE = Operation(
    id="createWebhookEndpoint",
    tag=WEBHOOKS,
    summary="Add a webhook endpoint",
    description=(
        "Its secret is in this answer and nowhere else. A test key's endpoints hear of sandbox"
        " calls only."
    ),
    body=ref("WebhookEndpointRequest"),
    body_examples={
        "An endpoint": {"url": "https://crm.example.com/hooks/athos", "description": "CRM"}
    },
    answers=(
        Answer(
            status=201,
            description="The endpoint and its secret, shown this once.",
            schema=ref("NewWebhookSecret"),
            examples={"An endpoint": NEW_EXAMPLE},
        ),
    ),
    errors=(
        EndpointUrlRefused,
        TooManyEndpoints,
    ),
)
READ = Operation(
    id="getWebhookEndpoint",
    tag=WEBHOOKS,
    summary="Read a webhook endpoint",
    description="One endpoint, without its secret.",
    parameters=(_PATH_ENDPOINT,),
    answers=(_SHOWN,),
    errors=(EndpointNotFound,),
)
UPDATE = Operation(
    id="updateWebhookEndpoint",
    tag=WEBHOOKS,
    summary="Change a webhook endpoint",
    description=(
        "All of the change or nothing of it. Enabling it again does not send what was abandoned"
        " meanwhile: replay that."
    ),
    parameters=(_PATH_ENDPOINT,),
    body=ref("WebhookEndpointChanges"),
    body_examples={"Enable again": {"enabled": True}},
    answers=(_SHOWN,),
    errors=(
        EndpointNotFound,
        EndpointUrlRefused,
    ),
)
DELETE = Operation(
    id="deleteWebhookEndpoint",
    tag=WEBHOOKS,
    summary="Remove a webhook endpoint",
    description="With its log. Nothing more is sent there.",
    parameters=(_PATH_ENDPOINT,),
    answers=(Answer(status=204, description="It is gone."),),
    errors=(EndpointNotFound,),
)
ROTATE = Operation(
    id="rotateWebhookSecret",
    tag=WEBHOOKS,
    summary="Replace a webhook secret",
    description=(
        "The old secret signs too for a day, or as long as you say. Two at most: a second"
        " rotation within that time is refused, unless the grace is 0."
    ),
    parameters=(_PATH_ENDPOINT,),
    body=ref("RotateSecretRequest"),
    body_optional=True,
    body_examples={"In an hour": {"graceHours": 1}},
    answers=(
        Answer(
            description="The endpoint and its new secret, shown this once.",
            schema=ref("NewWebhookSecret"),
            examples={
                "A new secret": NEW_EXAMPLE | {"previousSecretUntil": "2026-06-06T18:05:00.000Z"}
            },
        ),
    ),
    errors=(
        EndpointNotFound,
        SecretRotating,
    ),
)
TEST = Operation(
    id="sendTestWebhook",
    tag=WEBHOOKS,
    summary="Send a test event",
    description="Posts a signed `endpoint.test` to the endpoint, which must be enabled.",
    parameters=(_PATH_ENDPOINT,),
    answers=(
        Answer(
            status=202,
            description="It is on its way.",
            schema=ref("WebhookSent"),
            examples={"Sent": {"webhookId": WEBHOOK_ID}},
        ),
    ),
    errors=(EndpointNotFound,),
)
REPLAY_FAILED = Operation(
    id="replayFailedWebhooks",
    tag=WEBHOOKS,
    summary="Send again what failed",
    description=(
        "What failed or was abandoned at this endpoint since then, the oldest first,"
        f" {REPLAYED_AT_ONCE} at once: ask again for more."
    ),
    parameters=(_PATH_ENDPOINT,),
    body=ref("ReplayFailedRequest"),
    body_examples={"Since this morning": {"since": "2026-06-05T06:00:00.000Z"}},
    answers=(_REPLAYED,),
    errors=(EndpointNotFound,),
)
DELIVERIES = Operation(
    id="listWebhookDeliveries",
    tag=WEBHOOKS,
    summary="List what was sent to an endpoint",
    description="The newest first, page by page.",
    parameters=(
        _PATH_ENDPOINT,
        query("state", _STATE),
        query("limit", _LIMIT),
        query("cursor", _AFTER),
    ),
    answers=(
        Answer(
            description="A page.",
            schema=ref("DeliveryPage"),
            examples={
                "The last page": {"data": [_EVENT_EXAMPLE | DELIVERY_EXAMPLE], "nextCursor": None}
            },
        ),
    ),
    errors=(EndpointNotFound,),
)
_FOUND_EXAMPLE = _EVENT_EXAMPLE | {
    "endpointId": ENDPOINT_ID,
    "endpointUrl": ENDPOINT_EXAMPLE["url"],
    **DELIVERY_EXAMPLE,
    "state": "pending",
    "attempts": 3,
    "lastStatus": 503,
    "lastFailure": "HTTP_STATUS",
    "nextTryAt": "2026-06-05T18:12:01.000Z",
    "endedAt": None,
    "explanation": "It has not arrived yet; 3 attempts of 12 failed. Your server answered, but not"
    " with 2xx. It answered 503.",
}
SEARCH = Operation(
    id="searchWebhookDeliveries",
    tag=WEBHOOKS,
    summary="Search what was sent",
    description=(
        "Why did my CRM not update? Ask with the call's id: one row for each endpoint and event,"
        " the newest first, each with a sentence that says why. When nothing was sent, `absence`"
        " says why not. All conditions hold together."
    ),
    parameters=(
        query("callId", text("Of this call."), example=SCORED_EXAMPLE["callId"]),
        query("webhookId", text("This event.")),
        query("endpointId", text("Sent to this endpoint.")),
        query("event", text("Of this type.", enum=[*EVENT_TYPES, ENDPOINT_TEST])),
        query("state", _STATE),
        query("from", moment("Happened then or later. Without a zone: UTC.")),
        query("to", moment("Happened then or before.")),
        query("limit", _LIMIT),
        query("cursor", _AFTER),
    ),
    answers=(
        Answer(
            description="A page.",
            schema=ref("FoundDeliveries"),
            examples={
                "A receiver in trouble": {
                    "data": [_FOUND_EXAMPLE],
                    "nextCursor": None,
                    "absence": None,
                },
                "Nothing was sent": {
                    "data": [],
                    "nextCursor": None,
                    "absence": api.absence_output(Absence.NO_ENDPOINT),
                },
            },
        ),
    ),
)
EVENT = Operation(
    id="getWebhookEvent",
    tag=WEBHOOKS,
    summary="Read an event and its attempts",
    description=(
        "Why did my system not hear of it? This is the answer: what was sent, when, and what came"
        " back."
    ),
    parameters=(_PATH_EVENT,),
    answers=(
        Answer(
            description="The event.",
            schema=ref("WebhookEvent"),
            examples={"Delivered at the second try": EVENT_EXAMPLE},
        ),
    ),
    errors=(EventNotFound,),
)
REPLAY = Operation(
    id="replayWebhookEvent",
    tag=WEBHOOKS,
    summary="Send an event again",
    description=(
        "With its own id, to one endpoint or to all it went to; what is still pending is left"
        " alone."
    ),
    parameters=(_PATH_EVENT,),
    body=ref("ReplayEventRequest"),
    body_optional=True,
    body_examples={"To one endpoint": {"endpointId": ENDPOINT_ID}},
    answers=(_REPLAYED,),
    errors=(
        EventNotFound,
        EndpointNotFound,
        EventExpired,
    ),
)

OPERATIONS: Mapping[tuple[type[ApiView], str], Operation] = {
    (api.EndpointListApi, "GET"): LIST,
    (api.EndpointListApi, "POST"): CREATE,
    (api.EndpointApi, "GET"): READ,
    (api.EndpointApi, "PATCH"): UPDATE,
    (api.EndpointApi, "DELETE"): DELETE,
    (api.EndpointRotateApi, "POST"): ROTATE,
    (api.EndpointTestApi, "POST"): TEST,
    (api.EndpointReplayApi, "POST"): REPLAY_FAILED,
    (api.EndpointDeliveriesApi, "GET"): DELIVERIES,
    (api.DeliveriesApi, "GET"): SEARCH,
    (api.EventApi, "GET"): EVENT,
    (api.EventReplayApi, "POST"): REPLAY,
}
