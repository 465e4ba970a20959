"""Django behind ASGI with one thread for each request, from the first middleware to the view."""

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ThreadedHandler(ASGIHandler):
    """The whole chain in one thread.

    All our views are synchronous. Django would run each middleware that can do so on the event
    loop, and most of these (those built on `MiddlewareMixin`) then change to a thread and back
    twice for every request.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)
