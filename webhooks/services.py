"""What may be done to endpoints, events and deliveries. Synchronous, no network."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from tenants.api import timestamp
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, Tenant
from tenants.sealing import SealBroken
from tenants.services import SYSTEM, audit
from webhooks import signing
from webhooks.addresses import Refused, url_check
from webhooks.bodies import event_body
from webhooks.errors import EndpointNotFound, EndpointUrlRefused, SecretRotating, TooManyEndpoints
from webhooks.models import (
    Delivery,
    Endpoint,
    EndpointNotice,
    Event,
    Rehearsal,
    event_public_id,
)
from webhooks.notices import notice_create
from webhooks.sealed_secrets import open_secrets, seal_secret
from work.bell import ring

CALL_SCORED = "call.scored"
CALL_STARTED = "call.started"
CALL_ENDED = "call.ended"
CALL_SCORE_FAILED = "call.score_failed"
SCORE_OVERRIDDEN = "score.overridden"
RECORDING_DELETED = "recording.deleted"
OPT_IN = (  # only for endpoints that name them
    CALL_STARTED,
    CALL_ENDED,
    CALL_SCORE_FAILED,
    SCORE_OVERRIDDEN,
    RECORDING_DELETED,
)
EVENT_TYPES = (CALL_SCORED, *OPT_IN)
ENDPOINTS_MAX = 16  # per tenant
GRACE = timedelta(hours=24)  # how long the previous secret signs too
GRACE_LONGEST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RehearsalPlan:
    """How the event of a test is delivered; `delay` comes before the first attempt."""

    rehearsal: Rehearsal = Rehearsal.NORMAL
    delay: timedelta = timedelta(0)


def event_publish(
    *,
    tenant_id: uuid.UUID,
    type: str,  # noqa: A002 - the word of the contract
    subject_id: uuid.UUID,
    body: Mapping[str, object],
    test: RehearsalPlan | None = None,
    occurrence: uuid.UUID | None = None,
) -> Event:
    """Tell the tenant's endpoints of something, in the caller's transaction. No network.

    An event happens once: publishing it again for the same subject gives the first one back and
    sends nothing; `occurrence` tells apart those of a kind that happens several times. `body` holds
    the contract's facts; `occurredAt` and `requestId` are made when they are missing, the type and
    the webhook id are always ours. What came of a test is told to the endpoints for tests only, and
    says so; `test` tells how.
    """
    if type not in EVENT_TYPES:
        raise ValueError(f"There is no event {type!r}.")
    public_id = event_public_id()
    made = {"occurredAt": timestamp(timezone.now()), "requestId": f"req_{uuid.uuid4()}"}
    if test is not None:
        made["mode"] = ApiKey.Mode.TEST.value
    whole = event_body(type, made | dict(body), event_id=public_id)
    with tenant_scope(tenant_id):
        which = {"type": type, "subject_id": subject_id, "occurrence": occurrence}
        mine = Event(
            tenant_id=tenant_id,
            public_id=public_id,
            mode=ApiKey.Mode.LIVE if test is None else ApiKey.Mode.TEST,
            call_id=str(body.get("callId", "")),
            body=whole,
            **which,
        )
        # Waits for a rival transaction that publishes the same, and is then silently second.
        Event.objects.bulk_create([mine], ignore_conflicts=True)
        event = Event.objects.for_tenant(tenant_id).get(**which)
        if event.pk == mine.pk:
            _deliveries_create(event, test)
    return event


def event_offer(
    *,
    tenant_id: uuid.UUID,
    type: str,  # noqa: A002
    subject_id: uuid.UUID,
    body: Mapping[str, object],
    test: RehearsalPlan | None = None,
    occurrence: uuid.UUID | None = None,
) -> None:
    """The same for an event that endpoints ask for by name: when none does, nothing is kept."""
    with tenant_scope(tenant_id):
        if _wanting(tenant_id, type, test).exists():
            event_publish(
                tenant_id=tenant_id,
                type=type,
                subject_id=subject_id,
                body=body,
                test=test,
                occurrence=occurrence,
            )


def _wanting(tenant_id: uuid.UUID, type_: str, test: RehearsalPlan | None) -> QuerySet[Endpoint]:
    """Who is told. An endpoint that names no events gets the contract's one."""
    named = Q(event_types__contains=[type_])
    return Endpoint.objects.for_tenant(tenant_id).filter(
        named if type_ in OPT_IN else named | Q(event_types=[]),
        enabled=True,
        mode=ApiKey.Mode.LIVE if test is None else ApiKey.Mode.TEST,
    )


def _deliveries_create(event: Event, test: RehearsalPlan | None) -> None:
    plan = test or RehearsalPlan()
    if plan.rehearsal == Rehearsal.NEVER:
        return
    wanting = _wanting(event.tenant_id, event.type, test)
    deliveries = [
        Delivery(
            tenant_id=event.tenant_id,
            event=event,
            endpoint=endpoint,
            mode=endpoint.mode,
            event_type=event.type,
            rehearsal=plan.rehearsal,
            due_at=Now() + plan.delay,
        )
        for endpoint in wanting[:ENDPOINTS_MAX]
    ]
    if deliveries:
        Delivery.objects.bulk_create(deliveries)
        ring("deliver")


# --- endpoints -----------------------------------------------------------------------------------


def endpoint_create(
    *,
    tenant: Tenant,
    url: str,
    description: str = "",
    event_types: Iterable[str] = (),
    mode: str = ApiKey.Mode.LIVE,
    secret: str | None = None,
    actor: str = SYSTEM,
) -> tuple[Endpoint, str]:
    """A new endpoint and its secret, which is never shown again. Made here unless given."""
    secret = secret or signing.secret_make()
    _check_secret(secret)
    with tenant_scope(tenant.pk):
        Tenant.objects.select_for_update().get(pk=tenant.pk)  # two creations wait for each other
        if Endpoint.objects.for_tenant(tenant).count() >= ENDPOINTS_MAX:
            raise TooManyEndpoints
        endpoint = Endpoint.objects.create(
            tenant=tenant,
            mode=ApiKey.Mode(mode),
            url=_checked_url(url),
            description=description[:200],
            event_types=checked_types(event_types),
            sealed_secret=seal_secret(secret),
        )
        _audit(endpoint, actor, "endpoint.create")
    return endpoint, secret


def endpoint_ensure(
    *,
    tenant: Tenant,
    description: str,
    url: str,
    secret: str,
    mode: str = ApiKey.Mode.LIVE,
    actor: str = SYSTEM,
) -> Endpoint:
    """The endpoint of that description, enabled, with this URL and secret. For seeds."""
    with tenant_scope(tenant.pk):
        Tenant.objects.select_for_update().get(pk=tenant.pk)
        found = Endpoint.objects.for_tenant(tenant).filter(description=description, mode=mode)
        endpoint = found.order_by("created_at").first()
        if endpoint is None:
            return endpoint_create(
                tenant=tenant,
                url=url,
                description=description,
                mode=mode,
                secret=secret,
                actor=actor,
            )[0]
        if secret != _signing_secret(endpoint):
            endpoint_secret_rotate(
                tenant=tenant,
                endpoint_id=endpoint.pk,
                grace=timedelta(0),
                secret=secret,
                actor=actor,
            )
        endpoint_move(tenant=tenant, endpoint_id=endpoint.pk, url=url, actor=actor)
        return endpoint_enable(tenant=tenant, endpoint_id=endpoint.pk, actor=actor)


def endpoint_move(
    *, tenant: Tenant, endpoint_id: uuid.UUID, url: str, actor: str = SYSTEM
) -> Endpoint:
    """Send to another URL from now on, what is pending included. To the same one: nothing."""
    with tenant_scope(tenant.pk):
        endpoint = _locked(tenant, endpoint_id)
        checked = _checked_url(url)
        if endpoint.url != checked:
            endpoint.url = checked
            endpoint.save(update_fields=["url"])
            _audit(endpoint, actor, "endpoint.move")
    return endpoint


def endpoint_secret_rotate(
    *,
    tenant: Tenant,
    endpoint_id: uuid.UUID,
    grace: timedelta = GRACE,
    secret: str | None = None,
    actor: str = SYSTEM,
) -> str:
    """A new secret, shown once. Until the grace is over deliveries carry both signatures.

    Without a grace the old secret ends at once, also one that is still being replaced; else a
    second rotation has to wait, because an endpoint has two secrets at most.
    """
    if not timedelta(0) <= grace <= GRACE_LONGEST:
        raise InvalidRequest("The grace must be 0 to 7 days.")
    secret = secret or signing.secret_make()
    _check_secret(secret)
    with tenant_scope(tenant.pk):
        endpoint = _locked(tenant, endpoint_id)
        rotating = endpoint.previous_until is not None and endpoint.previous_until > timezone.now()
        if grace and rotating:
            raise SecretRotating
        endpoint.sealed_previous_secret = endpoint.sealed_secret if grace else ""
        endpoint.previous_until = timezone.now() + grace if grace else None
        endpoint.sealed_secret = seal_secret(secret)
        endpoint.save(update_fields=["sealed_secret", "sealed_previous_secret", "previous_until"])
        _audit(endpoint, actor, "endpoint.rotate")
    return secret


def endpoint_enable(*, tenant: Tenant, endpoint_id: uuid.UUID, actor: str = SYSTEM) -> Endpoint:
    """Send there again. What was abandoned meanwhile stays abandoned. Twice is harmless."""
    with tenant_scope(tenant.pk):
        endpoint = _locked(tenant, endpoint_id)
        if not endpoint.enabled:
            endpoint.enabled, endpoint.disabled_at, endpoint.disabled_reason = True, None, ""
            endpoint.failing_since, endpoint.failed_attempts, endpoint.warned_at = None, 0, None
            endpoint.save(
                update_fields=[
                    *("enabled", "disabled_at", "disabled_reason"),
                    *("failing_since", "failed_attempts", "warned_at"),
                ]
            )
            _audit(endpoint, actor, "endpoint.enable")
    return endpoint


def endpoint_disable(
    *,
    tenant_id: uuid.UUID,
    endpoint_id: uuid.UUID,
    reason: Endpoint.DisabledReason = Endpoint.DisabledReason.MANUAL,
    actor: str = SYSTEM,
) -> None:
    """Send nothing there any more; what is pending is abandoned when its turn comes.

    The tenant's managers are told, unless one of them did it.
    """
    with tenant_scope(tenant_id):
        enabled = Endpoint.objects.for_tenant(tenant_id).filter(pk=endpoint_id, enabled=True)
        if enabled.update(enabled=False, disabled_at=Now(), disabled_reason=reason):
            if reason != Endpoint.DisabledReason.MANUAL:
                endpoint = Endpoint.objects.for_tenant(tenant_id).get(pk=endpoint_id)
                notice_create(endpoint=endpoint, subject=EndpointNotice.Subject.DISABLED)
            audit(
                tenant_id=tenant_id,
                actor=actor,
                action="endpoint.disable",
                target=f"endpoint:{endpoint_id}",
                details={"reason": reason},
            )


def _locked(tenant: Tenant, endpoint_id: uuid.UUID) -> Endpoint:
    found = Endpoint.objects.for_tenant(tenant).filter(pk=endpoint_id)
    endpoint = found.select_for_update().first()
    if endpoint is None:
        raise EndpointNotFound
    return endpoint


def _signing_secret(endpoint: Endpoint) -> str | None:
    """None when it was sealed under a key that is gone."""
    try:
        return open_secrets(endpoint, now=timezone.now())[0]
    except SealBroken:
        return None


def _checked_url(url: str) -> str:
    try:
        return url_check(url, development=settings.EMBEDDED).url
    except Refused as refused:
        raise EndpointUrlRefused(refused.reason, details={"field": "url"}) from refused


def checked_types(event_types: Iterable[str]) -> list[str]:
    """The names in order. Raises InvalidRequest for one that we do not know."""
    wanted = sorted(set(event_types))
    if not set(wanted) <= set(EVENT_TYPES):
        raise InvalidRequest("There is no such event.", details={"field": "eventTypes"})
    return wanted


def _check_secret(secret: str) -> None:
    try:
        signing.secret_bytes(secret)
    except signing.SecretMalformed:
        problem = "The secret must be whsec_ and the base64 of 24 to 64 bytes."
        raise InvalidRequest(problem, details={"field": "secret"}) from None


def _audit(endpoint: Endpoint, actor: str, action: str) -> None:
    target = f"endpoint:{endpoint.pk}"
    audit(tenant_id=endpoint.tenant_id, actor=actor, action=action, target=target)
