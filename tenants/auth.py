"""Who calls the API: one bearer key, looked up by its digest in one query."""

import hmac
import logging
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from tenants import keys
from tenants.client_address import Address, address_allowed, client_address
from tenants.errors import ApiKeyRevoked, InvalidApiKey, IpNotAllowed, TenantInactive
from tenants.grants import Grant, Holder
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, Tenant
from tenants.request_log import Owner, owners

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
    key_public_id: str
    mode: str  # "live" or "test"
    scopes: frozenset[str]
    agencies: tuple[uuid.UUID, ...]  # empty: all
    allowed_ips: tuple[str, ...]  # of the key itself; empty: any
    expires_at: datetime | None  # or when the grace of its revocation is over

    @property
    def holder(self) -> Holder:
        """The same as services that manage keys take it."""
        agencies = frozenset(self.agencies)
        grant = Grant(self.mode, self.scopes, agencies, self.allowed_ips, self.expires_at)
        return Holder(self.key_id, self.actor, grant)

    @property
    def actor(self) -> str:
        """As rows of the audit log name it."""
        return f"key:{self.key_public_id}"


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


def bearer(request: Request | HttpRequest) -> str:
    """The bearer credential, or an empty text."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def address_of(request: Request | HttpRequest) -> Address | None:
    return client_address(
        peer=request.META.get("REMOTE_ADDR") or "",
        forwarded=request.META.get("HTTP_X_FORWARDED_FOR", ""),
        trusted_proxies=settings.TRUSTED_PROXIES,
        proxy_networks=settings.TRUSTED_PROXY_NETWORKS,
    )


def caller_find(key: str, address: Address | None) -> Caller:
    """The caller behind a key, or a refusal. Junk costs no query, a good key one."""
    if keys.parse(key) is None:
        raise InvalidApiKey
    row = key_lookup(key)
    if row is None:
        raise InvalidApiKey
    _check_alive(row)
    tenant = Tenant.from_db("default", _TENANT_FIELDS, [row[f"tenant_{f}"] for f in _TENANT_FIELDS])
    if tenant.status != Tenant.Status.ACTIVE:
        raise TenantInactive
    lists = (tenant.allowed_ips, row["allowed_ips"])
    if not all(address_allowed(address, allowed) for allowed in lists):
        raise IpNotAllowed(subject=str(address or ""))
    _note_use(key, row)
    return Caller(
        tenant=tenant,
        key_id=row["key_id"],
        key_public_id=row["key_public_id"],
        mode=row["mode"],
        scopes=frozenset(row["scopes"]),
        agencies=tuple(row["agencies"]),
        allowed_ips=tuple(row["allowed_ips"]),
        expires_at=min(filter(None, (row["expires_at"], row["revoked_at"])), default=None),
    )


def key_lookup(key: str) -> dict[str, Any] | None:
    """What is known of a well-formed key and its tenant, whatever became of it; None: nothing."""
    candidates = keys.digests(key, settings.API_KEY_PEPPERS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM key_lookup(%s)", [candidates])
        columns = [column.name for column in cursor.description or ()]
        found = cursor.fetchone()
    if found is None:
        return None
    row = dict(zip(columns, found, strict=True))
    known = any(hmac.compare_digest(bytes(row["digest"]), digest) for digest in candidates)
    if not known:
        return None
    owners.put(key, Owner(row["tenant_id"], row["key_id"]))
    return row


def _check_alive(row: Mapping[str, Any]) -> None:
    """By the database's clock, so that all web processes agree."""
    now, revoked_at, expires_at = row["checked_at"], row["revoked_at"], row["expires_at"]
    if revoked_at is not None and revoked_at <= now:
        raise ApiKeyRevoked
    if expires_at is not None and expires_at <= now:
        raise ApiKeyRevoked("This API key has expired.")


# --- what is written down of a use ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Use:
    """One use of a key. `fresh`: its digest under the pepper that is used now, when it has another.

    The key itself is not carried along.
    """

    tenant_id: uuid.UUID
    key_id: uuid.UUID
    fresh: tuple[str, bytes] | None  # the pepper's id, the digest


def _note_use(key: str, row: Mapping[str, Any]) -> None:
    pepper_id, pepper = next(iter(settings.API_KEY_PEPPERS.items()))
    stale = row["pepper_id"] != pepper_id
    last = row["last_used_at"]
    if not stale and last is not None and row["checked_at"] - last < LAST_USED_EVERY:
        return
    fresh = (pepper_id, keys.digest(key, pepper)) if stale else None
    _uses.note(_Use(row["tenant_id"], row["key_id"], fresh))


class _Uses:
    """Writes `last_used_at`, and the digest anew, off the request's path: once a minute for a key.

    A write that is refused for want of room or fails is not made up for: the next use does it.
    """

    PENDING = 100
    REMEMBERED = 10_000  # keys

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "api-key-uses")
        self._noted: dict[uuid.UUID, float] = {}  # monotonic seconds
        self._pending = 0
        self._lock = Lock()

    def note(self, use: _Use) -> None:
        now = time.monotonic()
        with self._lock:
            before = self._noted.get(use.key_id, float("-inf"))
            if now - before < LAST_USED_EVERY.total_seconds() or self._pending >= self.PENDING:
                return
            if len(self._noted) >= self.REMEMBERED:
                self._noted.clear()
            self._noted[use.key_id] = now
            self._pending += 1
        self._threads.submit(self._write, use)

    def _write(self, use: _Use) -> None:
        try:
            with tenant_scope(use.tenant_id):
                rows = ApiKey.objects.filter(pk=use.key_id)
                rows.filter(_STALE).update(last_used_at=Now())
                if use.fresh is not None:
                    pepper_id, digest = use.fresh
                    rows.exclude(pepper_id=pepper_id).update(pepper_id=pepper_id, digest=digest)
        except Exception:  # the rim of a thread that nobody waits for
            logger.warning("use of a key not written", extra={"key_id": use.key_id}, exc_info=True)
        finally:
            connection.close()
            with self._lock:
                self._pending -= 1


_STALE = Q(last_used_at=None) | Q(last_used_at__lt=Now() - LAST_USED_EVERY)
_uses = _Uses()
