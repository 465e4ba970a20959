"""Who calls the API: one bearer key, looked up by its digest in one query."""

import hmac
import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from tenants import keys
from tenants.client_address import Address, address_allowed, client_address
from tenants.errors import ApiKeyRevoked, InvalidApiKey, IpNotAllowed, TenantInactive
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, Tenant

logger = logging.getLogger(__name__)

LAST_USED_EVERY = timedelta(seconds=60)
_TENANT_FIELDS = (
    "id",
    "name",
    "status",
    "monthly_minutes",
    "allowed_ips",
    "browser_origins",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """An integrator's backend: the key it showed and the tenant behind it."""

    tenant: Tenant
    key_id: uuid.UUID
    mode: str  # "live" or "test"
    scopes: frozenset[str]
    agencies: tuple[uuid.UUID, ...]  # empty: all


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer ath_…`. Sets `request.auth` to a Caller."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        return None, caller_find(bearer(request), address_of(request))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def caller_of(request: Request) -> Caller:
    caller = request.auth
    if not isinstance(caller, Caller):
        raise InvalidApiKey
    return caller


def tenant_of(request: Request) -> Tenant:
    """The tenant of the request's key. API code takes it from here and nowhere else."""
    return caller_of(request).tenant


def bearer(request: Request) -> str:
    """The bearer credential, or an empty text."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def address_of(request: Request) -> Address | None:
    return client_address(
        peer=request.META.get("REMOTE_ADDR") or "",
        forwarded=request.META.get("HTTP_X_FORWARDED_FOR", ""),
        trusted_proxies=settings.REST_FRAMEWORK["NUM_PROXIES"],
    )


def caller_find(key: str, address: Address | None) -> Caller:
    """The caller behind a key, or a refusal. Junk costs no query, a good key one."""
    if keys.parse(key) is None:
        raise InvalidApiKey
    row = _lookup(key)
    if row is None:
        raise InvalidApiKey
    if row["revoked_at"] is not None:
        raise ApiKeyRevoked
    if row["expires_at"] is not None and row["expires_at"] <= timezone.now():
        raise ApiKeyRevoked("This API key has expired.")
    tenant = Tenant.from_db("default", _TENANT_FIELDS, [row[f"tenant_{f}"] for f in _TENANT_FIELDS])
    if tenant.status != Tenant.Status.ACTIVE:
        raise TenantInactive
    lists = (tenant.allowed_ips, row["allowed_ips"])
    if not all(address_allowed(address, allowed) for allowed in lists):
        raise IpNotAllowed
    _last_used.note(tenant.id, row["key_id"], row["last_used_at"])
    return Caller(
        tenant=tenant,
        key_id=row["key_id"],
        mode=row["mode"],
        scopes=frozenset(row["scopes"]),
        agencies=tuple(row["agencies"]),
    )


def _lookup(key: str) -> dict[str, Any] | None:
    candidates = keys.digests(key, settings.API_KEY_PEPPERS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM key_lookup(%s)", [candidates])
        columns = [column.name for column in cursor.description or ()]
        found = cursor.fetchone()
    if found is None:
        return None
    row = dict(zip(columns, found, strict=True))
    known = any(hmac.compare_digest(bytes(row["digest"]), digest) for digest in candidates)
    return row if known else None


class _LastUsed:
    """Writes `last_used_at` off the request's path, at most once a minute for a key.

    A write that is refused for want of room or fails is not made up for: the next use does it.
    """

    PENDING = 100

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "api-key-last-used")
        self._noted: dict[uuid.UUID, float] = {}  # monotonic seconds
        self._pending = 0
        self._lock = Lock()

    def note(self, tenant_id: uuid.UUID, key_id: uuid.UUID, last_used_at: datetime | None) -> None:
        if last_used_at is not None and timezone.now() - last_used_at < LAST_USED_EVERY:
            return
        now = time.monotonic()
        with self._lock:
            recent = now - self._noted.get(key_id, float("-inf")) < LAST_USED_EVERY.total_seconds()
            if recent or self._pending >= self.PENDING:
                return
            if len(self._noted) >= 10_000:
                self._noted.clear()
            self._noted[key_id] = now
            self._pending += 1
        self._threads.submit(self._write, tenant_id, key_id)

    def _write(self, tenant_id: uuid.UUID, key_id: uuid.UUID) -> None:
        try:
            with tenant_scope(tenant_id):
                stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - LAST_USED_EVERY)
                ApiKey.objects.filter(stale, pk=key_id).update(last_used_at=Now())
        except Error:
            logger.warning("last use of a key not written", extra={"key_id": key_id}, exc_info=True)
        finally:
            connection.close()
            with self._lock:
                self._pending -= 1


_last_used = _LastUsed()
