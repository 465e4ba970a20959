"""Session tokens: minted for a rep by the integrator's backend, spent once by the rep's browser."""

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from calls.models import Call, Drill, SessionToken
from calls.selectors import drill_find, minutes_used
from calls.services.people import RepTold, agency_check, agency_ensure, rep_ensure, rep_tell
from calls.services.session_jwt import (
    LIFE,
    InvalidToken,
    SessionClaims,
    TokenExpired,
    session_jwt_make,
    session_jwt_read,
)
from calls.services.slots import JOIN_WITHIN, slot_free, slot_reserve
from calls.services.tickets import ticket_sign
from tenants.auth import Caller
from tenants.errors import (
    AthosError,
    InvalidRequest,
    ServiceUnavailable,
    TenantInactive,
    TenantQuotaExceeded,
)
from tenants.isolation import tenant_scope, whole_tenant
from tenants.models import ApiKey, Tenant
from tenants.sealing import SealBroken, seal, unseal
from tenants.selectors import database_now

TENANT_PURPOSE = "athos.session.tenant"
SLOT_RETRY_SECONDS = 10
FILTERS = ("state", "category")


class TokenAlreadyUsed(AthosError):
    code, status, message = "TOKEN_ALREADY_USED", 401, "The session token was used already."


class DrillNotFound(AthosError):
    code, status, message = "DRILL_NOT_FOUND", 400, "There is no drill with that key."


class OriginNotAllowed(InvalidRequest):
    message = "Calls may not be started from this web site."


@dataclass(frozen=True, slots=True)
class Minted:
    """A fresh token."""

    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ConsentStated:
    """That the rep agreed, at the integrator's: to which of its texts, and when."""

    version: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RedeemRequest:
    """What the browser asks for, checked. `origin` is its web site, empty outside browsers."""

    drill_key: str
    difficulty: str
    filters: Mapping[str, str]
    origin: str


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A call that waits for its rep."""

    call: Call
    connection_ticket: str
    connection_url: str


# --- mint ----------------------------------------------------------------------------------------


def session_mint(
    *,
    caller: Caller,
    external_user_id: str,
    external_agency_id: str | None,
    consent: ConsentStated | None = None,
    told: RepTold | None = None,
) -> Minted:
    """A token for one call of this rep, good for five minutes. The call keeps the consent, the
    rep what is told of them; the token holds neither."""
    tenant = caller.tenant
    _check_quota(caller)
    with tenant_scope(tenant.pk, agencies=caller.agencies):
        agency_check(caller, external_agency_id)
        issued_at = database_now().replace(microsecond=0)
        row = SessionToken.objects.create(
            tenant=tenant,
            api_key_id=caller.key_id,
            mode=caller.mode,
            external_user_id=external_user_id,
            external_agency_id=external_agency_id,
            issued_at=issued_at,
            expires_at=issued_at + timedelta(seconds=LIFE),
            consent_version=consent.version if consent else "",
            consented_at=consent.at if consent else None,
        )
    if told is not None:
        with whole_tenant(), tenant_scope(tenant.pk):
            rep_tell(
                tenant_id=tenant.pk,
                external_id=external_user_id,
                external_agency_id=external_agency_id,
                mode=caller.mode,
                told=told,
            )
    claims = SessionClaims(
        jti=row.jti,
        tenant=seal(tenant.pk.bytes, purpose=TENANT_PURPOSE),
        subject=external_user_id,
        issued_at=int(issued_at.timestamp()),
    )
    token = session_jwt_make(claims, ring=settings.SESSION_TOKEN_KEYS)
    return Minted(token=token, expires_at=row.expires_at)


def _check_quota(caller: Caller) -> None:
    """The allowance is the whole tenant's, whatever agencies the key is limited to. Tests, which
    do not count toward it, are not stopped by it either."""
    tenant = caller.tenant
    if tenant.monthly_minutes is None or caller.mode == ApiKey.Mode.TEST:
        return
    with whole_tenant(), tenant_scope(tenant.pk):
        if minutes_used(tenant=tenant) >= tenant.monthly_minutes:
            raise TenantQuotaExceeded


# --- redeem --------------------------------------------------------------------------------------


def session_token_read(token: str) -> tuple[uuid.UUID, SessionClaims]:
    """The tenant and the claims of a token that could still be good. Needs no database."""
    claims = session_jwt_read(
        token, ring=settings.SESSION_TOKEN_KEYS, now=timezone.now().timestamp()
    )
    try:
        tenant_id = uuid.UUID(bytes=unseal(claims.tenant, purpose=TENANT_PURPOSE))
    except (SealBroken, ValueError) as broken:
        raise InvalidToken from broken
    return tenant_id, claims


def session_redeem(
    *, tenant_id: uuid.UUID, claims: SessionClaims, wish: RedeemRequest
) -> Redeemed | DrillNotFound:
    """Spend the token and make the call, in one transaction.

    A refusal that is raised leaves the token unspent, as a database that is away does. An unknown
    drill spends it, so that refusal is returned and commits. A fault of ours takes the call back
    and spends the token all the same, as the contract says of INTERNAL_ERROR.
    """
    try:
        with tenant_scope(tenant_id):
            call = _redeem(tenant_id, claims, wish)
    except (AthosError, OperationalError, InterfaceError):
        raise
    except Exception:
        with tenant_scope(tenant_id):
            _consume(tenant_id, claims.jti)
        raise
    if isinstance(call, DrillNotFound):
        return call
    ticket = ticket_sign(call_id=call.pk, tenant_id=tenant_id, public_id=call.public_id)
    return Redeemed(call=call, connection_ticket=ticket, connection_url=connection_url())


def _redeem(
    tenant_id: uuid.UUID, claims: SessionClaims, wish: RedeemRequest
) -> Call | DrillNotFound:
    """The token's row is taken before anything is made: racers queue there and find it spent."""
    tenant = _tenant_for(tenant_id, wish.origin)
    session = _consume(tenant_id, claims.jti)
    call_id = uuid.uuid4()
    if not slot_reserve(call_id=call_id, tenant_id=tenant_id):
        raise ServiceUnavailable(retry_after=SLOT_RETRY_SECONDS)
    drill = drill_find(tenant=tenant, key=wish.drill_key)
    if drill is None:
        slot_free(call_id=call_id)
        return DrillNotFound()
    call = _call_create(call_id, session, drill, wish)
    SessionToken.objects.filter(pk=session.pk).update(call=call)
    return call


def connection_url() -> str:
    """Where the browser's socket goes."""
    public_url: str = settings.PUBLIC_URL
    return f"ws{public_url.removeprefix('http')}/live/v1"


def _tenant_for(tenant_id: uuid.UUID, origin: str) -> Tenant:
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None:
        raise InvalidToken
    if tenant.status != Tenant.Status.ACTIVE:
        raise TenantInactive
    # our own rep page is framed by those web sites only (calls/services/embedding.py)
    ours = {*tenant.browser_origins, settings.PUBLIC_URL}
    if origin and tenant.browser_origins and origin not in ours:
        raise OriginNotAllowed(subject=origin)
    return tenant


def _consume(tenant_id: uuid.UUID, jti: uuid.UUID) -> SessionToken:
    """Spend the token: one conditional UPDATE by the database's clock, whatever the concurrency."""
    rows = SessionToken.objects.for_tenant(tenant_id).filter(jti=jti)
    if not rows.filter(consumed_at=None, expires_at__gt=Now()).update(consumed_at=Now()):
        row = rows.first()
        if row is None:
            raise InvalidToken
        raise TokenAlreadyUsed if row.consumed_at else TokenExpired
    return rows.get()


def _call_create(
    call_id: uuid.UUID, session: SessionToken, drill: Drill, wish: RedeemRequest
) -> Call:
    agency = agency_ensure(tenant_id=session.tenant_id, external_id=session.external_agency_id)
    return Call.objects.create(
        id=call_id,
        tenant_id=session.tenant_id,
        mode=session.mode,
        rep=rep_ensure(
            tenant_id=session.tenant_id,
            external_id=session.external_user_id,
            agency=agency,
            mode=session.mode,
        ),
        agency=agency,
        external_user_id=session.external_user_id,
        external_agency_id=session.external_agency_id,
        drill_owner_id=drill.tenant_id,
        drill=drill,
        drill_key=drill.key,
        difficulty=wish.difficulty,
        filters=_filters_known(drill.pack, wish.filters),
        persona_name=drill.pack["persona"]["name"],
        consent_source=Call.ConsentSource.INTEGRATOR if session.consented_at else "",
        consent_version=session.consent_version,
        consented_at=session.consented_at,
        seed=secrets.randbits(63),
        due_at=database_now() + JOIN_WITHIN,  # a call that nobody joins fails
    )


def _filters_known(pack: Mapping[str, Any], wished: Mapping[str, str]) -> dict[str, str]:
    """The filters that the drill knows, in its spelling. One that matches nothing is dropped."""
    offered = pack.get("filters") or {}
    kept = {}
    for name in FILTERS:
        given = offered.get(name) or ()  # one value, or a list of them
        values = [given] if isinstance(given, str) else given
        spelling = {str(value).casefold(): str(value) for value in values}
        if name in wished and wished[name].casefold() in spelling:
            kept[name] = spelling[wished[name].casefold()]
    return kept
