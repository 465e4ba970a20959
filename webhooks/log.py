"""What was sent: searched page by page, whole for one event, and why something never was."""

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum

from django.db.models import Q, QuerySet

from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.sealing import SealBroken, seal, unseal
from webhooks.errors import EventNotFound
from webhooks.models import Attempt, Delivery, Endpoint, Event

DELIVERIES_PAGE = 50
EVENTS_OF_CALL = 200  # of one call, the newest: its deliveries are looked for among these
ATTEMPTS_SHOWN = 100  # of one delivery, the first ones
CURSOR_LONGEST = 1000  # characters
_PURPOSE = "athos.webhooks.cursor"


class Absence(Enum):
    """Why a search for an event or a call found no delivery."""

    NO_EVENT = "NO_EVENT"  # nothing has happened yet, or it is not of this tenant
    NO_ENDPOINT = "NO_ENDPOINT"  # no endpoint was on that wanted to hear of it
    NOT_THERE = "NOT_THERE"  # it was sent, but nothing of that matches the rest of the search


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """What to look for in the log of one mode; None: any. Ids are those that people see."""

    mode: str  # ApiKey.Mode: live calls, or the sandbox
    endpoint_id: str | None = None  # ep_...
    event_id: str | None = None  # wh_...
    call_id: str | None = None  # athos_call_...
    event_type: str | None = None
    state: str | None = None  # of Delivery.State
    since: datetime | None = None  # when the event happened; both inclusive
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveriesPage:
    deliveries: list[Delivery]  # with their events and endpoints
    next_cursor: str | None
    absence: Absence | None  # of the first page, when it is empty


@dataclass(frozen=True, slots=True)
class EventLog:
    """An event and, for each endpoint of its way, every attempt."""

    event: Event
    deliveries: list[tuple[Delivery, list[Attempt]]]


def deliveries_page(
    *, tenant: Tenant, query: LogQuery, limit: int = DELIVERIES_PAGE, cursor: str | None = None
) -> DeliveriesPage:
    """What was sent, newest first. A cursor is good for the same tenant and query only.

    Flat however long the log is: each condition has an index of its own (`Delivery.Meta`). Raises
    InvalidRequest for a cursor that is not ours or belongs to another query.
    """
    list_name = f"{tenant.pk} {json.dumps(asdict(query), default=str)}"
    place = _place(cursor, list_name) if cursor is not None else None
    with tenant_scope(tenant.pk):
        rows = _matching(tenant, query)
        if place:
            at, row_id = place
            same = Q(created_at=at, id__lt=row_id)
            rows = rows.filter(Q(created_at__lt=at) | same)
        rows = rows.select_related("event", "endpoint").order_by("-created_at", "-id")
        found = list(rows[: limit + 1])
        absence = _absence(tenant, query) if not found and cursor is None else None
    page = found[:limit]
    if len(found) <= limit:
        return DeliveriesPage(page, None, absence)
    last = page[-1]
    value = json.dumps([_digest(list_name), last.created_at.isoformat(), last.pk.hex])
    return DeliveriesPage(page, seal(value.encode(), purpose=_PURPOSE), None)


def _matching(tenant: Tenant, query: LogQuery) -> QuerySet[Delivery]:
    same = {
        "state": query.state,
        "event_type": query.event_type,
        "created_at__gte": query.since,
        "created_at__lte": query.until,
    }
    rows = Delivery.objects.for_tenant(tenant).filter(
        mode=query.mode, **{name: value for name, value in same.items() if value is not None}
    )
    if query.endpoint_id is not None:  # by its key, so that the index of its deliveries is seen
        named = Endpoint.objects.for_tenant(tenant).filter(public_id=query.endpoint_id).first()
        rows = rows.filter(endpoint=named) if named else rows.none()
    if query.event_id is None and query.call_id is None:
        return rows
    return rows.filter(event_id__in=[event.pk for event in _events(tenant, query)])


def _events(tenant: Tenant, query: LogQuery) -> list[Event]:
    """The event or the events of the call that are looked for, without their bodies."""
    events = Event.objects.for_tenant(tenant).filter(mode=query.mode)
    if query.event_id is not None:
        events = events.filter(public_id=query.event_id)
    if query.call_id is not None:
        events = events.filter(call_id=query.call_id)
    return list(events.order_by("-created_at").defer("body")[:EVENTS_OF_CALL])


def _absence(tenant: Tenant, query: LogQuery) -> Absence | None:
    """Why nothing was sent of one event or call; None for a search that names neither."""
    if query.event_id is None and query.call_id is None:
        return None
    events = _events(tenant, query)
    if not events:
        return Absence.NO_EVENT
    sent = Delivery.objects.for_tenant(tenant).filter(event_id__in=[event.pk for event in events])
    return Absence.NOT_THERE if sent.exists() else Absence.NO_ENDPOINT


def delivery_get(
    *, tenant: Tenant, endpoint: Endpoint, event_id: str
) -> tuple[Delivery, list[Attempt]]:
    """One event's way to one endpoint, with its attempts. Raises EventNotFound."""
    with tenant_scope(tenant.pk):
        rows = Delivery.objects.for_tenant(tenant).filter(endpoint=endpoint)
        found = rows.select_related("event").filter(event__public_id=event_id).first()
        if found is None:
            raise EventNotFound
        return found, list(found.attempts.order_by("-number")[:ATTEMPTS_SHOWN])


def event_get(*, tenant: Tenant, mode: str, public_id: str) -> EventLog:
    """The tenant's event. A stranger's, one of the other mode and none look the same."""
    with tenant_scope(tenant.pk):
        event = Event.objects.for_tenant(tenant).filter(public_id=public_id, mode=mode).first()
        if event is None:
            raise EventNotFound
        rows = Delivery.objects.for_tenant(tenant).filter(event=event)
        deliveries = list(
            rows.select_related("endpoint")
            .prefetch_related("attempts")
            .order_by("created_at", "id")
        )
        logs = [(each, list(each.attempts.all())[:ATTEMPTS_SHOWN]) for each in deliveries]
    return EventLog(event, logs)


def _place(cursor: str, list_name: str) -> tuple[datetime, uuid.UUID]:
    try:
        opened = unseal(cursor, purpose=_PURPOSE) if len(cursor) <= CURSOR_LONGEST else b""
        made_for, at, row_id = json.loads(opened)
    except (SealBroken, ValueError) as broken:
        raise _refused("is not one of ours.") from broken
    if made_for != _digest(list_name):
        raise _refused("belongs to another list.")
    return datetime.fromisoformat(at), uuid.UUID(row_id)


def _digest(list_name: str) -> str:
    return hashlib.sha256(list_name.encode()).hexdigest()


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest(f"cursor {problem}", details={"field": "cursor"})
