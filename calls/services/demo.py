"""The demo tenant of an embedded installation, and the file that holds its credentials."""

import base64
import json
import logging
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.db import transaction

from tenants.auth import caller_find
from tenants.errors import AthosError
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, Membership, Tenant, User
from tenants.selectors import memberships_of
from tenants.services import (
    ALL_SCOPES,
    api_key_create,
    api_key_revoke,
    tenant_create,
    user_create,
)
from webhooks.errors import EndpointUrlRefused
from webhooks.services import endpoint_ensure

logger = logging.getLogger(__name__)

MANAGER_EMAIL = "manager@example.com"
TENANT_NAME = "Demo"
KEY_NAME = "Demo key"
ENDPOINT_NAME = "Example integrator"
_CREDENTIALS = ("apiKey", "testApiKey", "webhookSecret", "managerEmail", "managerPassword")


def demo_ensure(*, out: Path, base_url: str) -> dict[str, str]:
    """The demo's credentials, from the file while they are good, else made anew and written."""
    known = _read(out)
    if not _good(known):
        known = _renew(known)
    demo = {
        "baseUrl": base_url,
        **{name: known[name] for name in _CREDENTIALS},
        "dashboardUrl": f"{base_url}/",
        "exampleUrl": _next_port(base_url),
    }
    if demo != _read(out):
        _write(out, demo)
    _endpoint(demo)
    return demo


def _endpoint(demo: dict[str, str]) -> None:
    """Calls of the demo, tests included, are told to the example, wherever it listens this time."""
    tenant = caller_find(demo["apiKey"], None).tenant
    try:
        for mode in ApiKey.Mode.values:
            endpoint_ensure(
                tenant=tenant,
                description=ENDPOINT_NAME,
                mode=mode,
                url=f"{demo['exampleUrl']}/webhook",
                secret=demo["webhookSecret"],
            )
    except EndpointUrlRefused as refused:
        # The example answers on its own machine; seeded for elsewhere, there is none to tell.
        logger.warning("demo_endpoint_skipped", extra={"code": refused.code})


@transaction.atomic
def _renew(known: dict[str, str]) -> dict[str, str]:
    password = secrets.token_urlsafe(15)
    user = User.objects.filter(email=MANAGER_EMAIL).first()
    if user is None:
        user, _ = user_create(email=MANAGER_EMAIL, password=password)
    else:
        user.set_password(password)
        user.save(update_fields=["password"])
    tenant = _tenant(user)
    _revoke_old_keys(tenant)
    secret = known.get("webhookSecret") or f"whsec_{base64.b64encode(os.urandom(32)).decode()}"
    return {
        "apiKey": api_key_create(tenant=tenant, name=KEY_NAME, scopes=ALL_SCOPES)[1],
        "testApiKey": api_key_create(
            tenant=tenant, name=KEY_NAME, scopes=ALL_SCOPES, mode=ApiKey.Mode.TEST
        )[1],
        "webhookSecret": secret,
        "managerEmail": MANAGER_EMAIL,
        "managerPassword": password,
    }


def _tenant(owner: User) -> Tenant:
    for membership in memberships_of(owner.pk):
        if membership.tenant_name == TENANT_NAME and membership.role == Membership.Role.OWNER:
            with tenant_scope(membership.tenant_id):
                return Tenant.objects.get(pk=membership.tenant_id)
    return tenant_create(name=TENANT_NAME, owner=owner)


def _revoke_old_keys(tenant: Tenant) -> None:
    """The file is lost, so nobody has them; they would only fill the five places."""
    with tenant_scope(tenant.pk):
        for key in ApiKey.objects.for_tenant(tenant).filter(name=KEY_NAME, revoked_at=None):
            api_key_revoke(tenant=tenant, key_id=key.pk)


def _good(known: dict[str, str]) -> bool:
    """Whether the file's credentials open this database."""
    if not all(isinstance(known.get(name), str) for name in _CREDENTIALS):
        return False
    user = User.objects.filter(email=known["managerEmail"], is_active=True).first()
    if user is None or not user.check_password(known["managerPassword"]):
        return False
    try:
        callers = [caller_find(known[name], None) for name in ("apiKey", "testApiKey")]
    except AthosError:
        return False
    return all(caller.tenant.name == TENANT_NAME for caller in callers)


def _next_port(base_url: str) -> str:
    """Where the example integrator answers: the neighbouring port."""
    parts = urlsplit(base_url)
    port = (parts.port or {"https": 443}.get(parts.scheme, 80)) + 1
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return urlunsplit(parts._replace(netloc=f"{host}:{port}"))


def _read(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(path: Path, demo: dict[str, str]) -> None:
    """For our own account's eyes from the first byte on, and never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(demo, indent=2) + "\n")
    draft.replace(path)
