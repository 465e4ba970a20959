"""The sandbox as the API's document describes it."""

from collections.abc import Mapping

from calls.models import Call
from calls.sandbox import api
from calls.sandbox.scripts import DEFAULT, scripts
from calls.sandbox.services import NotATestKey
from calls.services.tokens import DrillNotFound
from tenants.api import ApiView
from tenants.describing import (
    Answer,
    Operation,
    Schema,
    Tag,
    array,
    integer,
    known_words,
    name_text,
    nullable,
    obj,
    ref,
    text,
)
from tenants.errors import InsufficientScope
from webhooks.models import Rehearsal

SANDBOX = Tag(
    "Sandbox",
    "Calls without a browser or a microphone, for your own tests: a scripted rep talks with the"
    " persona and the call goes through the real pipeline. Test keys (`ath_test_…`) only; nothing"
    " counts toward usage.",
)

CALL_ID = "athos_call_GZ1DjOkZv_VEPoE-CJ8mp"

SHAPES: dict[str, Schema] = {
    "SandboxCallRequest": obj(
        "Which call is to be made. Give `script` or `repLines`, not both.",
        {
            "drillKey": name_text("The drill.", longest=api.LONGEST_DRILL_KEY),
            "externalUserId": name_text("Your name of the rep."),
            "externalAgencyId": nullable(name_text("Your name of the rep's agency.")),
            "difficulty": nullable(ref("Difficulty")),
            "script": nullable(ref("SandboxScript")),
            "repLines": nullable(
                array(
                    "What the rep says, in your own words, line by line;"
                    f" {api.ALL_LINES_LONGEST} characters together.",
                    text("A line.", minLength=1, maxLength=api.LINE_LONGEST, pattern="[A-Za-z0-9]"),
                )
                | {"minItems": 1, "maxItems": api.LINES_MAX}
            ),
            "webhook": nullable(ref("SandboxWebhook")),
            "webhookDelaySeconds": nullable(
                integer(
                    f"With `webhook` `late` only; without it {api.DELAY}.",
                    minimum=1,
                    maximum=api.DELAY_LONGEST,
                )
            ),
        },
        optional=(
            "externalAgencyId",
            "difficulty",
            "script",
            "repLines",
            "webhook",
            "webhookDelaySeconds",
        ),
    ),
    "SandboxScript": known_words(f"How the rep does. Without it `{DEFAULT}`.", scripts()),
    "SandboxWebhook": known_words(
        "How the delivery of the call's webhook goes. Without it `normal`.", Rehearsal.values
    ),
    "SandboxCall": obj(
        "A call that is being made.",
        {
            "callId": text("Names the call.", pattern=r"^athos_call_[A-Za-z0-9_-]{21}$"),
            "sessionId": text("For your logs.", pattern=r"^ext_[A-Za-z0-9_-]{21}$"),
            "status": text("Always `live`: ask for its status.", const=str(Call.Stage.LIVE)),
        },
    ),
}

CREATE = Operation(
    id="createSandboxCall",
    tag=SANDBOX,
    summary="Make a call with a scripted rep",
    description=(
        "The same script gives the same transcript and score. Wait for the webhook or ask for the"
        " call's status; then read it as any other call."
    ),
    body=ref("SandboxCallRequest"),
    body_examples={
        "A good call": {"drillKey": "ma-full-sale", "externalUserId": "rep_8842"},
        "Own words and a late webhook": {
            "drillKey": "ma-full-sale",
            "externalUserId": "rep_8842",
            "repLines": ["Hi, this is Sam with Harbor Benefits on a recorded line."],
            "webhook": "late",
            "webhookDelaySeconds": 10,
        },
    },
    answers=(
        Answer(
            status=202,
            description="It is being made.",
            schema=ref("SandboxCall"),
            examples={
                "A call": {
                    "callId": CALL_ID,
                    "sessionId": "ext_Vx3kQpWz0aBcD1eF2gH3i",
                    "status": "live",
                }
            },
        ),
    ),
    errors=(DrillNotFound, NotATestKey, InsufficientScope),
)

OPERATIONS: Mapping[tuple[type[ApiView], str], Operation] = {(api.SandboxCallApi, "POST"): CREATE}
