"""The request id on every answer of Django's, whatever produced it; and pages without an engine."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from redis.exceptions import RedisError

from athos.edge import REQUEST_ID_HEADER, request_id_make
from athos.errors import as_refusal, is_api, page_response, refusal_response
from athos.request_noting import request_note
from tenants.request_log import EXTERNAL, log

logger = logging.getLogger(__name__)

Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class RequestIdMiddleware:
    """Outermost. Takes the edge's id. Never a client's own: ours must be unique, safe to log."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        self._asynchronous = iscoroutinefunction(get_response)
        if self._asynchronous:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer:
        given = getattr(request, "scope", {}).get("request_id")
        request.request_id = given or request_id_make()  # type: ignore[attr-defined]
        began = time.perf_counter()
        if self._asynchronous:
            return self._answer(request, began)
        return self._stamp(request, cast(HttpResponseBase, self.get_response(request)), began)

    async def _answer(self, request: HttpRequest, began: float) -> HttpResponseBase:
        response = await cast(Awaitable[HttpResponseBase], self.get_response(request))
        return self._stamp(request, response, began)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A page that meets a dead engine says 503 as the API does; the rest is Django's."""
        if not isinstance(exception, OperationalError | InterfaceError | RedisError):
            return None
        refusal = as_refusal(exception)
        if is_api(request):
            return refusal_response(refusal, request)
        logger.error("page failed", exc_info=exception)
        return page_response(refusal)

    @staticmethod
    def _stamp(request: HttpRequest, response: HttpResponseBase, began: float) -> HttpResponseBase:
        request_id: str = request.request_id  # type: ignore[attr-defined]
        response[REQUEST_ID_HEADER] = request_id
        if log.running and request.path.startswith(EXTERNAL):
            request_note(request, response, seconds=time.perf_counter() - began)
        return response
