"""The bytes of an event's body. Pure. They are made once; every attempt sends the same ones."""

import json
from collections.abc import Mapping

# The order of the contract. What is not named here never leaves us: no score, no transcript.
FACTS = (
    "success",
    "callId",
    "source",
    "externalUserId",
    "externalAgencyId",
    "endReason",  # of call.ended, like the next one
    "durationSec",
    "occurredAt",
    "requestId",
    "reason",
    "reasonMessage",
    "mode",  # only where it is "test": a live event has the contract's fields and no other
)
BODY_LONGEST = 20_000  # bytes, the advice of Standard Webhooks


class BodyRefused(ValueError):
    """A fault of ours: a fact that must not be told, or far too much of it."""


def event_body(type_: str, facts: Mapping[str, object], *, event_id: str) -> bytes:
    """Compact JSON in UTF-8: the type first, the facts in the contract's order, the id last."""
    unknown = facts.keys() - set(FACTS)
    if unknown:
        raise BodyRefused(f"Not for webhooks: {', '.join(sorted(unknown))}")
    known = {name: facts[name] for name in FACTS if name in facts}
    whole = {"event": type_, **known, "webhookId": event_id}
    body = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if len(body) > BODY_LONGEST:
        raise BodyRefused(f"{len(body)} bytes are too many.")
    return body
