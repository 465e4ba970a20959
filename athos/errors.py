"""Every failure in the one envelope: `{"error": {"code", "message", "requestId"}}`.

API views raise; `exception_handler` answers. What fails before or beside a view (unknown path, bad
host, a crash in middleware) comes through Django's handler functions at the end of this file.
"""

import logging
import sys
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response

from tenants.errors import (
    AthosError,
    InvalidRequest,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
)

logger = logging.getLogger(__name__)

API_PREFIX = "/api/"
DATABASE_RETRY_SECONDS = 2
BUSY_RETRY_SECONDS = 1


class NotFound(AthosError):
    code, status, message = "NOT_FOUND", 404, "There is nothing at this address."


class MethodNotAllowed(AthosError):
    code, status, message = "METHOD_NOT_ALLOWED", 405, "This address does not answer that method."


class UnsupportedMediaType(AthosError):
    code, status, message = "UNSUPPORTED_MEDIA_TYPE", 415, "Send application/json."


class RequestTimeout(AthosError):
    code, status, message = "REQUEST_TIMEOUT", 408, "The request did not arrive in time."


class UriTooLong(AthosError):
    code, status, message = "URI_TOO_LONG", 414, "The address is too long."


class HeadersTooLarge(AthosError):
    code, status, message = "HEADERS_TOO_LARGE", 431, "The header fields are too large or too many."


class TooManyConnections(ServiceUnavailable):
    message = "Too many connections are open. Try again shortly."


class DatabaseAway(ServiceUnavailable):
    message = "The service is not available right now. Try again shortly."


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """Django REST framework's hook: any exception in an API view becomes an answer."""
    request = context["request"]
    refusal = as_refusal(exc)
    if refusal.status >= 500:
        _log(refusal, exc, request)
    body = envelope(refusal, request_id_of(request))
    response = Response(body, status=refusal.status, headers=headers_of(refusal))
    response.refusal = refusal  # type: ignore[attr-defined]  # for the log of requests
    return response


def as_refusal(exc: Exception) -> AthosError:
    """The error of the contract that stands for this exception."""
    match exc:
        case AthosError():
            return exc
        case OperationalError() | InterfaceError() | RedisError():
            return DatabaseAway(retry_after=DATABASE_RETRY_SECONDS)
        case Http404() | exceptions.NotFound():
            return NotFound()
        case exceptions.MethodNotAllowed():
            return MethodNotAllowed()
        case exceptions.UnsupportedMediaType():
            return UnsupportedMediaType()
        case exceptions.Throttled():
            return RateLimited(retry_after=max(1, int(getattr(exc, "wait", None) or 1)))
        case RequestDataTooBig():
            return PayloadTooLarge()
        case SuspiciousOperation() | BadRequest():
            return InvalidRequest()
        case exceptions.APIException() if exc.status_code < 500:
            return InvalidRequest()
        case _:
            return AthosError()


def envelope(refusal: AthosError, request_id: str) -> dict[str, dict[str, object]]:
    """The body of an error answer."""
    error: dict[str, object] = {
        "code": refusal.code,
        "message": refusal.message,
        "requestId": request_id,
    }
    if refusal.details:
        error["details"] = refusal.details
    return {"error": error}


def headers_of(refusal: AthosError) -> dict[str, str]:
    """The header fields that an error answer carries beside its body."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def _log(refusal: AthosError, exc: Exception, request: Any) -> None:
    """A refusal that we meant is one line; anything else comes with its traceback."""
    facts = {"request_id": request_id_of(request), "code": refusal.code}
    if isinstance(exc, AthosError):
        logger.warning("request refused", extra=facts)
    else:
        logger.error("request failed", exc_info=exc, extra=facts)


def refusal_response(refusal: AthosError, request: HttpRequest) -> HttpResponse:
    """The same answer outside Django REST framework."""
    body = envelope(refusal, request_id_of(request))
    response = JsonResponse(body, status=refusal.status, headers=headers_of(refusal))
    response.refusal = refusal  # type: ignore[attr-defined]  # for the log of requests
    return response


def page_response(refusal: AthosError) -> HttpResponse:
    """What a person sees when an engine is away: no template, for that may need the engine."""
    return HttpResponse(
        refusal.message,
        status=refusal.status,
        content_type="text/plain",
        headers=headers_of(refusal),
    )


def request_id_of(request: Any) -> str:
    return str(getattr(request, "request_id", ""))


def is_api(request: HttpRequest) -> bool:
    return request.path.startswith(API_PREFIX)


# --- Django's handlers, named in athos/urls.py ---------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_api(request):
        return defaults.bad_request(request, exception)
    too_big = isinstance(exception, RequestDataTooBig)
    return refusal_response(PayloadTooLarge() if too_big else InvalidRequest(), request)


def permission_denied(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    if not is_api(request):
        return defaults.permission_denied(request, exception)
    return refusal_response(InvalidRequest(), request)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_api(request):
        return defaults.page_not_found(request, exception)
    return refusal_response(NotFound(), request)


def server_error(request: HttpRequest) -> HttpResponse:
    """What escaped even the middleware. Django calls this while it handles the exception."""
    caught = sys.exc_info()[1]
    refusal = as_refusal(caught) if isinstance(caught, Exception) else AthosError()
    if is_api(request):
        return refusal_response(refusal, request)
    return page_response(refusal) if refusal.status == 503 else defaults.server_error(request)
