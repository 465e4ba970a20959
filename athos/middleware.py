"""The request id: made here for every request, on every answer, whatever produced it."""

import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from redis.exceptions import RedisError

from athos.errors import as_refusal, is_api, refusal_response

logger = logging.getLogger(__name__)

REQUEST_ID_HEADER = "X-Athos-Request-Id"

Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class RequestIdMiddleware:
    """Outermost. A client's own id is never taken over: ours must be unique and safe to log."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        self._asynchronous = iscoroutinefunction(get_response)
        if self._asynchronous:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer:
        request.request_id = f"req_{uuid.uuid4()}"  # type: ignore[attr-defined]
        if self._asynchronous:
            return self._answer(request)
        return self._stamp(request, cast(HttpResponseBase, self.get_response(request)))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = await cast(Awaitable[HttpResponseBase], self.get_response(request))
        return self._stamp(request, response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A page that meets a dead engine says 503 as the API does; the rest is Django's."""
        if not isinstance(exception, OperationalError | InterfaceError | RedisError):
            return None
        refusal = as_refusal(exception)
        if is_api(request):
            return refusal_response(refusal, request)
        logger.error("page failed", exc_info=exception)
        return HttpResponse(
            refusal.message,
            status=refusal.status,
            content_type="text/plain",
            headers={"Retry-After": str(refusal.retry_after)},
        )

    @staticmethod
    def _stamp(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response[REQUEST_ID_HEADER] = request.request_id  # type: ignore[attr-defined]
        return response
