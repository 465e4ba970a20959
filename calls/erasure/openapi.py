"""Erasing and keeping data as the API's document describes it. docs/retention.md has the table."""

from collections.abc import Mapping

from calls.erasure import api
from calls.erasure.requests import ErasureNotFound, RepNotFound
from calls.erasure.retention import FIELDS, LONGEST
from calls.models import Erasure
from tenants.api import ApiView
from tenants.describing import (
    Answer,
    Operation,
    Schema,
    Tag,
    in_path,
    integer,
    moment,
    name_text,
    nullable,
    obj,
    ref,
    text,
)
from tenants.errors import InsufficientScope
from tenants.models import ApiKey

DATA = Tag(
    "Data",
    "Erase a call or all that is kept of a rep, with a signed receipt, and decide for how many days"
    " content is kept.",
)

ERASURE_ID = "era_Vx3kQpWz0aBcD1eF2gH3i"
_ERASURE_ID = text("Names the erasure.", pattern=r"^era_[A-Za-z0-9_-]{21}$")
_DAYS = {
    "audioDays": "Recordings.",
    "transcriptDays": "Transcripts, and what was written about the call.",
    "webhookPayloadDays": "Bodies of webhooks.",
}


def _days(kind: str) -> Schema:
    return nullable(integer(f"{kind} `null`: until they are erased.", minimum=1, maximum=LONGEST))


SHAPES: dict[str, Schema] = {
    "Erasure": obj(
        "An erasure, and its receipt once it is finished. It holds no name of anybody.",
        {
            "erasureId": _ERASURE_ID,
            "subject": text("What is erased.", enum=list(Erasure.Subject.values)),
            "mode": text("Live data, or the sandbox's.", enum=list(ApiKey.Mode.values)),
            "status": text("Ask again while it is `pending`.", enum=["pending", "finished"]),
            "requestedAt": moment("When it was asked for."),
            "finishedAt": nullable(moment("When the last of it was gone.")),
            "counts": {
                "type": "object",
                "description": "What was deleted so far, by kind.",
                "additionalProperties": {"type": "integer", "minimum": 0},
            },
            "signature": nullable(
                text("Ours, over the receipt; with it nobody can change a receipt unseen.")
            ),
        },
    ),
    "Retention": obj(
        "For how many days after a call its content is kept.",
        {name: _days(_DAYS[name]) for name in FIELDS},
    ),
    "RetentionChanges": obj(
        "What is to change; what is left out stays.",
        {name: _days(_DAYS[name]) for name in FIELDS},
        optional=tuple(FIELDS),
    ),
}

PENDING_EXAMPLE: dict[str, object] = {
    "erasureId": ERASURE_ID,
    "subject": "rep",
    "mode": "live",
    "status": "pending",
    "requestedAt": "2026-06-05T18:05:00.000Z",
    "finishedAt": None,
    "counts": {},
    "signature": None,
}
FINISHED_EXAMPLE = PENDING_EXAMPLE | {
    "status": "finished",
    "finishedAt": "2026-06-05T18:05:02.310Z",
    "counts": {"calls": 12, "recordings": 12, "turns": 408},
    "signature": "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
}
RETENTION_EXAMPLE = {"audioDays": 90, "transcriptDays": 365, "webhookPayloadDays": 30}

ACCEPTED = Answer(
    status=202,
    description="It is being done. Asking for the same again gives the same receipt.",
    schema=ref("Erasure"),
    examples={"Being erased": PENDING_EXAMPLE},
    headers={"Location": text("Where the receipt is: `/api/external/v1/erasures/{erasureId}`.")},
)

ERASE_REP = Operation(
    id="eraseRep",
    tag=DATA,
    summary="Erase a rep",
    description=(
        "Deletes all calls of the rep that the key may see, with transcripts, scores, recordings"
        " and webhook bodies, and the rep's name. It cannot be undone."
    ),
    parameters=(in_path("externalUserId", name_text("Your name of the rep."), example="rep_8842"),),
    answers=(ACCEPTED,),
    errors=(RepNotFound,),
)
READ = Operation(
    id="getErasure",
    tag=DATA,
    summary="Read the receipt of an erasure",
    description="How far an erasure is, and what was deleted.",
    parameters=(in_path("erasureId", _ERASURE_ID, example=ERASURE_ID),),
    answers=(
        Answer(
            description="The receipt.",
            schema=ref("Erasure"),
            examples={"Finished": FINISHED_EXAMPLE, "Being erased": PENDING_EXAMPLE},
        ),
    ),
    errors=(ErasureNotFound,),
)
_POLICY = Answer(
    description="The policy.", schema=ref("Retention"), examples={"A policy": RETENTION_EXAMPLE}
)
RETENTION = Operation(
    id="getRetention",
    tag=DATA,
    summary="Read for how long content is kept",
    description="The whole account's policy; a key that is limited to agencies may not ask.",
    answers=(_POLICY,),
    errors=(InsufficientScope,),
)
SET_RETENTION = Operation(
    id="updateRetention",
    tag=DATA,
    summary="Change for how long content is kept",
    description=(
        "Holds for what is there already as well: what is older is deleted soon after. Scores and"
        " metrics stay. Live keys only."
    ),
    body=ref("RetentionChanges"),
    body_examples={"Recordings for a month": {"audioDays": 30}},
    answers=(_POLICY,),
    errors=(InsufficientScope,),
)

OPERATIONS: Mapping[tuple[type[ApiView], str], Operation] = {
    (api.RepEraseApi, "DELETE"): ERASE_REP,
    (api.ErasureApi, "GET"): READ,
    (api.RetentionApi, "GET"): RETENTION,
    (api.RetentionApi, "PATCH"): SET_RETENTION,
}
