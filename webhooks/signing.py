"""How a delivery is signed. Pure: the time and the secrets come in as arguments.

Two schemes stand side by side: our own header, which Stripe's verifiers read as theirs, and that of
Standard Webhooks. One secret serves both: ours is keyed by the text as shown, `whsec_` included,
theirs by the bytes that its base64 part encodes.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105 - not a secret yet
SECRET_BYTES = 32
_GIVEN_BYTES = range(24, 65)  # what Standard Webhooks allows


class SecretMalformed(ValueError):
    """Not `whsec_` and the base64 of 24 to 64 bytes."""


def secret_make() -> str:
    """A new secret, shown once."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def secret_bytes(secret: str) -> bytes:
    """The key of the Standard Webhooks scheme."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretMalformed from None  # the cause would quote the secret
    if not secret.startswith(SECRET_PREFIX) or len(key) not in _GIVEN_BYTES:
        raise SecretMalformed
    return key


def signature_header(*, secrets: Sequence[str], body: bytes, sent_at: int) -> str:
    """The value of X-Athos-Signature, with one `v1` for each secret, the newest first.

    No space after the comma: Stripe's verifier would find no signature.
    """
    signed = f"{sent_at}.".encode() + body
    digests = (hmac.digest(secret.encode(), signed, "sha256").hex() for secret in secrets)
    return f"t={sent_at}," + ",".join(f"v1={digest}" for digest in digests)


def standard_signature(*, secrets: Sequence[str], event_id: str, body: bytes, sent_at: int) -> str:
    """The value of webhook-signature; several are parted by a space."""
    signed = f"{event_id}.{sent_at}.".encode() + body
    digests = (hmac.digest(secret_bytes(secret), signed, "sha256") for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def signed_headers(
    *, secrets: Sequence[str], event_id: str, body: bytes, sent_at: int
) -> dict[str, str]:
    """All headers that make a receiver believe us. `sent_at` in Unix seconds, the attempt's own."""
    if not secrets:
        raise ValueError("Nothing is sent unsigned.")
    return {
        "X-Athos-Signature": signature_header(secrets=secrets, body=body, sent_at=sent_at),
        "X-Athos-Webhook-Id": event_id,
        "webhook-id": event_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": standard_signature(
            secrets=secrets, event_id=event_id, body=body, sent_at=sent_at
        ),
    }
