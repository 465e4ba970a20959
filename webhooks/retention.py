"""Deleting what was told about a subject, and the payloads whose time is over."""

import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from webhooks.models import Attempt, Delivery, Event
from webhooks.services import RECORDING_DELETED

LOG_DAYS = 90  # that something was sent, and how


def events_erase(*, tenant_id: uuid.UUID, subject_id: uuid.UUID) -> Mapping[str, int]:
    """Delete the subject's events with their deliveries and attempts; how many, by table.

    In the caller's transaction and the tenant's scope. What was not delivered never is; an attempt
    that is on its way just now cannot be written down any more. Only a `recording.deleted` that is
    still on its way goes on, without what receivers said to it: it names nobody.
    """
    events = Event.objects.for_tenant(tenant_id).filter(subject_id=subject_id)
    on_its_way = events.filter(type=RECORDING_DELETED, deliveries__state=Delivery.State.PENDING)
    staying = [event.pk for event in on_its_way.defer("body").distinct()]
    Attempt.objects.for_tenant(tenant_id).filter(delivery__event_id__in=staying).update(
        response_body=""
    )
    _, deleted = events.exclude(pk__in=staying).delete()
    return Counter({label.replace(".", "_").lower(): n for label, n in deleted.items()})


def log_expire(*, tenant_id: uuid.UUID, payload_days: int, most: int) -> int:
    """Delete up to `most` events older than 90 days, with their deliveries and attempts; how many.

    Those whose payload is kept for longer stay as long, and so does what is still on its way. Needs
    the tenant's scope.
    """
    kept = timedelta(days=max(LOG_DAYS, payload_days))
    pending = Delivery.objects.filter(event_id=OuterRef("pk"), state=Delivery.State.PENDING)
    old = Event.objects.for_tenant(tenant_id).filter(~Exists(pending), created_at__lt=Now() - kept)
    batch = old.order_by("created_at").select_for_update(skip_locked=True, of=("self",))[:most]
    events = [event.pk for event in batch.only("pk")]
    Event.objects.for_tenant(tenant_id).filter(pk__in=events).delete()
    return len(events)


def payloads_expire(*, tenant_id: uuid.UUID, days: int, most: int) -> int:
    """Empty the bodies of up to `most` events older than that, with the log of their attempts.

    What stays says when, how often and with which result an event was sent. An event that is still
    on its way keeps its body until it arrives or is given up. Needs the tenant's scope.
    """
    pending = Delivery.objects.filter(event_id=OuterRef("pk"), state=Delivery.State.PENDING)
    old = Event.objects.for_tenant(tenant_id).filter(
        ~Exists(pending), body_expired_at=None, created_at__lt=Now() - timedelta(days=days)
    )
    batch = old.order_by("created_at").select_for_update(skip_locked=True, of=("self",))[:most]
    events = [event.pk for event in batch.only("pk")]
    Attempt.objects.for_tenant(tenant_id).filter(delivery__event_id__in=events).update(
        response_body="", request_headers={}
    )
    return Event.objects.filter(pk__in=events).update(body=b"", body_expired_at=Now())
