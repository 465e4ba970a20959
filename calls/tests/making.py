"""A few rows for tests, made the way the product makes them."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now
from django.test import Client

from calls.models import Drill, LiveSlot, LiveWorker
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import ApiKey, Tenant, User
from tenants.services import api_key_create, catalogue_ensure, tenant_create

API = "/api/external/v1"
PERSONA = "Dolores Whitfield"


@dataclass(frozen=True)
class Integrator:
    """A tenant with a live key, and the client of its backend."""

    tenant: Tenant
    key: ApiKey
    secret: str

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return Client().post(
            f"{API}{path}",
            data=body if isinstance(body, str | bytes) else json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.secret}"} | headers,
        )

    def token(self, user: str = "rep_8842", agency: str | None = None) -> str:
        answer = self.post("/session", {"externalUserId": user, "externalAgencyId": agency})
        assert answer.status_code == 200, answer.content
        return str(answer.json()["token"])


def make_integrator(name: str = "Acme", **key: Any) -> Integrator:
    owner = User.objects.create(email=f"{uuid.uuid4().hex}@example.com")  # no password: no Argon2
    tenant = tenant_create(name=name, owner=owner)
    row, secret = api_key_create(tenant=tenant, name="Backend", **key)
    return Integrator(tenant, row, secret)


def make_drill(
    key: str = "ma-full-sale", owner: uuid.UUID = CATALOGUE, version: int = 1, **pack: Any
) -> Drill:
    """A drill that is enough for redeeming; the director would refuse its thin pack."""
    catalogue_ensure()
    whole = {"key": key, "title": key, "persona": {"name": PERSONA, "voice": "af_heart"}} | pack
    with tenant_scope(owner):
        return Drill.objects.create(
            tenant_id=owner,
            key=key,
            version=version,
            digest=uuid.uuid4().hex,
            title=key,
            pack=whole,
        )


def make_worker(slots: int = 4) -> LiveWorker:
    worker = LiveWorker.objects.create(host="here", slots=slots, heartbeat_at=Now())
    LiveSlot.objects.bulk_create(LiveSlot(worker=worker, number=n) for n in range(slots))
    return worker


def redeem(token: str, body: Any = None, **headers: str) -> Any:
    """What the browser SDK sends."""
    wish = {"drillKey": "ma-full-sale"} if body is None else body
    return Client(raise_request_exception=False).post(
        f"{API}/roleplay/session",
        data=wish if isinstance(wish, str | bytes) else json.dumps(wish),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"} | headers,
    )


def code(answer: Any) -> str:
    return str(answer.json()["error"]["code"])
