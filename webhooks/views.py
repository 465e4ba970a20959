"""The dashboard's pages of webhooks: endpoints, what was sent to them, and why it failed.

Endpoints are the whole tenant's, and for those of its members who develop.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from tenants.abilities import Ability
from tenants.errors import AthosError, InvalidRequest
from tenants.isolation import tenant_scope
from tenants.members import Member, for_members
from tenants.models import ApiKey, Tenant
from tenants.reauth import fresh_sign_in
from webhooks import presenting
from webhooks.endpoints import endpoint_get, endpoints_list
from webhooks.errors import EndpointNotFound, EventNotFound
from webhooks.log import LogQuery, deliveries_page, delivery_get
from webhooks.models import Delivery, Endpoint
from webhooks.replaying import (
    ENDPOINT_TEST,
    endpoint_revive,
    event_replay,
    failed_replay,
    test_event_send,
)
from webhooks.services import (
    CALL_SCORED,
    OPT_IN,
    endpoint_create,
    endpoint_disable,
    endpoint_secret_rotate,
)

PAGE = 25  # deliveries
LONGEST_ID = 60  # characters
SOON = timedelta(seconds=30)  # a page waits for an attempt that is due by then
Parameters = ParamSpec("Parameters")
Page = Callable[Concatenate[HttpRequest, Member, Tenant, Parameters], HttpResponse]


def for_whole_tenant(
    view: Page[Parameters],
) -> Callable[Concatenate[HttpRequest, Parameters], HttpResponse]:
    """A page for those who develop, who see all of the tenant; what is missing is 404."""

    @for_members(needs=Ability.DEVELOP)
    @wraps(view)
    def answer(
        request: HttpRequest,
        member: Member,
        /,
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> HttpResponse:
        with tenant_scope(member.tenant_id):
            tenant = Tenant.objects.get(pk=member.tenant_id)
        try:
            return view(request, member, tenant, *args, **kwargs)
        except (EndpointNotFound, EventNotFound) as missing:
            raise Http404 from missing

    return answer


@require_safe
@for_whole_tenant
def endpoint_pages(request: HttpRequest, member: Member, tenant: Tenant) -> HttpResponse:
    """GET /webhooks: those of live calls or of the sandbox, as the member looks"""
    return _endpoints(request, member, tenant)


@require_POST
@for_whole_tenant
@fresh_sign_in
def endpoint_add(request: HttpRequest, member: Member, tenant: Tenant) -> HttpResponse:
    """POST /webhooks/add: the only answer that shows the secret."""
    given = request.POST
    try:
        endpoint, secret = endpoint_create(
            tenant=tenant,
            mode=ApiKey.Mode.TEST if given.get("mode") == "test" else ApiKey.Mode.LIVE,
            url=given.get("url", "").strip(),
            description=given.get("description", "").strip(),
            event_types=given.getlist("event"),
            actor=member.actor,
        )
    except AthosError as refused:
        return _endpoints(request, member, tenant, problem=refused.message, given=given)
    return _endpoint(request, member, tenant, endpoint, secret=secret)


@require_safe
@for_whole_tenant
def endpoint_page(
    request: HttpRequest, member: Member, tenant: Tenant, endpoint_id: str
) -> HttpResponse:
    """GET /webhooks/<endpoint id>, with `state` and `before`"""
    endpoint = endpoint_get(tenant=tenant, public_id=endpoint_id)
    try:
        return _endpoint(request, member, tenant, endpoint)
    except InvalidRequest:
        return redirect("endpoint-page", endpoint_id)


@require_POST
@for_whole_tenant
def endpoint_act(
    request: HttpRequest, member: Member, tenant: Tenant, endpoint_id: str
) -> HttpResponse:
    """POST /webhooks/<endpoint id>/act: what the buttons of the page do."""
    endpoint, actor = endpoint_get(tenant=tenant, public_id=endpoint_id), member.actor
    try:
        match request.POST.get("action"):
            case "revive":
                event = endpoint_revive(tenant=tenant, endpoint=endpoint, actor=actor)
                messages.info(request, "Switched on again. A test is on its way.")
                return redirect("delivery-page", endpoint_id, event.public_id)
            case "disable":
                endpoint_disable(tenant_id=tenant.pk, endpoint_id=endpoint.pk, actor=actor)
                said = "Switched off."
            case "test" if endpoint.enabled:
                event = test_event_send(tenant=tenant, endpoint=endpoint, actor=actor)
                return redirect("delivery-page", endpoint_id, event.public_id)
            case "replay":
                since = endpoint.created_at
                count = failed_replay(tenant=tenant, endpoint=endpoint, since=since, actor=actor)
                said = f"{count} on their way again."
            case _:
                said = "Nothing was done."
    except AthosError as refused:
        said = refused.message
    messages.info(request, said)
    return redirect("endpoint-page", endpoint_id)


@require_POST
@for_whole_tenant
@fresh_sign_in
def endpoint_rotate(
    request: HttpRequest, member: Member, tenant: Tenant, endpoint_id: str
) -> HttpResponse:
    """POST /webhooks/<endpoint id>/rotate: the only answer that shows the new secret."""
    endpoint = endpoint_get(tenant=tenant, public_id=endpoint_id)
    try:
        secret = endpoint_secret_rotate(tenant=tenant, endpoint_id=endpoint.pk, actor=member.actor)
    except AthosError as refused:
        messages.error(request, refused.message)
        return redirect("endpoint-page", endpoint_id)
    changed = endpoint_get(tenant=tenant, public_id=endpoint_id)
    return _endpoint(request, member, tenant, changed, secret=secret)


@require_safe
@for_whole_tenant
def delivery_pages(request: HttpRequest, member: Member, tenant: Tenant) -> HttpResponse:
    """GET /webhooks/deliveries: all that was sent, with `q` (an event or a call) and filters"""
    given = request.GET
    searched = _search(given.get("q", ""))
    query = LogQuery(
        mode=member.mode,
        endpoint_id=given.get("endpoint") or None,
        event_type=given.get("event") or None,
        state=_known(given.get("state", ""), Delivery.State.values) or None,
        since=_day(given.get("since", "")),
        until=_day(given.get("until", ""), last=True),
        **searched,
    )
    try:
        page = deliveries_page(tenant=tenant, query=query, limit=PAGE, cursor=given.get("before"))
    except InvalidRequest:
        return redirect("delivery-pages")
    names = ("q", "endpoint", "event", "state", "since", "until")
    context = {
        "deliveries": [(each, presenting.verdict_of(each)) for each in page.deliveries],
        "absence": presenting.ABSENCES[page.absence] if page.absence else "",
        "odd": bool(given.get("q", "").strip()) and not searched,
        "older": page.next_cursor,
        "is_first": "before" not in given,
        "given": {name: given.get(name, "") for name in names},
        "query": urlencode({name: given[name] for name in names if given.get(name)}),
        "endpoints": endpoints_list(tenant=tenant, mode=member.mode),
        "events": [CALL_SCORED, *OPT_IN, ENDPOINT_TEST],
        "states": Delivery.State.values,
    }
    return render(request, "webhooks/deliveries.html", context)


@require_safe
@for_whole_tenant
def delivery_page(
    request: HttpRequest, member: Member, tenant: Tenant, endpoint_id: str, webhook_id: str
) -> HttpResponse:
    """GET /webhooks/<endpoint id>/<webhook id>: every attempt; to htmx what changes of it."""
    endpoint = endpoint_get(tenant=tenant, public_id=endpoint_id)
    delivery, attempts = delivery_get(tenant=tenant, endpoint=endpoint, event_id=webhook_id)
    context = {
        "endpoint": endpoint,
        "delivery": delivery,
        "verdict": presenting.verdict_of(delivery),
        "body": presenting.body_shown(bytes(delivery.event.body)),
        "attempts": [presenting.attempt_shown(attempt) for attempt in attempts],
        "may_replay": delivery.state != Delivery.State.PENDING and endpoint.enabled,
        "soon": delivery.due_at is not None and delivery.due_at < timezone.now() + SOON,
    }
    if request.htmx:  # type: ignore[attr-defined]  # set by its middleware
        return render(request, "webhooks/_delivery.html", context)
    return render(request, "webhooks/delivery.html", context)


@require_POST
@for_whole_tenant
def delivery_replay(
    request: HttpRequest, member: Member, tenant: Tenant, endpoint_id: str, webhook_id: str
) -> HttpResponse:
    """POST /webhooks/<endpoint id>/<webhook id>/replay"""
    endpoint = endpoint_get(tenant=tenant, public_id=endpoint_id)
    delivery, _ = delivery_get(tenant=tenant, endpoint=endpoint, event_id=webhook_id)
    try:
        count = event_replay(
            tenant=tenant, event=delivery.event, endpoint=endpoint, actor=member.actor
        )
        said = "It is on its way again." if count else "Nothing was sent: the endpoint is off."
    except AthosError as refused:
        said = refused.message
    messages.info(request, said)
    return redirect("delivery-page", endpoint_id, webhook_id)


def _endpoints(
    request: HttpRequest, member: Member, tenant: Tenant, *, problem: str = "", given: object = None
) -> HttpResponse:
    mode = member.mode
    rows = [
        {"endpoint": endpoint, "health": presenting.health_of(endpoint)}
        for endpoint in endpoints_list(tenant=tenant, mode=mode)
    ]
    context = {
        "rows": rows,
        "is_test": mode == ApiKey.Mode.TEST,
        "default_event": CALL_SCORED,
        "events": OPT_IN,
        "problem": problem,
        "given": given,
    }
    return render(request, "webhooks/list.html", context, status=400 if problem else 200)


def _endpoint(
    request: HttpRequest, member: Member, tenant: Tenant, endpoint: Endpoint, *, secret: str = ""
) -> HttpResponse:
    state = request.GET.get("state", "")
    state = state if state in Delivery.State.values else ""
    page = deliveries_page(
        tenant=tenant,
        query=LogQuery(mode=endpoint.mode, endpoint_id=endpoint.public_id, state=state or None),
        limit=PAGE,
        cursor=request.GET.get("before"),
    )
    context = {
        "endpoint": endpoint,
        "health": presenting.health_of(endpoint),
        "secret": secret,
        "deliveries": [(each, presenting.verdict_of(each)) for each in page.deliveries],
        "older": page.next_cursor,
        "is_first": "before" not in request.GET,
        "state": state,
        "states": Delivery.State.values,
        "default_event": CALL_SCORED,
    }
    return render(request, "webhooks/endpoint.html", context)


def _search(text: str) -> dict[str, str]:
    """What `q` names: an event or a call; nothing for anything else."""
    wanted = text.strip()[:LONGEST_ID]
    if wanted.startswith("wh_"):
        return {"event_id": wanted}
    return {"call_id": wanted} if wanted.startswith("athos_call_") else {}


def _known(text: str, known: Sequence[str]) -> str:
    return text if text in known else ""


def _day(text: str, *, last: bool = False) -> datetime | None:
    """The first or the last moment of a day (UTC); None for what is no day."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return datetime.combine(day, time.max if last else time.min, UTC)
