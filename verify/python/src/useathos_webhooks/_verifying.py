"""Whether Athos sent these bytes, just now."""

import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from useathos_webhooks._events import BodyInvalid, Event, event_of

HEADER = "X-Athos-Signature"
TOLERANCE = 300  # seconds, in either direction
HEADER_LONGEST = 4096  # characters; ours has about 90, or 160 while a secret rotates

_TIME = re.compile(r"[0-9]{1,12}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class HeaderItems(Protocol):
    """Any mapping of names to values, in any case: Django's, Flask's, Starlette's, a plain dict."""

    def items(self) -> Iterable[tuple[str, str]]: ...


class WebhookRefused(Exception):
    """Don't act on this message. `code` says why; answer 401, or 400 for `BODY_INVALID`.

    `SIGNATURE_MISSING`, `SIGNATURE_MALFORMED`: there is no header that Athos could have written.
    `SIGNATURE_MISMATCH`: other bytes, or another secret. Is it the raw body that you pass?
    `TIME_TOO_OLD`, `TIME_TOO_NEW`: signed with your secret, but not now. Is your clock right?
    `BODY_INVALID`: signed with your secret, but not a message of Athos.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


def verify(
    body: bytes,
    headers: str | HeaderItems,
    secret: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> Event:
    """The event in `body`, or `WebhookRefused`.

    `body`: the bytes as received, not JSON that was parsed and printed again.
    `headers`: all headers of the request in any mapping, or the value of X-Athos-Signature alone.
    `secret`: the endpoint's `whsec_…`, or several of them, any of which may have signed.
    `tolerance`: seconds that the signature's time may be away from `now`, in either direction.
    `now`: Unix seconds, for tests. Raises TypeError and ValueError when called wrongly.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError("verify() needs the raw bytes of the body, as received.")
    secrets = _secrets(secret)
    if not 0 <= tolerance < float("inf"):
        raise ValueError("verify() needs a tolerance in seconds, of 0 or more.")
    raw = bytes(body)
    sent_at, digests = _signature(_header(headers))
    if not _signed(raw, sent_at, digests, secrets):
        raise WebhookRefused("SIGNATURE_MISMATCH", "No signature fits the body and the secret.")
    _check_time(int(sent_at), time.time() if now is None else now, tolerance)
    try:
        return event_of(raw)
    except BodyInvalid as cause:
        raise WebhookRefused("BODY_INVALID", "The body is not a message of Athos.") from cause


def _secrets(secret: str | Sequence[str]) -> Sequence[str]:
    secrets = [secret] if isinstance(secret, str) else list(secret)
    # An empty key would make a signature that anybody can make.
    if not secrets or not all(isinstance(one, str) and one.startswith("whsec_") for one in secrets):
        raise ValueError("verify() needs the endpoint's secret, which begins with whsec_.")
    return secrets


def _header(headers: str | HeaderItems) -> str:
    if isinstance(headers, str):
        return headers
    for name, value in headers.items():
        if name.lower() == HEADER.lower():
            return value
    raise WebhookRefused("SIGNATURE_MISSING", f"There is no {HEADER}.")


def _signature(header: str) -> tuple[str, list[str]]:
    """The time as it was written, and the digests that look like one."""
    if len(header) > HEADER_LONGEST:
        raise WebhookRefused("SIGNATURE_MALFORMED", f"{HEADER} is too long.")
    times, digests = [], []
    for name, value in _parts(header):
        if name == "t":
            times.append(value)
        elif name == "v1" and _DIGEST.fullmatch(value):
            digests.append(value)
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not digests:
        raise WebhookRefused("SIGNATURE_MALFORMED", f"{HEADER} must be t=<seconds>,v1=<hex>.")
    return times[0], digests


def _parts(header: str) -> Iterator[tuple[str, str]]:
    for part in header.split(","):
        name, _, value = part.partition("=")
        yield name, value


def _signed(body: bytes, sent_at: str, digests: Sequence[str], secrets: Sequence[str]) -> bool:
    """Each secret is tried with each digest, so that how long it takes says nothing."""
    message = sent_at.encode() + b"." + body
    found = False
    for secret in secrets:
        expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        for digest in digests:
            found |= hmac.compare_digest(digest, expected)
    return found


def _check_time(sent_at: int, now: float, tolerance: float) -> None:
    if now - sent_at > tolerance:
        raise WebhookRefused("TIME_TOO_OLD", f"It was signed over {tolerance:g} s ago.")
    if sent_at - now > tolerance:
        raise WebhookRefused("TIME_TOO_NEW", f"It was signed over {tolerance:g} s in the future.")
