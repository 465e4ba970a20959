"""The public REST API of the conversation: mint a session token, redeem it, read calls."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from calls.erasure.api import ERASE, accepted
from calls.erasure.requests import call_erase
from calls.history.detail import call_progress, call_scored_get
from calls.history.filters import CallFilters, limit_parse
from calls.history.listing import Reader, calls_scored
from calls.history.outputs import call_detail, call_row
from calls.models import Call
from calls.reps.editing import LONGEST_EMAIL, email_checked, text_checked
from calls.services.people import RepTold
from calls.services.session_jwt import InvalidToken
from calls.services.tokens import (
    FILTERS,
    ConsentStated,
    OriginNotAllowed,
    Redeemed,
    RedeemRequest,
    session_mint,
    session_redeem,
    session_token_read,
)
from tenants.api import ApiView, json_object, text_field, text_field_or_none, timestamp
from tenants.auth import bearer, caller_of
from tenants.errors import InvalidRequest
from tenants.rate_limits import redeem_spend
from tenants.request_log import owned_by

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Athos-Request-Id",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "7200",
}
CLOCK_SKEW = timedelta(minutes=5)  # of an integrator's clock that runs ahead of ours
LONGEST_DRILL_KEY = 1000  # "any string"; what is longer than a key can be is simply not found


class SessionMintApi(ApiView):
    """POST /session"""

    required_scope = "sessions:write"

    def post(self, request: Request) -> Response:
        body = json_object(request)
        minted = session_mint(
            caller=caller_of(request),
            external_user_id=text_field(body, "externalUserId"),
            external_agency_id=text_field_or_none(body, "externalAgencyId"),
            consent=_consent(body),
            told=_told(body),
        )
        return Response({"token": minted.token, "expiresAt": timestamp(minted.expires_at)})


class SessionRedeemApi(ApiView):
    """POST /roleplay/session, called by the SDK: the only address that other web sites may use."""

    http_method_names = ["post", "options"]
    authentication_classes = []

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204, headers=PREFLIGHT)

    def post(self, request: Request) -> Response:
        token = bearer(request)
        if not token:
            raise InvalidToken
        tenant_id, claims = session_token_read(token)
        owned_by(request._request, tenant_id)
        wish = _wish(json_object(request), request.headers.get("Origin", ""))
        self.hold_to(redeem_spend(tenant_id))  # while the token can still be tried again
        answer = session_redeem(tenant_id=tenant_id, claims=claims, wish=wish)
        if not isinstance(answer, Redeemed):
            raise answer
        call = answer.call
        return Response(
            {
                "connectionTicket": answer.connection_ticket,
                "connectionUrl": answer.connection_url,
                "sessionId": call.session_id,
                "callId": call.public_id,
                "persona": {"name": call.persona_name},
            }
        )

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        self.hidden = isinstance(exc, OriginNotAllowed)
        return response

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if not getattr(self, "hidden", False):
            for name, value in CORS.items():
                answer.headers[name] = value
        return answer


class CallListApi(ApiView):
    """GET /calls"""

    required_scope = "calls:read"

    def get(self, request: Request) -> Response:
        query = request.query_params
        page = calls_scored(
            reader=_reader(request),
            filters=CallFilters.parse(query),
            limit=limit_parse(query),
            cursor=query.get("cursor"),
        )
        rows = [call_row(call) for call in page.calls]
        return Response({"data": rows, "nextCursor": page.next_cursor})


class CallDetailApi(ApiView):
    """GET and DELETE /calls/{callId}"""

    required_scope = "calls:read"
    method_scopes = {"DELETE": ERASE}

    def get(self, request: Request, call_id: str) -> Response:
        return Response(call_detail(call_scored_get(reader=_reader(request), public_id=call_id)))

    def delete(self, request: Request, call_id: str) -> Response:
        return accepted(call_erase(caller=caller_of(request), public_id=call_id))


class CallStatusApi(ApiView):
    """GET /calls/{callId}/status"""

    required_scope = "calls:read"

    def get(self, request: Request, call_id: str) -> Response:
        progress = call_progress(reader=_reader(request), public_id=call_id)
        reason = {"reason": progress.reason} if progress.reason else {}
        return Response({"status": progress.stage, **reason})


def _reader(request: Request) -> Reader:
    caller = caller_of(request)
    return Reader(caller.tenant.pk, caller.agencies, caller.mode)


def _consent(body: dict[str, Any]) -> ConsentStated | None:
    """What the integrator says of the rep's consent; without a time it was given just now."""
    stated = body.get("consent")
    if stated is None:
        return None
    if not isinstance(stated, dict):
        raise InvalidRequest("consent must be an object.", details={"field": "consent"})
    version = text_field(stated, "version", longest=100)
    return ConsentStated(version, _consented_at(text_field_or_none(stated, "at", longest=40)))


def _told(body: dict[str, Any]) -> RepTold | None:
    """Who the rep is, as the integrator says; None: it says nothing."""
    told = body.get("rep")
    if told is None:
        return None
    if not isinstance(told, dict):
        raise InvalidRequest("rep must be an object.", details={"field": "rep"})
    name, team = (text_field_or_none(told, field, within="rep.") for field in ("name", "team"))
    email = text_field_or_none(told, "email", longest=LONGEST_EMAIL, within="rep.")
    return RepTold(
        name=text_checked(name or "", "rep.name"),
        email=email_checked(email or "", "rep.email"),
        team=text_checked(team or "", "rep.team"),
    )


def _consented_at(text: str | None) -> datetime:
    now = timezone.now()
    if text is None:
        return now
    problem = "consent.at must be a past time with a zone, such as 2026-06-05T18:05:00.000Z."
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None or at > now + CLOCK_SKEW:
            raise ValueError(text)
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as odd:
        raise InvalidRequest(problem, details={"field": "consent.at"}) from odd


def _wish(body: dict[str, Any], origin: str) -> RedeemRequest:
    difficulty = text_field_or_none(body, "difficulty") or Call.Difficulty.ADVANCED
    if difficulty not in Call.Difficulty.values:
        raise InvalidRequest(
            f"difficulty must be one of {', '.join(Call.Difficulty.values)}.",
            details={"field": "difficulty"},
        )
    filters = body.get("filters")
    if filters is not None and not isinstance(filters, dict):
        raise InvalidRequest("filters must be an object.", details={"field": "filters"})
    return RedeemRequest(
        drill_key=text_field(body, "drillKey", longest=LONGEST_DRILL_KEY),
        difficulty=difficulty,
        filters=_filters(filters or {}),
        origin=origin,
    )


def _filters(given: dict[str, Any]) -> dict[str, str]:
    """The filters that are texts; blank ones match nothing, so they are dropped like others."""
    texts = {name: given.get(name) for name in FILTERS}
    odd = [name for name, value in texts.items() if not isinstance(value, str | None)]
    if odd:
        raise InvalidRequest(
            f"filters.{odd[0]} must be a string.", details={"field": f"filters.{odd[0]}"}
        )
    return {name: value.strip() for name, value in texts.items() if value and value.strip()}
