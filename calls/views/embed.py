"""The rep's page, made to stand in an iframe of the integrator's site: docs/embedding.md.

No cookie, no session: the framing page sends a session token when the rep presses start, and after
the call its connection ticket is the right to follow it.
"""

from collections.abc import Sequence

from csp.constants import NONCE, SELF, Nonce
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response

from calls.assignments.for_reps import (
    assignment_for_rep,
    assignments_of_call,
    assignments_of_token,
)
from calls.history.attempts import change_since_last
from calls.history.detail import CallRecord, call_of_ticket
from calls.history.outputs import call_for_rep
from calls.history.practice import practice_find
from calls.history.reviews import Disagreement, disputes_of_rep
from calls.models import Call
from calls.services.discussing import LONGEST_DISPUTE, dispute_create
from calls.services.embedding import Brand, consent_record, site_find
from calls.services.tickets import Ticket, TicketRefused, ticket_read
from calls.services.tokens import connection_url, session_token_read
from calls.views.embed_problems import EmbedProblem, problem_of_address, problem_of_place
from calls.views.palette import DARK, LIGHT, Accent, accent_of
from calls.views.presenting import first_thing_of, result_of
from tenants.api import ApiView, json_object, text_field
from tenants.auth import bearer
from tenants.errors import AthosError, InvalidRequest
from tenants.isolation import tenant_scope

LONGEST = 200  # characters of a parameter
DIFFICULTIES = {
    Call.Difficulty.BEGINNER.value: "cooperative, few objections",
    Call.Difficulty.ADVANCED.value: "as customers usually are",
    Call.Difficulty.ELITE.value: "tougher, with harder objections",
}
FILTERS = ("state", "category")


class InvalidTicket(AthosError):
    code, status, message = "INVALID_TICKET", 401, "The ticket is not valid any more."


@require_safe
@xframe_options_exempt
def embed_roleplay(request: HttpRequest) -> HttpResponse:
    """GET /embed/roleplay?drill=…&difficulty=…&site=…"""
    query = {name: request.GET.get(name, "")[:LONGEST].strip() for name in ("drill", *FILTERS)}
    difficulty = request.GET.get("difficulty", "") or Call.Difficulty.ADVANCED.value
    site = site_find(request.GET.get("site", ""))
    if problem := problem_of_place(request, site):
        return _refused(problem)
    practice = practice_find(drill_key=query["drill"], tenant_id=site.tenant_id)
    if problem := problem_of_address(request, site, known=practice is not None):
        return _refused(problem)
    context = {
        "practice": practice,
        "drill_key": query["drill"],
        "difficulty": difficulty,
        "difficulty_meaning": DIFFICULTIES[difficulty],
        "filters": {name: query[name] for name in FILTERS if query[name]},
        "site": site,
        "accents": _accents(site.brand),
        "nonce": str(request.csp_nonce),  # type: ignore[attr-defined]  # set by django-csp
    }
    response = HttpResponse(render_to_string("calls/embed.html", context))
    response._csp_replace = _policy(site.origins)  # type: ignore[attr-defined]
    response.headers["Permissions-Policy"] = "microphone=(self), camera=(), geolocation=()"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def _refused(problem: EmbedProblem) -> HttpResponse:
    """The page that says so is made by `athos.framing`, as for every error here."""
    response = HttpResponse(status=problem.status)
    response.embed_problem = problem  # type: ignore[attr-defined]
    return response


def _accents(brand: Brand) -> dict[str, Accent] | None:
    """The tenant's colour by colour scheme; None: ours, which the style sheet knows."""
    if not brand.color:
        return None
    return {"light": accent_of(brand.color, LIGHT), "dark": accent_of(brand.color, DARK)}


class EmbedCallApi(ApiView):
    """GET /embed/v1/call: how far the call is, and its result once there is one."""

    authentication_classes = []

    def get(self, request: Request) -> Response:
        return Response(call_for_rep(_record(request)))


class EmbedConsentApi(ApiView):
    """POST /embed/v1/call/consent: the rep agreed to this version of the text, and starts now."""

    authentication_classes = []

    def post(self, request: Request) -> Response:
        ticket = _ticket(request)
        body = json_object(request)
        private = body.get("private", False)
        if not isinstance(private, bool):
            raise InvalidRequest("private must be true or false.", details={"field": "private"})
        consent_record(
            tenant_id=ticket.tenant_id,
            call_id=ticket.call_id,
            version=text_field(body, "version", longest=100),
            private=private,
        )
        return Response(status=204)


class EmbedAssignmentsApi(ApiView):
    """GET /embed/v1/assignments?drill=…: what the rep of a session token was asked to practise.

    The token is not spent. It comes from the framing page, which alone knows who the rep is.
    """

    authentication_classes = []

    def get(self, request: Request) -> Response:
        tenant_id, claims = session_token_read(bearer(request) or "")
        drill = request.query_params.get("drill", "")[:LONGEST]
        found = assignments_of_token(tenant_id=tenant_id, jti=claims.jti, drill_key=drill)
        return Response({"assignments": [assignment_for_rep(standing) for standing in found]})


class EmbedDisputeApi(ApiView):
    """POST /embed/v1/call/dispute: the rep sees a verdict differently, and says why."""

    authentication_classes = []

    def post(self, request: Request) -> Response:
        ticket = _ticket(request)
        body = json_object(request)
        dispute_create(
            tenant_id=ticket.tenant_id,
            call_id=ticket.call_id,
            check_key=text_field(body, "checkKey", longest=60),
            text=text_field(body, "text", longest=LONGEST_DISPUTE),
        )
        return Response(status=204)


class EmbedScorecard(ApiView):
    """GET /embed/v1/call/scorecard: the result as HTML, one thing first."""

    authentication_classes = []

    def get(self, request: Request) -> HttpResponse:
        record = _record(request)
        if record.call.stage != Call.Stage.SCORED or record.score is None:
            return HttpResponse()
        context = {
            "result": result_of(record, rep_name="You", disputes=_disputes(record)),
            "disputing": not record.call.private,
            "longest": {"dispute": LONGEST_DISPUTE},
            "first": first_thing_of(record.score),
            "change": change_since_last(call=record.call, score=record.score),
            "assigned": assignments_of_call(record.call),
            "private": record.call.private,
        }
        return HttpResponse(render_to_string("calls/_rep_result.html", context))


def _record(request: Request) -> CallRecord:
    ticket = _ticket(request)
    return call_of_ticket(tenant_id=ticket.tenant_id, call_id=ticket.call_id)


def _disputes(record: CallRecord) -> dict[str, Disagreement]:
    with tenant_scope(record.call.tenant_id):
        return disputes_of_rep(call=record.call)


def _ticket(request: Request) -> Ticket:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    try:
        return ticket_read(text.strip() if scheme.lower() == "ticket" else "")
    except TicketRefused as refused:
        raise InvalidTicket from refused


def _policy(parents: tuple[str, ...]) -> dict[str, Sequence[str | Nonce]]:
    socket = connection_url().rpartition("/live/")[0]
    return {
        "frame-ancestors": list(parents) or ["'none'"],
        "style-src": [SELF, NONCE],
        "connect-src": ["'self'", settings.PUBLIC_URL, socket],
    }
