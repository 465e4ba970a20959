"""The rep's page, made to stand in an iframe of the integrator's site: docs/embedding.md.

No cookie, no session: the framing page sends a session token when the rep presses start, and after
the call its connection ticket is the right to follow it.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response

from calls.history.detail import CallRecord, call_of_ticket
from calls.history.outputs import call_for_rep
from calls.history.practice import practice_find
from calls.models import Call
from calls.services.embedding import site_find
from calls.services.tickets import TicketRefused, ticket_read
from calls.services.tokens import connection_url
from calls.views.presenting import result_of
from tenants.api import ApiView
from tenants.errors import AthosError

LONGEST = 200  # characters of a parameter
FILTERS = ("state", "category")


class InvalidTicket(AthosError):
    code, status, message = "INVALID_TICKET", 401, "The ticket is not valid any more."


@require_safe
@xframe_options_exempt
def embed_roleplay(request: HttpRequest) -> HttpResponse:
    """GET /embed/roleplay?drill=…&difficulty=…&site=…"""
    query = {name: request.GET.get(name, "")[:LONGEST].strip() for name in ("drill", *FILTERS)}
    difficulty = request.GET.get("difficulty", "")
    site = site_find(request.GET.get("site", ""))
    context = {
        "practice": practice_find(drill_key=query["drill"], tenant_id=site.tenant_id),
        "drill_key": query["drill"],
        "difficulty": difficulty if difficulty in Call.Difficulty.values else "Advanced",
        "filters": {name: query[name] for name in FILTERS if query[name]},
        "parents": site.origins,
        "nonce": str(request.csp_nonce),  # type: ignore[attr-defined]  # set by django-csp
    }
    response = HttpResponse(render_to_string("calls/embed.html", context))
    response._csp_replace = _policy(site.origins)  # type: ignore[attr-defined]
    response.headers["Permissions-Policy"] = "microphone=(self), camera=(), geolocation=()"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


class EmbedCallApi(ApiView):
    """GET /embed/v1/call: how far the call is, and its result once there is one."""

    authentication_classes = []

    def get(self, request: Request) -> Response:
        return Response(call_for_rep(_record(request)))


class EmbedScorecard(ApiView):
    """GET /embed/v1/call/scorecard: the result as HTML, by the same template as the dashboard's."""

    authentication_classes = []

    def get(self, request: Request) -> HttpResponse:
        record = _record(request)
        scored = record.call.stage == Call.Stage.SCORED
        context = {"result": result_of(record, rep_name="You") if scored else None}
        return HttpResponse(render_to_string("calls/_result.html", context))


def _record(request: Request) -> CallRecord:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    try:
        ticket = ticket_read(text.strip() if scheme.lower() == "ticket" else "")
    except TicketRefused as refused:
        raise InvalidTicket from refused
    return call_of_ticket(tenant_id=ticket.tenant_id, call_id=ticket.call_id)


def _policy(parents: tuple[str, ...]) -> dict[str, list[str]]:
    socket = connection_url().rpartition("/live/")[0]
    return {
        "frame-ancestors": list(parents) or ["'none'"],
        "connect-src": ["'self'", settings.PUBLIC_URL, socket],
    }
