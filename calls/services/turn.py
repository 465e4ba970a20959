"""How a browser may reach us: STUN and TURN servers, with credentials for this call alone."""

import base64
import hmac
from typing import Any

from django.conf import settings
from django.utils import timezone

CREDENTIALS_SECONDS = 2 * 3600 + 300  # the longest call, and the way into it


def ice_servers(*, call: str, seconds: int = CREDENTIALS_SECONDS) -> list[dict[str, Any]]:
    """`RTCConfiguration.iceServers` for the browser of this call (its public id)."""
    servers: list[dict[str, Any]] = [dict(server) for server in settings.ICE_SERVERS]
    if settings.TURN_URLS:
        expires_at = int(timezone.now().timestamp()) + seconds
        name, password = turn_credentials(
            secret=settings.TURN_SECRET, call=call, expires_at=expires_at
        )
        urls = list(settings.TURN_URLS)
        servers.append({"urls": urls, "username": name, "credential": password})
    return servers


def turn_credentials(*, secret: str, call: str, expires_at: int) -> tuple[str, str]:
    """User name and password that coturn accepts until then (Unix time), under
    `use-auth-secret`: draft-uberti-behave-turn-rest-00, section 2.2."""
    name = f"{expires_at}:{call}"
    digest = hmac.digest(secret.encode(), name.encode(), "sha1")
    return name, base64.b64encode(digest).decode()
