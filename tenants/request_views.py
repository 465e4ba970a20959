"""The dashboard's pages of the log of requests, for those who develop."""

import uuid
from datetime import timedelta
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from tenants.abilities import Ability
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.members import Member, for_members
from tenants.models import ApiKey, ApiRequest, Tenant
from tenants.request_advice import ADVICE, NO_SUCH_ADDRESS, ORIGIN, PLACES
from tenants.request_log import KEPT
from tenants.request_reading import (
    FAILED,
    REFUSED,
    STATUSES,
    Place,
    RequestFilters,
    key_of,
    request_get,
    request_id_parse,
    requests_page,
    routes,
)
from tenants.selectors import keys_list

PAGE = 50  # requests
AROUND = timedelta(seconds=30)
NO_KEY = uuid.UUID(int=0)
REQUEST_ID = "req_00000000-0000-0000-0000-000000000000"


@require_safe
@for_members(needs=Ability.DEVELOP)
def request_pages(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /developers/requests, with `id`, or `status`, `key`, `route` and `before`"""
    given = request.GET
    if wanted := given.get("id", "").strip():
        return _looked_up(request, wanted)
    filters = _filters(request)
    try:
        before = Place.parse(given["before"]) if given.get("before") else None
    except InvalidRequest:
        return redirect("request-pages")
    page = requests_page(tenant_id=member.tenant_id, filters=filters, limit=PAGE, before=before)
    chosen = {name: getattr(filters, name) for name in ("status", "key", "route")}
    query = urlencode({name: value for name, value in chosen.items() if value})
    context = {
        "rows": [_row(each, page.keys.get(each.key_id or NO_KEY)) for each in page.requests],
        "older": urlencode({"before": str(page.older)}) if page.older else "",
        "looked_back_to": page.looked_back_to,
        "query": query,
        "is_first": before is None,
        "filters": filters,
        "statuses": STATUSES,
        "routes": routes(),
        "keys": keys_list(tenant=_tenant(member)),
        "kept": KEPT,
    }
    return render(request, "tenants/requests.html", context)


@require_safe
@for_members(needs=Ability.DEVELOP)
def request_page(request: HttpRequest, member: Member, request_id: str) -> HttpResponse:
    """GET /developers/requests/<request id>"""
    row_id = request_id_parse(request_id) if len(request_id) == len(REQUEST_ID) else None
    found = request_get(tenant_id=member.tenant_id, request_id=row_id) if row_id else None
    if found is None:
        raise Http404
    key = key_of(tenant_id=member.tenant_id, key_id=found.key_id)
    around = Place(found.at + AROUND, found.pk)
    context = _row(found, key) | {
        "advice": _advice(found),
        "place": PLACES.get(found.code),
        "is_origin": _is_origin(found),
        "around": urlencode({"before": str(around)}),
    }
    return render(request, "tenants/request.html", context)


def _looked_up(request: HttpRequest, wanted: str) -> HttpResponse:
    row_id = request_id_parse(wanted)
    if row_id is None:
        messages.error(request, "A request id looks like req_0b0f6d5e-9f0a-4a55-9d0b-7f6a3a1f5e0c.")
        return redirect("request-pages")
    return redirect("request-page", f"req_{row_id}")


def _filters(request: HttpRequest) -> RequestFilters:
    """What no option of the form says counts as left out."""
    given = request.GET
    status, route = given.get("status", ""), given.get("route", "")
    known = {REFUSED, FAILED, *map(str, STATUSES)}
    return RequestFilters(
        status=status if status in known else "",
        key=given.get("key", "")[:40],
        route=route if route in routes() else "",
    )


def _row(each: ApiRequest, key: ApiKey | None) -> dict[str, object]:
    return {
        "each": each,
        "id": f"req_{each.pk}",
        "key": key,
        "kind": "good" if each.status < 400 else "bad" if each.status >= 500 else "fair",
        "at_utc": f"{each.at:%H:%M:%S}.{each.at.microsecond // 1000:03d}",
    }


def _advice(found: ApiRequest) -> str:
    if _is_origin(found):
        return ORIGIN
    if found.code == "NOT_FOUND" and not found.route:
        return NO_SUCH_ADDRESS
    return ADVICE.get(found.code, "")


def _is_origin(found: ApiRequest) -> bool:
    return found.code == "INVALID_REQUEST" and bool(found.subject)


def _tenant(member: Member) -> Tenant:
    with tenant_scope(member.tenant_id):
        return Tenant.objects.get(pk=member.tenant_id)
