"""The log of requests read: one by its id, or page by page, the newest first.

No page reads more than `LOOKED_AT` rows, whatever is looked for: a search that found too little in
them says how far back it got, and goes on from there.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import URLPattern, URLResolver, get_resolver

from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, ApiRequest
from tenants.request_log import EXTERNAL, template_of

LOOKED_AT = 20_000  # rows
REFUSED, FAILED = "refused", "failed"  # 4xx and 5xx; 5xx alone
STATUSES = (200, 201, 202, 204, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503)


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in the list; the next page begins behind it."""

    at: datetime
    row_id: uuid.UUID

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.row_id.hex}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Raises InvalidRequest for what `str` did not make."""
        at, _, row_id = text[:100].partition("~")
        try:
            place = cls(datetime.fromisoformat(at), uuid.UUID(row_id))
        except ValueError as odd:
            raise InvalidRequest("before is not one of ours.") from odd
        if place.at.tzinfo is None:
            raise InvalidRequest("before is not one of ours.")
        return place


@dataclass(frozen=True, slots=True)
class RequestFilters:
    """Empty: all. `status` is a number, "refused" or "failed"; `key` the public id of a key."""

    status: str = ""
    key: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True)
class RequestsPage:
    """`older` is where the next page begins, `looked_back_to` where a search ended too early."""

    requests: list[ApiRequest]
    older: Place | None = None
    looked_back_to: datetime | None = None
    keys: dict[uuid.UUID, ApiKey] = field(default_factory=dict)


def requests_page(
    *, tenant_id: uuid.UUID, filters: RequestFilters, limit: int, before: Place | None
) -> RequestsPage:
    with tenant_scope(tenant_id):
        rows = _refused_alone(ApiRequest.objects.for_tenant(tenant_id), filters.status)
        if before is not None:
            rows = rows.filter(_behind(before))
        rows = rows.order_by("-at", "-id")
        narrower = _narrower(tenant_id, filters)
        end = _end_of_search(rows) if narrower else None
        if end is not None:
            rows = rows.filter(_not_behind(end))
        found = list(rows.filter(narrower)[: limit + 1])
        page = found[:limit]
        keys = _keys(tenant_id, page)
    if len(found) > limit:
        return RequestsPage(page, Place(page[-1].at, page[-1].pk), keys=keys)
    return RequestsPage(page, end, end.at if end else None, keys)


def request_get(*, tenant_id: uuid.UUID, request_id: uuid.UUID) -> ApiRequest | None:
    """The tenant's request. A stranger's and none look the same."""
    with tenant_scope(tenant_id):
        return ApiRequest.objects.for_tenant(tenant_id).filter(pk=request_id).first()


def key_of(*, tenant_id: uuid.UUID, key_id: uuid.UUID | None) -> ApiKey | None:
    with tenant_scope(tenant_id):
        return ApiKey.objects.for_tenant(tenant_id).filter(pk=key_id).first() if key_id else None


def origins_refused(*, tenant_id: uuid.UUID, most: int) -> list[tuple[str, datetime]]:
    """Web sites from which calls were refused lately, with the last time of each.

    Among the newest refusals only.
    """
    with tenant_scope(tenant_id):
        refused = ApiRequest.objects.for_tenant(tenant_id).filter(status__gte=400)
        newest = refused.order_by("-at", "-id").values_list("code", "subject", "at")[:LOOKED_AT]
        found: dict[str, datetime] = {}
        for code, subject, at in newest.iterator(chunk_size=1000):
            if code == "INVALID_REQUEST" and subject:
                found.setdefault(subject, at)
                if len(found) == most:
                    break
    return list(found.items())


def request_id_parse(text: str) -> uuid.UUID | None:
    """`req_…` or the bare UUID."""
    try:
        return uuid.UUID(text.strip().removeprefix("req_"))
    except ValueError:
        return None


@cache
def routes() -> tuple[str, ...]:
    """Every address of the external API that takes a key or a token, as the log calls it."""
    found = {template_of(route) for route in _routes(get_resolver())}
    return tuple(sorted(route for route in found if not route.startswith("/openapi")))


def _routes(resolver: URLResolver) -> Iterator[str]:
    for each in resolver.url_patterns:
        if isinstance(each, URLPattern):
            route = str(each.pattern)
            if f"/{route}".startswith(EXTERNAL):
                yield route
        else:
            yield from _routes(each)


def _refused_alone(rows: QuerySet[ApiRequest], status: str) -> QuerySet[ApiRequest]:
    """Refusals have an index of their own."""
    refused = status in (REFUSED, FAILED) or (status.isdecimal() and int(status) >= 400)
    return rows.filter(status__gte=400) if refused else rows


def _narrower(tenant_id: uuid.UUID, filters: RequestFilters) -> Q:
    """What no index helps with."""
    wanted: dict[str, Any] = {}
    if filters.status == FAILED:
        wanted["status__gte"] = 500
    elif filters.status.isdecimal():
        wanted["status"] = int(filters.status)
    if filters.route:
        wanted["route"] = filters.route
    if filters.key:
        keys = ApiKey.objects.for_tenant(tenant_id).filter(public_id=filters.key)
        wanted["key_id"] = keys.values_list("pk", flat=True).first() or uuid.UUID(int=0)
    return Q(**wanted)


def _end_of_search(rows: QuerySet[ApiRequest]) -> Place | None:
    last = rows.values_list("at", "pk")[LOOKED_AT - 1 : LOOKED_AT]
    return next((Place(at, row_id) for at, row_id in last), None)


def _behind(place: Place) -> Q:
    """Two conditions, of which the first alone bounds the index scan."""
    return Q(at__lte=place.at) & (Q(at__lt=place.at) | Q(pk__lt=place.row_id))


def _not_behind(place: Place) -> Q:
    return Q(at__gte=place.at) & (Q(at__gt=place.at) | Q(pk__gte=place.row_id))


def _keys(tenant_id: uuid.UUID, page: list[ApiRequest]) -> dict[uuid.UUID, ApiKey]:
    shown = {request.key_id for request in page if request.key_id}
    return {key.pk: key for key in ApiKey.objects.for_tenant(tenant_id).filter(pk__in=shown)}
