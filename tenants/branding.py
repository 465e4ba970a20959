"""The tenant's own face on its rep page: colour, logo, consent text, and who may frame it."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db.models import Max

from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Branding, ConsentText, Tenant
from tenants.services import SYSTEM, audit

LOGO_MAX = 64 * 1024  # bytes; it travels inside the page
CONSENT_MAX = 4000  # characters
WEB_SITES_MAX = 20
_COLOR = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_SIGNATURES = {  # how files of that kind begin; SVG is not taken: it may carry scripts
    Branding.LogoType.PNG: re.compile(rb"\x89PNG\r\n\x1a\n"),
    Branding.LogoType.JPEG: re.compile(rb"\xff\xd8\xff"),
    Branding.LogoType.WEBP: re.compile(rb"RIFF....WEBP", re.DOTALL),
}


@dataclass(frozen=True, slots=True)
class BrandingChange:
    """What is to be changed; None leaves it as it is. Empty: no colour, no logo of their own."""

    color: str | None = None
    logo: bytes | None = None


def branding_update(*, tenant: Tenant, change: BrandingChange, actor: str = SYSTEM) -> Branding:
    """Change how the rep page looks, from its next opening on. Raises InvalidRequest."""
    columns: dict[str, object] = {}
    if change.color is not None:
        columns["color"] = _color(change.color)
    if change.logo is not None:
        columns |= {"logo": change.logo, "logo_type": _logo_type(change.logo)}
    with tenant_scope(tenant.pk):
        branding, _ = Branding.objects.update_or_create(tenant=tenant, defaults=columns)
        details: dict[str, object] = {"changed": sorted(columns)}
        audit(tenant_id=tenant.pk, actor=actor, action="branding.update", details=details)
    return branding


def consent_text_publish(*, tenant: Tenant, text: str, actor: str = SYSTEM) -> ConsentText:
    """A new version of what reps agree to. The same text again stays the version that it is."""
    text = text.strip()
    if not 1 <= len(text) <= CONSENT_MAX or "\x00" in text:
        raise InvalidRequest(f"A consent text has 1 to {CONSENT_MAX} characters.")
    with tenant_scope(tenant.pk):
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        rows = ConsentText.objects.for_tenant(tenant)
        latest = rows.order_by("-version").first()
        if latest is not None and latest.text == text:
            return latest
        version = (rows.aggregate(last=Max("version"))["last"] or 0) + 1
        made = ConsentText.objects.create(tenant=tenant, version=version, text=text)
        audit(
            tenant_id=tenant.pk,
            actor=actor,
            action="consent_text.publish",
            details={"version": version},
        )
    return made


def web_sites_set(*, tenant: Tenant, origins: Iterable[str], actor: str = SYSTEM) -> list[str]:
    """Which web sites may frame the rep page and start calls; none: nobody frames it.

    Raises InvalidRequest for what is no origin.
    """
    listed = list(dict.fromkeys(_origin(origin) for origin in origins))
    if len(listed) > WEB_SITES_MAX:
        raise InvalidRequest(f"At most {WEB_SITES_MAX} web sites.")
    with tenant_scope(tenant.pk):
        Tenant.objects.filter(pk=tenant.pk).update(browser_origins=listed)
        details: dict[str, object] = {"changed": ["browser_origins"]}
        audit(tenant_id=tenant.pk, actor=actor, action="tenant.update", details=details)
    return listed


def web_site_add(*, tenant_id: uuid.UUID, origin: str, actor: str = SYSTEM) -> list[str]:
    """One more web site. Raises InvalidRequest; one that is listed already changes nothing."""
    with tenant_scope(tenant_id):
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
        listed = [*tenant.browser_origins, origin]
        return web_sites_set(tenant=tenant, origins=listed, actor=actor)


def web_site_remove(*, tenant_id: uuid.UUID, origin: str, actor: str = SYSTEM) -> list[str]:
    """One web site fewer. One that is not listed changes nothing."""
    with tenant_scope(tenant_id):
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
        left = [listed for listed in tenant.browser_origins if listed != origin]
        if left == tenant.browser_origins:
            return left
        return web_sites_set(tenant=tenant, origins=left, actor=actor)


def _color(text: str) -> str:
    color = text.strip().lower()
    if color and not _COLOR.fullmatch(color):
        raise InvalidRequest("A colour is written #rrggbb.", details={"field": "color"})
    return color


def _logo_type(logo: bytes) -> str:
    if not logo:
        return ""
    if len(logo) > LOGO_MAX:
        raise InvalidRequest(f"A logo has at most {LOGO_MAX // 1024} KiB.")
    for kind, signature in _SIGNATURES.items():
        if signature.match(logo):
            return str(kind)
    raise InvalidRequest("A logo is a PNG, JPEG or WebP picture.", details={"field": "logo"})


def _origin(text: str) -> str:
    """`https://training.example.com`, in lower case; plain http for this machine only."""
    parts = urlsplit(text.strip().lower())
    local = parts.hostname in {"localhost", "127.0.0.1"}
    plain = f"{parts.scheme}://{parts.netloc}"
    known = parts.scheme == "https" or (parts.scheme == "http" and local)
    odd = not re.fullmatch(r"[a-z0-9.-]+(:[0-9]{1,5})?", parts.netloc)
    if not known or odd or text.strip().lower().rstrip("/") != plain:
        raise InvalidRequest(
            "A web site is written https://training.example.com, without a path.",
            details={"field": "webSites"},
        )
    return plain
