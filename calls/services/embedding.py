"""Whose rep page is shown: who may frame it, how it looks and what the rep agrees to there.

The site key in the page's address is public. It only says which tenant's list of web sites, own
drills, colours and consent text count; it starts nothing: that takes a session token, which the
framing page sends by message.
"""

import base64
import re
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Q
from django.db.models.functions import Now

from calls.models import Call
from tenants.errors import AthosError, InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Branding, ConsentText, Tenant
from tenants.sealing import SealBroken, seal, unseal
from tenants.services import audit

PURPOSE = "athos.embed.site"
OUR_CONSENT_VERSION = "athos-1"  # a changed text needs a new version
OUR_CONSENT_TEXT = (
    "The call is recorded, transcribed and scored, and your organization sees the result."
)


MOST_REMEMBERED = 1_000  # site keys

_origins_seen: dict[str, tuple[str, ...]] = {}  # by site key, the latest last
_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


class CallIsOver(AthosError):
    code, status, message = "CALL_OVER", 409, "The call is over."


@dataclass(frozen=True, slots=True)
class Brand:
    """The tenant's face on the page. All of it may be empty."""

    name: str = ""
    color: str = ""  # "#rrggbb"
    logo: str = ""  # a data: URL


@dataclass(frozen=True, slots=True)
class Consent:
    """What the rep agrees to by starting. The version names this very text for ever."""

    version: str = OUR_CONSENT_VERSION
    text: str = OUR_CONSENT_TEXT


@dataclass(frozen=True, slots=True)
class Site:
    """A tenant whose rep page is shown, and the origins that may frame it."""

    tenant_id: uuid.UUID | None = None
    origins: tuple[str, ...] = ()
    brand: Brand = Brand()
    consent: Consent = Consent()
    private_practice: bool = False  # whether a rep may keep a call to themselves
    unknown: bool = False  # the key is broken, or its account is not active


def site_key_make(*, tenant_id: uuid.UUID) -> str:
    """The tenant's name in addresses of the rep page. Any number of them may be in use."""
    return seal(tenant_id.bytes, purpose=PURPOSE)


def site_origins(site_key: str) -> tuple[str, ...]:
    """Who may frame the page, also while the database is away: as it was when last asked here."""
    try:
        return site_find(site_key).origins
    except DatabaseError:
        return _origins_seen.get(site_key, ())


def _remember(site_key: str, origins: tuple[str, ...]) -> None:
    """The latest few, for a time without a database."""
    _origins_seen.pop(site_key, None)
    _origins_seen[site_key] = origins
    if len(_origins_seen) > MOST_REMEMBERED:
        _origins_seen.pop(next(iter(_origins_seen)), None)


def site_find(site_key: str) -> Site:
    """Without a key the installation's own list counts. A broken key allows nobody."""
    if not site_key:
        return Site(origins=tuple(settings.EMBED_ORIGINS))
    try:
        tenant_id = uuid.UUID(bytes=unseal(site_key, purpose=PURPOSE))
    except (SealBroken, ValueError):
        return Site(unknown=True)
    with tenant_scope(tenant_id):
        tenant = Tenant.objects.filter(pk=tenant_id, status=Tenant.Status.ACTIVE).first()
        if tenant is None:
            return Site(tenant_id, unknown=True)
        origins = tuple(tenant.browser_origins)
        _remember(site_key, origins)
        return Site(tenant_id, origins, _brand(tenant), _consent(tenant), tenant.private_practice)


def consent_record(
    *, tenant_id: uuid.UUID, call_id: uuid.UUID, version: str, private: bool = False
) -> None:
    """The rep agreed on our page, now, and keeps the call `private`. Saying it again changes
    nothing.

    It takes the place of what the integrator stated at mint: it is what this rep was shown last.
    Raises InvalidRequest for a version that the tenant's page never showed and for what the tenant
    does not allow, CallIsOver.
    """
    with tenant_scope(tenant_id):
        if private and not private_practice_allowed(tenant_id=tenant_id):
            problem = "This account does not allow private practice."
            raise InvalidRequest(problem, details={"field": "private"})
        if not _consent_known(tenant_id, version):
            problem = "There is no such version of the consent text."
            raise InvalidRequest(problem, details={"field": "version"})
        rows = Call.objects.for_tenant(tenant_id).filter(
            ~Q(failure__gt=""), pk=call_id, stage__in=[Call.Stage.CREATED, Call.Stage.LIVE]
        )
        unsaid = rows.exclude(consent_source=Call.ConsentSource.REP_PAGE)
        said = unsaid.update(
            consent_source=Call.ConsentSource.REP_PAGE,
            consent_version=version,
            consented_at=Now(),
            private=private,
        )
        if not said and not rows.exists():
            raise CallIsOver


def private_practice_allowed(*, tenant_id: uuid.UUID) -> bool:
    """Whether the tenant's reps may keep a call to themselves."""
    with tenant_scope(tenant_id):
        return Tenant.objects.filter(pk=tenant_id, private_practice=True).exists()


def private_practice_set(*, tenant_id: uuid.UUID, allowed: bool, actor: str) -> None:
    """For calls that begin from now on: what was private stays private."""
    with tenant_scope(tenant_id):
        rows = Tenant.objects.filter(pk=tenant_id, private_practice=not allowed)
        if rows.update(private_practice=allowed):
            audit(
                tenant_id=tenant_id,
                actor=actor,
                action="private_practice.allow" if allowed else "private_practice.forbid",
            )


def _brand(tenant: Tenant) -> Brand:
    look = Branding.objects.for_tenant(tenant).first()
    if look is None:
        return Brand(tenant.name)
    logo = f"data:{look.logo_type};base64,{base64.b64encode(look.logo).decode()}"
    return Brand(tenant.name, look.color, logo if look.logo else "")


def _consent(tenant: Tenant) -> Consent:
    latest = ConsentText.objects.for_tenant(tenant).order_by("-version").first()
    return Consent(str(latest.version), latest.text) if latest else Consent()


def _consent_known(tenant_id: uuid.UUID, version: str) -> bool:
    if version == OUR_CONSENT_VERSION:
        return True
    if not _VERSION.fullmatch(version):
        return False
    return ConsentText.objects.for_tenant(tenant_id).filter(version=int(version)).exists()
