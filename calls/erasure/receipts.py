"""What an erasure is called and what it says: digests of its subject, the receipt, the signature.

A receipt is signed with HMAC-SHA256 under a key of its own, derived from ENCRYPTION_KEYS: whoever
changes a row cannot sign it, and a receipt that was kept elsewhere can be checked for ever.
"""

import hmac
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from calls.models import Erasure
from tenants.api import timestamp
from tenants.errors import AthosError
from tenants.sealing import keyed_digest, keyed_digests

SUBJECT_PURPOSE = "athos.erasure.subject"
RECEIPT_PURPOSE = "athos.erasure.receipt"


class ReceiptBroken(AthosError):
    code, status = "INTERNAL_ERROR", 500
    message = "This receipt was changed after it was signed."


def subject_digests(
    *, tenant_id: uuid.UUID, mode: str, subject: str, name: str, agencies: Sequence[uuid.UUID] = ()
) -> list[str]:
    """Names what is erased without telling it. The first is for new rows, all may be old ones'."""
    plain = [str(tenant_id), mode, subject, name, sorted(map(str, agencies))]
    return keyed_digests(json.dumps(plain).encode(), purpose=SUBJECT_PURPOSE)


def receipt_json(erasure: Erasure) -> dict[str, Any]:
    """The receipt as the API gives it. Raises ReceiptBroken rather than show one that was changed.

    While the erasure goes on `finishedAt` and `signature` are null and the counts grow.
    """
    receipt = _unsigned(erasure)
    if erasure.finished_at is not None and not genuine(receipt, erasure.signature):
        raise ReceiptBroken
    return receipt | {"signature": erasure.signature or None}


def receipt_sign(erasure: Erasure) -> str:
    """The signature of a finished erasure's receipt, 64 hex digits."""
    return keyed_digest(_message(_unsigned(erasure)), purpose=RECEIPT_PURPOSE)


def genuine(receipt: Mapping[str, Any], signature: str) -> bool:
    """Whether we signed this receipt, given without its signature."""
    ours = keyed_digests(_message(receipt), purpose=RECEIPT_PURPOSE)
    return any(hmac.compare_digest(digest.encode(), signature.encode()) for digest in ours)


def _unsigned(erasure: Erasure) -> dict[str, Any]:
    finished_at = erasure.finished_at
    return {
        "erasureId": erasure.public_id,
        "subject": erasure.subject,
        "mode": erasure.mode,
        "status": "pending" if finished_at is None else "finished",
        "requestedAt": timestamp(erasure.requested_at),
        "finishedAt": None if finished_at is None else timestamp(finished_at),
        "counts": dict(sorted(erasure.counts.items())),
    }


def _message(receipt: Mapping[str, Any]) -> bytes:
    """The receipt as compact JSON with sorted keys."""
    return json.dumps(receipt, sort_keys=True, separators=(",", ":")).encode()
