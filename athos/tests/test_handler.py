"""One thread carries a request, through whatever middleware is installed."""

import threading
from collections.abc import Callable
from typing import Any

from asgiref.testing import ApplicationCommunicator
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from athos.handler import ThreadedHandler

seen: list[int] = []


class Noting:
    """Of both kinds, as Django's own are: the handler may choose."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        seen.append(threading.get_ident())
        response: HttpResponseBase = self._get_response(request)
        seen.append(threading.get_ident())
        return response


async def test_every_middleware_and_the_view_run_in_the_requests_thread(settings):
    here = f"{__name__}.Noting"
    settings.MIDDLEWARE = [here, *(one for name in settings.MIDDLEWARE for one in (name, here))]
    seen.clear()
    handler = ThreadedHandler()
    scope = {"type": "http", "method": "GET", "path": "/healthz", "query_string": b""}
    asked = ApplicationCommunicator(handler, scope | {"headers": [(b"host", b"localhost")]})
    await asked.send_input({"type": "http.request", "body": b""})
    assert (await asked.receive_output(10))["status"] == 200
    assert len(seen) == 2 * settings.MIDDLEWARE.count(here)
    assert len({*seen, threading.get_ident()}) == 2  # one for all of them, and not the loop's
