"""Verify and read the webhooks that Athos sends: `event = verify(body, headers, secret)`."""

from useathos_webhooks._events import (
    CallEnded,
    CallScored,
    CallScoreFailed,
    CallStarted,
    EndpointTest,
    Event,
    RecordingDeleted,
    ScoreOverridden,
)
from useathos_webhooks._verifying import TOLERANCE, WebhookRefused, verify

__all__ = [
    "TOLERANCE",
    "CallEnded",
    "CallScoreFailed",
    "CallScored",
    "CallStarted",
    "EndpointTest",
    "Event",
    "RecordingDeleted",
    "ScoreOverridden",
    "WebhookRefused",
    "verify",
]
