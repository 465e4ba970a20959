"""The REST API of endpoints and of what was sent to them. Behind the scope `webhooks:write`.

Endpoints are the whole tenant's: a key that is limited to agencies may not touch them.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api import ApiView, idempotent, json_object, text_field, text_field_or_none, timestamp
from tenants.auth import Caller, caller_of
from tenants.errors import InsufficientScope, InvalidRequest
from webhooks.addresses import URL_LONGEST
from webhooks.endpoints import (
    LONGEST_DESCRIPTION,
    EndpointChange,
    endpoint_delete,
    endpoint_get,
    endpoint_update,
    endpoints_list,
)
from webhooks.log import DELIVERIES_PAGE, Absence, LogQuery, deliveries_page, event_get
from webhooks.models import Attempt, Delivery, Endpoint, Event
from webhooks.presenting import ABSENCES, verdict_of
from webhooks.replaying import ENDPOINT_TEST, event_replay, failed_replay, test_event_send
from webhooks.services import EVENT_TYPES, GRACE, endpoint_create, endpoint_secret_rotate

MOST_EVENT_TYPES = 20


class WebhookView(ApiView):
    required_scope = "webhooks:write"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.caller: Caller = caller_of(request)
        if self.caller.agencies:
            raise InsufficientScope("This API key is limited to agencies.")

    def endpoint(self, endpoint_id: str) -> Endpoint:
        return endpoint_get(tenant=self.caller.tenant, mode=self.caller.mode, public_id=endpoint_id)


class EndpointListApi(WebhookView):
    """GET and POST /webhook-endpoints"""

    def get(self, request: Request) -> Response:
        found = endpoints_list(tenant=self.caller.tenant, mode=self.caller.mode)
        return Response({"data": [endpoint_output(endpoint) for endpoint in found]})

    @idempotent
    def post(self, request: Request) -> Response:
        body = json_object(request)
        endpoint, secret = endpoint_create(
            tenant=self.caller.tenant,
            mode=self.caller.mode,
            url=text_field(body, "url", longest=URL_LONGEST),
            description=_description(body) or "",
            event_types=_event_types(body) or (),
            actor=self.caller.actor,
        )
        return Response(endpoint_output(endpoint) | {"secret": secret}, status=201)


class EndpointApi(WebhookView):
    """GET, PATCH and DELETE /webhook-endpoints/{endpointId}"""

    def get(self, request: Request, endpoint_id: str) -> Response:
        return Response(endpoint_output(self.endpoint(endpoint_id)))

    @idempotent
    def patch(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        body = json_object(request)
        change = EndpointChange(
            url=text_field_or_none(body, "url", longest=URL_LONGEST),
            description=_description(body),
            event_types=_event_types(body),
            enabled=_enabled(body),
        )
        changed = endpoint_update(
            tenant=self.caller.tenant,
            endpoint_id=endpoint.pk,
            change=change,
            actor=self.caller.actor,
        )
        return Response(endpoint_output(changed))

    @idempotent
    def delete(self, request: Request, endpoint_id: str) -> Response:
        endpoint_delete(
            tenant=self.caller.tenant,
            endpoint_id=self.endpoint(endpoint_id).pk,
            actor=self.caller.actor,
        )
        return Response(status=204)


class EndpointRotateApi(WebhookView):
    """POST /webhook-endpoints/{endpointId}/rotate-secret"""

    @idempotent
    def post(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        secret = endpoint_secret_rotate(
            tenant=self.caller.tenant,
            endpoint_id=endpoint.pk,
            grace=_grace(json_object(request, may_be_empty=True)),
            actor=self.caller.actor,
        )
        return Response(endpoint_output(self.endpoint(endpoint_id)) | {"secret": secret})


class EndpointTestApi(WebhookView):
    """POST /webhook-endpoints/{endpointId}/test"""

    @idempotent
    def post(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        if not endpoint.enabled:
            raise InvalidRequest("The endpoint is disabled: enable it first.")
        event = test_event_send(
            tenant=self.caller.tenant, endpoint=endpoint, actor=self.caller.actor
        )
        return Response({"webhookId": event.public_id}, status=202)


class EndpointReplayApi(WebhookView):
    """POST /webhook-endpoints/{endpointId}/replay"""

    @idempotent
    def post(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.endpoint(endpoint_id)
        count = failed_replay(
            tenant=self.caller.tenant,
            endpoint=endpoint,
            since=_since(json_object(request)),
            actor=self.caller.actor,
        )
        return Response({"deliveries": count}, status=202)


class EndpointDeliveriesApi(WebhookView):
    """GET /webhook-endpoints/{endpointId}/deliveries"""

    def get(self, request: Request, endpoint_id: str) -> Response:
        given = request.query_params
        page = deliveries_page(
            tenant=self.caller.tenant,
            query=LogQuery(
                mode=self.caller.mode,
                endpoint_id=self.endpoint(endpoint_id).public_id,
                state=_state(given.get("state")),
            ),
            limit=_limit(given.get("limit")),
            cursor=given.get("cursor"),
        )
        data = [{**event_output(d.event), **delivery_output(d)} for d in page.deliveries]
        return Response({"data": data, "nextCursor": page.next_cursor})


class DeliveriesApi(WebhookView):
    """GET /webhook-deliveries: the whole log, searched."""

    def get(self, request: Request) -> Response:
        given = request.query_params
        page = deliveries_page(
            tenant=self.caller.tenant,
            query=LogQuery(
                mode=self.caller.mode,
                endpoint_id=given.get("endpointId"),
                event_id=given.get("webhookId"),
                call_id=given.get("callId"),
                event_type=_event_type(given.get("event")),
                state=_state(given.get("state")),
                since=_moment("from", given.get("from")),
                until=_moment("to", given.get("to")),
            ),
            limit=_limit(given.get("limit")),
            cursor=given.get("cursor"),
        )
        return Response(
            {
                "data": [found_output(delivery) for delivery in page.deliveries],
                "nextCursor": page.next_cursor,
                "absence": absence_output(page.absence) if page.absence else None,
            }
        )


class EventApi(WebhookView):
    """GET /webhook-events/{webhookId}"""

    def get(self, request: Request, webhook_id: str) -> Response:
        log = event_get(tenant=self.caller.tenant, mode=self.caller.mode, public_id=webhook_id)
        deliveries = [
            {
                "endpointId": delivery.endpoint.public_id,
                **delivery_output(delivery),
                "log": [attempt_output(attempt) for attempt in attempts],
            }
            for delivery, attempts in log.deliveries
        ]
        body = bytes(log.event.body).decode() or None
        return Response({**event_output(log.event), "body": body, "deliveries": deliveries})


class EventReplayApi(WebhookView):
    """POST /webhook-events/{webhookId}/replay"""

    @idempotent
    def post(self, request: Request, webhook_id: str) -> Response:
        caller = self.caller
        log = event_get(tenant=caller.tenant, mode=caller.mode, public_id=webhook_id)
        name = text_field_or_none(json_object(request, may_be_empty=True), "endpointId")
        count = event_replay(
            tenant=caller.tenant,
            event=log.event,
            endpoint=self.endpoint(name) if name else None,
            actor=caller.actor,
        )
        return Response({"deliveries": count}, status=202)


# --- out -----------------------------------------------------------------------------------------


def endpoint_output(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.public_id,
        "url": endpoint.url,
        "description": endpoint.description,
        "eventTypes": endpoint.event_types,
        "enabled": endpoint.enabled,
        "disabledAt": _at(endpoint.disabled_at),
        "disabledReason": endpoint.disabled_reason or None,
        "failingSince": _at(endpoint.failing_since),
        "failedAttempts": endpoint.failed_attempts,
        "mode": endpoint.mode,
        "previousSecretUntil": _at(endpoint.previous_until),
        "createdAt": timestamp(endpoint.created_at),
    }


def event_output(event: Event) -> dict[str, Any]:
    return {
        "webhookId": event.public_id,
        "event": event.type,
        "callId": event.call_id or None,
        "createdAt": timestamp(event.created_at),
    }


def found_output(delivery: Delivery) -> dict[str, Any]:
    """A delivery by itself: which event went where, and how it stands."""
    return {
        **event_output(delivery.event),
        "endpointId": delivery.endpoint.public_id,
        "endpointUrl": delivery.endpoint.url,
        **delivery_output(delivery),
    }


def absence_output(absence: Absence) -> dict[str, str]:
    return {"code": absence.value, "message": ABSENCES[absence]}


def delivery_output(delivery: Delivery) -> dict[str, Any]:
    return {
        "state": delivery.state,
        "attempts": delivery.attempt_count,
        "lastStatus": delivery.last_status,
        "lastFailure": delivery.last_failure or None,
        "nextTryAt": _at(delivery.due_at),
        "endedAt": _at(delivery.ended_at),
        "explanation": verdict_of(delivery),
    }


def attempt_output(attempt: Attempt) -> dict[str, Any]:
    """One try; times in milliseconds, null where it did not get that far."""
    return {
        "number": attempt.number,
        "startedAt": timestamp(attempt.started_at),
        "status": attempt.status,
        "failure": attempt.error or None,
        "lookupMs": attempt.lookup_ms,
        "connectMs": attempt.connect_ms,
        "answerMs": attempt.answer_ms,
        "totalMs": attempt.total_ms,
        "requestHeaders": attempt.request_headers,
        "responseBody": attempt.response_body,
    }


def _at(moment: datetime | None) -> str | None:
    return timestamp(moment) if moment else None


# --- in ------------------------------------------------------------------------------------------


def _description(body: dict[str, Any]) -> str | None:
    return text_field_or_none(body, "description", longest=LONGEST_DESCRIPTION)


def _event_types(body: dict[str, Any]) -> tuple[str, ...] | None:
    given = body.get("eventTypes")
    if given is None:
        return None
    texts = isinstance(given, list) and all(isinstance(each, str) for each in given)
    if not texts or len(given) > MOST_EVENT_TYPES:
        problem = f"eventTypes must be a list of at most {MOST_EVENT_TYPES} names."
        raise InvalidRequest(problem, details={"field": "eventTypes"})
    return tuple(given)


def _enabled(body: dict[str, Any]) -> bool | None:
    given = body.get("enabled")
    if not isinstance(given, bool | None):
        raise InvalidRequest("enabled must be true or false.", details={"field": "enabled"})
    return given


def _grace(body: dict[str, Any]) -> timedelta:
    hours = body.get("graceHours", GRACE / timedelta(hours=1))
    whole = isinstance(hours, int | float) and not isinstance(hours, bool)
    if not whole or not 0 <= hours <= 168:
        raise InvalidRequest("graceHours must be 0 to 168.", details={"field": "graceHours"})
    return timedelta(hours=hours)


def _since(body: dict[str, Any]) -> datetime:
    since = _moment("since", text_field(body, "since", longest=40))
    assert since is not None
    return since


def _moment(name: str, text: str | None) -> datetime | None:
    """A time; without a zone it is UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as odd:
        problem = f"{name} must be a time such as 2026-06-05T18:05:00.000Z."
        raise InvalidRequest(problem, details={"field": name}) from odd


def _state(text: str | None) -> str | None:
    return _one_of("state", text, Delivery.State.values)


def _event_type(text: str | None) -> str | None:
    return _one_of("event", text, (*EVENT_TYPES, ENDPOINT_TEST))


def _one_of(name: str, text: str | None, allowed: Collection[str]) -> str | None:
    if text is not None and text not in allowed:
        problem = f"{name} must be one of {', '.join(allowed)}."
        raise InvalidRequest(problem, details={"field": name})
    return text


def _limit(text: str | None) -> int:
    if text is None:
        return DELIVERIES_PAGE
    digits = text.isascii() and text.isdecimal() and len(text) <= 4
    if not digits or not 1 <= int(text) <= 100:
        problem = "limit must be a whole number from 1 to 100."
        raise InvalidRequest(problem, details={"field": "limit"})
    return int(text)
