"""Errors of the rep's page reach the person: the page around it may show them as it shows the page.

Every answer at the rep's page carries the tenant's `frame-ancestors`. Without this an error would
carry everybody's `'none'`, and the rep would see a browser's grey box. What `calls.views.embed` has
to say to the developers of that page stands below, see `calls.views.embed_problems`.
"""

from functools import cache

from csp.constants import NONE
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from athos.errors import request_id_of
from calls.services.embedding import site_origins
from calls.views.embed_problems import EmbedProblem

_WORDS = {  # by status, else by its hundred
    403: ("This page may not be shown here", "Tell the people who run the site around it."),
    429: ("Too many at once", "Wait a minute, then try again."),
    4: ("This page does not open", "Its address is not right. Tell the people who run your site."),
    5: ("We cannot be reached just now", "The fault is ours and was noted. Try again in a minute."),
}


class FramedErrorsMiddleware(MiddlewareMixin):
    """Inside the one that writes the Content Security Policy, outside all that may answer."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if response.status_code < 400 or request.path != _address():
            return response
        problem: EmbedProblem | None = getattr(response, "embed_problem", None)
        page = _page(request, response.status_code, problem)
        framed = HttpResponse(page, status=response.status_code)
        for name in ("Retry-After", "Allow"):
            if name in response.headers:
                framed.headers[name] = response.headers[name]
        framed.headers["Cache-Control"] = "no-store"
        framed.headers["Referrer-Policy"] = "no-referrer"
        origins = list(site_origins(request.GET.get("site", ""))) or [NONE]
        framed._csp_replace = {  # type: ignore[attr-defined]  # read by django-csp
            "frame-ancestors": ["*"] if problem is not None and problem.anywhere else origins,
            "script-src": [NONE],
        }
        return framed


@cache
def _address() -> str:
    return reverse("embed-roleplay")


def _page(request: HttpRequest, status: int, problem: EmbedProblem | None) -> str:
    title, text = _WORDS.get(status) or _WORDS[4 if status < 500 else 5]
    context = {"title": title, "text": text, "request_id": request_id_of(request)}
    context["told"] = problem.told if problem is not None else ""
    return render_to_string("calls/embed_error.html", context | {"again": status in (429, 503)})
