"""Endpoints' secrets at rest: sealed under ENCRYPTION_KEYS, because we must read them to sign."""

from datetime import datetime

from tenants.sealing import seal, unseal
from webhooks.models import Endpoint

_PURPOSE = "webhook_secret"


def seal_secret(secret: str) -> str:
    return seal(secret.encode(), purpose=_PURPOSE)


def open_secrets(endpoint: Endpoint, *, now: datetime) -> tuple[str, ...]:
    """What to sign with, the newest first. Raises SealBroken when a key of the ring is gone."""
    sealed = [endpoint.sealed_secret]
    if endpoint.previous_until is not None and endpoint.previous_until > now:
        sealed.append(endpoint.sealed_previous_secret)
    return tuple(unseal(text, purpose=_PURPOSE).decode() for text in sealed)
