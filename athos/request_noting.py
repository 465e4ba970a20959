"""What the log of requests keeps of an answer: `tenants/request_log.py` says where it goes."""

import uuid
from datetime import UTC, datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tenants.auth import bearer
from tenants.errors import AthosError, InvalidApiKey
from tenants.request_log import Answered, log, owner_of, template_of

# Parameters whose values name nobody; of the others not even the names are kept.
TOLD = ("from", "to", "scoredFrom", "source", "limit", "month", "by", "state")
LONGEST_QUERY = 200  # characters


def request_note(request: HttpRequest, response: HttpResponseBase, *, seconds: float) -> None:
    """Keep the request, when it is known whose it was. It asks no database."""
    refusal: AthosError | None = getattr(response, "refusal", None)
    if isinstance(refusal, InvalidApiKey):
        return  # nobody's
    owner = owner_of(request, bearer(request))
    if owner is None:
        return
    request_id: str = request.request_id  # type: ignore[attr-defined]
    log.note(
        Answered(
            request_id=uuid.UUID(request_id.removeprefix("req_")),
            owner=owner,
            at=datetime.now(UTC),
            method=plain(request.method or "", 7),
            route=_route_of(request),
            query=_query_of(request),
            status=response.status_code,
            code=refusal.code if refusal else "",
            field=plain(str((refusal.details or {}).get("field", "")), 60) if refusal else "",
            subject=plain(refusal.subject, 300) if refusal else "",
            duration_ms=round(seconds * 1000),
        )
    )


def plain(text: str, longest: int) -> str:
    """Fit for one line and for PostgreSQL, which takes no NUL and no half of a character."""
    shown = text[:longest]
    return shown if shown.isprintable() else "".join(c if c.isprintable() else "?" for c in shown)


def _route_of(request: HttpRequest) -> str:
    match = request.resolver_match
    return template_of(match.route) if match is not None else ""


def _query_of(request: HttpRequest) -> str:
    if not request.META.get("QUERY_STRING"):
        return ""
    given = [f"{name}={request.GET[name]}" for name in TOLD if name in request.GET]
    return plain("&".join(given), LONGEST_QUERY)
