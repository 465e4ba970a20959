"""The dashboard's list of calls: searched, page by page, and as a file."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any, cast
from urllib.parse import urlencode

from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from calls.history.exporting import MOST, export_batches, export_begin
from calls.history.listing import Page, Reader
from calls.history.search import (
    STAGES,
    Asked,
    Found,
    SearchTooSlow,
    calls_search,
    choices_of,
    search_parse,
)
from calls.models import Call
from calls.views import presenting
from tenants.errors import InvalidRequest
from tenants.members import Member, for_members

PAGE = 25  # calls
EXPORTS = 2  # at once, of one web process: each keeps a connection to the database busy
_threads = ThreadPoolExecutor(EXPORTS, thread_name_prefix="exports")
_places = BoundedSemaphore(EXPORTS)


@require_safe
@for_members()
def call_pages(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /calls: the newest first, older ones by `before`; with htmx the list alone."""
    asked = search_parse(request.GET)
    reader = reader_of(member)
    fragment = request.headers.get("HX-Target") == "calls"
    found, problem = Found(Page([], None)), ""
    if not asked.problems:
        try:
            found = calls_search(
                reader=reader,
                search=asked.search,
                limit=PAGE,
                cursor=request.GET.get("before", ""),
                choosing=not fragment,
            )
        except InvalidRequest:  # a cursor of another list
            return redirect(_address(asked))
        except SearchTooSlow as slow:
            problem = slow.message
    context = _context(request, asked, found, problem)
    if not fragment:
        known = choices_of(reader) if problem or asked.problems else found.choices
        context |= {"choices": known, "stages": STAGES.items()}
    answer = render(request, "calls/_found.html" if fragment else "calls/list.html", context)
    if fragment and "before" not in request.GET:
        answer.headers["HX-Push-Url"] = _address(asked)  # without the fields that are empty
    answer.headers["Vary"] = "HX-Target, Cookie"
    return answer


@require_safe
@for_members()
def calls_export(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /calls/export.csv: everything that the search finds, streamed."""
    asked = search_parse(request.GET)
    if asked.problems:
        return redirect(f"{reverse('call-pages')}?{request.GET.urlencode()}")
    reader = reader_of(member)
    if not _places.acquire(blocking=False):
        return HttpResponse(
            "Other exports are running. Try again in a minute.",
            status=503,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": "60"},
        )
    export = _Export(export_batches(reader=reader, search=asked.search))
    try:
        count = export_begin(reader=reader, search=asked.search, actor=member.actor)
    except BaseException:
        export.close()
        raise
    answer = StreamingHttpResponse(
        export,
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="athos-calls.csv"',
            "X-Athos-Rows-At-Most": str(min(count, MOST)),
            "X-Athos-Rows-Cut": "1" if count > MOST else "0",
            "X-Accel-Buffering": "no",
        },
    )
    return cast(HttpResponse, answer)  # pages are declared to answer whole bodies


class _Export:
    """The parts of a file as they are asked for, made on threads of our own.

    Under ASGI Django would read a synchronous body to its end before the first byte is sent.
    """

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while (part := await loop.run_in_executor(_threads, self._next)) is not None:
            yield part

    def close(self) -> None:
        """Django calls it when the answer is sent, or nobody reads it any more."""
        if self._open:
            self._open = False
            _places.release()

    def _next(self) -> bytes | None:
        try:
            return next(self._parts, None)
        finally:
            connection.close()  # a slow reader keeps none


def reader_of(member: Member) -> Reader:
    """What the member may see, live or of the sandbox."""
    return Reader(member.tenant_id, member.membership.agencies, member.mode)


def row_of(call: Call) -> dict[str, object]:
    """A call for a table and for the head of its page."""
    stage, stage_name = presenting.stage_of(call)
    return {
        "call": call,
        "rep": call.rep.name or call.external_user_id,
        "agency": (call.agency and call.agency.name) or call.external_agency_id or "",
        "drill": call.drill.title,
        "stage": stage,
        "stage_name": stage_name,
        "length": presenting.length_of(call),
        "at": call.started_at or call.created_at,
    }


def _context(request: HttpRequest, asked: Asked, found: Found, problem: str) -> dict[str, Any]:
    query = urlencode(asked.search.query())
    older = {**asked.search.query(), "before": found.page.next_cursor}
    return {
        "rows": [
            row_of(call) | {"score": call.overall, "spoken": found.spoken.get(call.pk)}
            for call in found.page.calls
        ],
        "notes": found.notes,
        "problem": problem,
        "problems": asked.problems,
        "asked": _fields(request.GET, asked),
        "is_filtered": bool(query or asked.problems),
        "is_first": "before" not in request.GET,
        "newest": _address(asked),
        "older": f"{reverse('call-pages')}?{urlencode(older)}" if found.page.next_cursor else "",
        "export": f"{reverse('calls-export')}{'?' if query else ''}{query}",
        "export_most": MOST,
    }


def _fields(query: Mapping[str, str], asked: Asked) -> dict[str, str]:
    """What the form shows again, what could not be read included."""
    return asked.search.query() | {name: query.get(name, "")[:300] for name in asked.problems}


def _address(asked: Asked) -> str:
    query = urlencode(asked.search.query())
    return f"{reverse('call-pages')}?{query}" if query else reverse("call-pages")
