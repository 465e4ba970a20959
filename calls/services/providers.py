"""The engines that a tenant chose: kept with its key sealed, read when a call begins."""

import logging
import uuid
from collections.abc import Mapping

from django.conf import settings
from django.core.exceptions import ValidationError

from calls.models import Provider
from calls.providers.choices import ProviderChoice, base_checked
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.sealing import SealBroken, seal, unseal
from tenants.services import SYSTEM, audit
from webhooks.addresses import Refused

_PURPOSE = "provider_key"
LONGEST_KEY = 1000  # characters
MOST_VOICES = 100
LONGEST_VOICE = 100  # characters of a name


logger = logging.getLogger(__name__)


def provider_set(
    *,
    tenant_id: uuid.UUID,
    kind: str,
    url: str,
    model: str,
    key: str = "",
    voices: Mapping[str, str] | None = None,
    actor: str = SYSTEM,
) -> Provider:
    """Choose an engine for the tenant's calls from now on. Raises InvalidRequest."""
    try:
        base, _ = base_checked(url, local=settings.PROVIDER_LOCAL_URLS)
    except Refused as refused:
        raise InvalidRequest(refused.reason) from refused
    row = Provider(
        tenant_id=tenant_id, kind=kind, url=base, model=model.strip(), voices=_voices(voices or {})
    )
    row.sealed_key = _sealed(key)
    with tenant_scope(tenant_id):
        try:
            row.full_clean(exclude=["tenant"], validate_unique=False, validate_constraints=False)
        except ValidationError as odd:
            raise InvalidRequest("; ".join(odd.messages)) from odd
        found, _ = Provider.objects.update_or_create(
            tenant_id=tenant_id,
            kind=kind,
            defaults={
                "url": row.url,
                "model": row.model,
                "sealed_key": row.sealed_key,
                "voices": row.voices,
            },
        )
        audit(tenant_id=tenant_id, actor=actor, action="provider_set", target=kind)
    return found


def provider_remove(*, tenant_id: uuid.UUID, kind: str, actor: str = SYSTEM) -> bool:
    """Back to the operator's engine. False when none was chosen."""
    with tenant_scope(tenant_id):
        removed, _ = Provider.objects.filter(tenant_id=tenant_id, kind=kind).delete()
        if removed:
            audit(tenant_id=tenant_id, actor=actor, action="provider_removed", target=kind)
    return bool(removed)


def providers_list(*, tenant_id: uuid.UUID) -> list[Provider]:
    """What the tenant chose, by kind."""
    with tenant_scope(tenant_id):
        return list(Provider.objects.filter(tenant_id=tenant_id).order_by("kind"))


def provider_choices(*, tenant_id: uuid.UUID) -> dict[str, ProviderChoice]:
    """The tenant's engines by kind, keys opened.

    One that cannot be used any more (its address is no longer allowed, the key that sealed its own
    is gone) is left out: the call goes on with the operator's.
    """
    choices = {}
    for row in providers_list(tenant_id=tenant_id):
        try:
            choices[row.kind] = _choice(row)
        except (Refused, SealBroken) as problem:
            facts = {"tenant_id": tenant_id, "kind": row.kind, "error": type(problem).__name__}
            logger.error("provider cannot be used", extra=facts)
    return choices


def _choice(row: Provider) -> ProviderChoice:
    base, checked = base_checked(row.url, local=settings.PROVIDER_LOCAL_URLS)
    return ProviderChoice(
        kind=row.kind,
        url=base,
        model=row.model,
        key=unseal(row.sealed_key, purpose=_PURPOSE).decode() if row.sealed_key else "",
        voices=row.voices,
        owner=str(row.tenant_id),
        checked=checked,
    )


def _voices(voices: Mapping[str, str]) -> dict[str, str]:
    long = any(len(name) > LONGEST_VOICE for pair in voices.items() for name in pair)
    if len(voices) > MOST_VOICES or long:
        raise InvalidRequest(f"At most {MOST_VOICES} voices, names of {LONGEST_VOICE} characters.")
    return dict(voices)


def _sealed(key: str) -> str:
    key = key.strip()
    if len(key) > LONGEST_KEY or not key.isascii() or not (key.isprintable() or not key):
        raise InvalidRequest(f"The key must be at most {LONGEST_KEY} printable characters.")
    return seal(key.encode(), purpose=_PURPOSE) if key else ""
