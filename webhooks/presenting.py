"""Endpoints, deliveries and attempts in words for pages. No query here, no HTML either."""

import json
from dataclasses import dataclass

from webhooks.log import Absence
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.retry import ATTEMPTS

# What a failed attempt means, and what its owner can do: docs/webhooks.md says the same.
FAILURES = {
    "HTTP_STATUS": "Your server answered, but not with 2xx.",
    "REDIRECT_REFUSED": "Your server redirects. We follow no redirects: enter the final URL.",
    "TIMEOUT": "Your server did not answer within 15 seconds, or could not be reached within 5.",
    "NAME_NOT_FOUND": "The host's name has no address.",
    "ADDRESS_REFUSED": "The host has an address that is not on the public internet.",
    "URL_REFUSED": "The URL breaks our rules for endpoints.",
    "CONNECT_FAILED": "Nobody listens there: the connection was refused.",
    "TLS_FAILED": "The certificate is not valid for the host, or TLS is older than 1.2.",
    "CONNECTION_LOST": "The connection ended before an answer came.",
    "RESPONSE_INVALID": "What came back is not HTTP.",
    "SECRET_UNREADABLE": "Our fault: the secret cannot be read any more. Rotate it.",
    "SIMULATED_FAILURE": "Nothing was sent: the test asked for a failure.",
    "SIMULATED_TIMEOUT": "Nothing was sent: the test asked for a timeout.",
}
DISABLED = {
    Endpoint.DisabledReason.GONE: "Switched off: your server answered 410 Gone.",
    Endpoint.DisabledReason.FAILING: "Switched off: nothing arrived there for five days.",
    Endpoint.DisabledReason.MANUAL: "Switched off by one of you.",
}
ABSENCES = {
    Absence.NO_EVENT: "There was nothing to tell so far: the call is not over, or not scored yet,"
    " or you have none of that id.",
    Absence.NO_ENDPOINT: "It was sent nowhere: when it happened, no endpoint was switched on that"
    " wants to hear of it.",
    Absence.NOT_THERE: "It was sent, but nothing of that matches the rest of the search.",
}


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint does: `state` is fine, failing or off."""

    state: str
    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class AttemptShown:
    attempt: Attempt
    arrived: bool
    result: str  # HTTP 500, or the code of a failure
    meaning: str
    parts: tuple[tuple[str, int], ...]  # what took how many milliseconds
    headers: str


def health_of(endpoint: Endpoint) -> Health:
    if not endpoint.enabled:
        reason = Endpoint.DisabledReason(endpoint.disabled_reason or "manual")
        return Health("off", "Off", DISABLED[reason])
    if endpoint.failing_since is not None:
        count = endpoint.failed_attempts
        return Health("failing", "Failing", f"{count} attempt{'s' * (count != 1)} failed in a row.")
    return Health("fine", "On", "")


def verdict_of(delivery: Delivery) -> str:
    """Why it did or did not arrive, in one sentence or two."""
    tries = f"{delivery.attempt_count} attempt{'s' * (delivery.attempt_count != 1)}"
    status = f" It answered {delivery.last_status}." if delivery.last_status else ""
    why = FAILURES.get(delivery.last_failure, "") + status
    match delivery.state:
        case Delivery.State.DELIVERED:
            return f"It arrived: your server answered {delivery.last_status}, after {tries}."
        case Delivery.State.ABANDONED:
            return "It was not sent any more: the endpoint was switched off before it arrived."
        case Delivery.State.FAILED:
            return f"It was given up after {tries}. {why}".strip()
        case _ if delivery.attempt_count:
            return f"It has not arrived yet; {tries} of {ATTEMPTS} failed. {why}".strip()
        case _:
            return "It is about to be sent."


def attempt_shown(attempt: Attempt) -> AttemptShown:
    parts = (
        ("Name", attempt.lookup_ms),
        ("Connection", attempt.connect_ms),
        ("Answer", attempt.answer_ms),
        ("In all", attempt.total_ms),
    )
    return AttemptShown(
        attempt=attempt,
        arrived=not attempt.error,
        result=f"HTTP {attempt.status}" if attempt.status else attempt.error,
        meaning=FAILURES.get(attempt.error, ""),
        parts=tuple((name, ms) for name, ms in parts if ms is not None),
        headers="\n".join(f"{name}: {value}" for name, value in attempt.request_headers.items()),
    )


def body_shown(body: bytes) -> str:
    """The event's JSON, one field a line; what was sent is compact."""
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False) if body else ""
