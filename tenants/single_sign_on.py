"""A tenant's own identity provider: OpenID Connect or SAML, one at most."""

import re
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.x509 import load_pem_x509_certificate
from django.conf import settings
from django.db import connection

from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import SingleSignOn
from tenants.sealing import seal, unseal
from tenants.services import SYSTEM, audit

_PURPOSE = "single-sign-on"
PUBLIC_ID = re.compile(r"sso_[A-Za-z0-9_-]{21}", re.ASCII)
URL_LONGEST = 2048  # characters
CERTIFICATE_LONGEST = 8192
SECRET_LONGEST = 512


class SingleSignOnNotFound(LookupError):
    """No active tenant has a provider of that name."""


@dataclass(frozen=True, slots=True)
class ProviderWish:
    """What an owner says of their provider."""

    kind: str
    issuer: str  # OpenID Connect: its issuer; SAML: its entity id
    client_id: str = ""
    secret: str = ""  # empty: the one that is there stays
    address: str = ""  # SAML: where sign-ins start
    certificate: str = ""  # SAML: PEM
    required: bool = False


def single_sign_on_of(*, tenant_id: uuid.UUID) -> SingleSignOn | None:
    with tenant_scope(tenant_id):
        return SingleSignOn.objects.for_tenant(tenant_id).first()


def single_sign_on_named(public_id: str) -> SingleSignOn:
    """The provider of that name, of whatever active tenant. Raises SingleSignOnNotFound."""
    tenant_id, _ = tenant_of_provider(public_id)
    found = single_sign_on_of(tenant_id=tenant_id)
    if found is None:
        raise SingleSignOnNotFound(public_id)
    return found


def tenant_of_provider(public_id: str) -> tuple[uuid.UUID, str]:
    """The tenant's id and name. One of the few reads that cross tenants."""
    if PUBLIC_ID.fullmatch(public_id):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT tenant_id, tenant_name FROM single_sign_on_find(%s)", [public_id]
            )
            row = cursor.fetchone()
        if row is not None:
            return row[0], row[1]
    raise SingleSignOnNotFound(public_id)


def single_sign_on_set(
    *, tenant_id: uuid.UUID, wish: ProviderWish, actor: str = SYSTEM
) -> SingleSignOn:
    """Set the tenant's provider up, or change it. Raises InvalidRequest with the field.

    Another kind or issuer is another provider: it gets a new name, so that subjects of the old one
    are nobody there.
    """
    columns = _checked(wish)
    with tenant_scope(tenant_id):
        rows = SingleSignOn.objects.for_tenant(tenant_id)
        there = rows.select_for_update().first()
        if there and (there.kind, there.issuer) != (wish.kind, columns["issuer"]):
            there.delete()
            there = None
        if wish.secret:
            columns["sealed_secret"] = seal(wish.secret.encode(), purpose=_PURPOSE)
        elif wish.kind == SingleSignOn.Kind.OIDC and not (there and there.sealed_secret):
            raise _odd("secret", "The client secret is missing.")
        row, _ = SingleSignOn.objects.update_or_create(tenant_id=tenant_id, defaults=columns)
        audit(
            tenant_id=tenant_id,
            actor=actor,
            action="single_sign_on.set",
            target=f"sso:{row.public_id}",
            details={"kind": wish.kind, "required": wish.required},
        )
    return row


def single_sign_on_remove(*, tenant_id: uuid.UUID, actor: str = SYSTEM) -> bool:
    """Members sign in with what they have beside it. False: there was none."""
    with tenant_scope(tenant_id):
        row = SingleSignOn.objects.for_tenant(tenant_id).first()
        if row is None:
            return False
        row.delete()
        target = f"sso:{row.public_id}"
        audit(tenant_id=tenant_id, actor=actor, action="single_sign_on.remove", target=target)
    return True


def opened_secret(row: SingleSignOn) -> str:
    """Our client secret at the provider. Raises SealBroken when the key that sealed it is gone."""
    return unseal(row.sealed_secret, purpose=_PURPOSE).decode()


def _checked(wish: ProviderWish) -> dict[str, object]:
    columns: dict[str, object] = {"kind": wish.kind, "required": wish.required}
    if wish.kind == SingleSignOn.Kind.OIDC:
        if not 1 <= len(wish.client_id) <= 255:
            raise _odd("client_id", "The client id is missing or too long.")
        if len(wish.secret) > SECRET_LONGEST:
            raise _odd("secret", "The client secret is too long.")
        return columns | {"issuer": _address("issuer", wish.issuer), "client_id": wish.client_id}
    if wish.kind != SingleSignOn.Kind.SAML:
        raise _odd("kind", "Choose OpenID Connect or SAML.")
    if not 1 <= len(wish.issuer.strip()) <= URL_LONGEST:
        raise _odd("issuer", "The provider's entity id is missing or too long.")
    return columns | {
        "issuer": wish.issuer.strip(),
        "address": _address("address", wish.address),
        "certificate": _certificate(wish.certificate),
    }


def _address(field: str, text: str) -> str:
    """An https address without user, query or fragment; others only where the operator says so."""
    address = text.strip().rstrip("/")
    if any(address == local.rstrip("/") for local in settings.SSO_LOCAL_URLS):
        return address
    parts = urlsplit(address)
    known = parts.scheme == "https" and parts.hostname and not parts.username
    query = parts.query if field == "issuer" else ""
    if not known or query or parts.fragment or len(address) > URL_LONGEST:
        raise _odd(field, "This must be an address that begins with https://.")
    return address


def _certificate(text: str) -> str:
    """A PEM certificate; many providers show it without its first and last line."""
    body = "".join(re.sub(r"-----[A-Z ]+-----", "", text).split())
    pem = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    if len(pem) > CERTIFICATE_LONGEST:
        raise _odd("certificate", "The certificate is too long.")
    try:
        load_pem_x509_certificate(pem.encode())
    except ValueError as odd:
        raise _odd("certificate", "This is no certificate in PEM form.") from odd
    return pem


def _odd(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, details={"field": field})
