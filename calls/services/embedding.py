"""Who may frame the rep's page: the web sites of the tenant that the page's address names.

The site key in the address is public. It only says which tenant's list of web sites and own drills
count; it starts nothing: that takes a session token, which the framing page sends by message.
"""

import uuid
from dataclasses import dataclass

from django.conf import settings

from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.sealing import SealBroken, seal, unseal

PURPOSE = "athos.embed.site"


@dataclass(frozen=True, slots=True)
class Site:
    """A tenant whose rep page is shown, and the origins that may frame it."""

    tenant_id: uuid.UUID | None
    origins: tuple[str, ...]


def site_key_make(*, tenant_id: uuid.UUID) -> str:
    """The tenant's name in addresses of the rep page. Any number of them may be in use."""
    return seal(tenant_id.bytes, purpose=PURPOSE)


def site_find(site_key: str) -> Site:
    """Without a key the installation's own list counts. A broken key allows nobody."""
    if not site_key:
        return Site(None, tuple(settings.EMBED_ORIGINS))
    try:
        tenant_id = uuid.UUID(bytes=unseal(site_key, purpose=PURPOSE))
    except (SealBroken, ValueError):
        return Site(None, ())
    with tenant_scope(tenant_id):
        rows = Tenant.objects.filter(pk=tenant_id, status=Tenant.Status.ACTIVE)
        origins = rows.values_list("browser_origins", flat=True).first()
    return Site(tenant_id, tuple(origins or ()))
