"""Links to recordings that carry their own right: no cookie, no key, good for an hour.

The right is sealed, so a link shows neither the tenant nor our ids, and nobody can make one.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from tenants.sealing import SealBroken, seal, unseal

PURPOSE = "athos.recording.link"
MAX_AGE = timedelta(hours=1)
PATH = "media/v1/recordings/"


class LinkRefused(ValueError):
    """Not a link of ours, or too old."""


@dataclass(frozen=True, slots=True)
class RecordingLink:
    url: str
    expires_at: datetime


def recording_link_make(*, tenant_id: uuid.UUID, call_id: uuid.UUID) -> RecordingLink:
    """A link to the call's recording. A player may go on for as long as the link is good."""
    sealed = seal(json.dumps([tenant_id.hex, call_id.hex]).encode(), purpose=PURPOSE)
    url = f"{settings.PUBLIC_URL}/{PATH}{sealed}"
    return RecordingLink(url, timezone.now().replace(microsecond=0) + MAX_AGE)


def recording_link_read(sealed: str) -> tuple[uuid.UUID, uuid.UUID]:
    """The tenant and the call of a link."""
    try:
        value = unseal(sealed, purpose=PURPOSE, max_age=int(MAX_AGE.total_seconds()))
    except SealBroken as broken:
        raise LinkRefused from broken
    tenant_id, call_id = json.loads(value)
    return uuid.UUID(tenant_id), uuid.UUID(call_id)
