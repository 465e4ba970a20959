"""GET /media/v1/recordings/<sealed>: the sound of a call, for players that seek.

The link is the right. Files are read in pieces on a few threads of our own: under ASGI Django would
read a synchronous body to its end before the first byte is sent.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.core.files.storage import Storage
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from calls.history.detail import Recording, recording_of
from calls.history.recording_links import LinkRefused, recording_link_read
from calls.views.byte_ranges import ByteRange, NotSatisfiable, byte_range
from tenants.api import ApiView
from tenants.errors import AthosError

CHUNK = 64 * 1024  # bytes
# Daphne keeps in memory what a slow reader has not fetched. Players ask for "all from here" and
# then read as slowly as they play, so they get the next minutes and come again.
OPEN_RANGE = 4 * 1024 * 1024  # bytes
_threads = ThreadPoolExecutor(8, thread_name_prefix="recordings")
Result = TypeVar("Result")


class RecordingNotFound(AthosError):
    """A broken link, one that is too old, and a recording that is gone look the same."""

    code, status, message = "NOT_FOUND", 404, "This link is not valid any more."


class RecordingApi(ApiView):
    """The recording behind a link: whole, in ranges, or only its headers."""

    http_method_names = ["get", "head"]
    authentication_classes = []

    def get(self, request: Request, sealed: str) -> HttpResponseBase:
        recording = _recording(sealed)
        tag = _entity_tag(recording)
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-store",
            "Content-Disposition": "inline",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "ETag": tag,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
        }
        if tag in request.headers.get("If-None-Match", ""):
            return HttpResponse(status=304, headers=headers)
        try:
            wanted = _wanted(request, recording.size, tag)
        except NotSatisfiable:
            headers["Content-Range"] = f"bytes */{recording.size}"
            return HttpResponse(status=416, headers=headers, content_type=recording.content_type)
        return _answer(request, recording, wanted, headers)


def _recording(sealed: str) -> Recording:
    try:
        tenant_id, call_id = recording_link_read(sealed)
    except LinkRefused as refused:
        raise RecordingNotFound from refused
    recording = recording_of(tenant_id=tenant_id, call_id=call_id)
    if recording is None or not recording.storage.exists(recording.name):
        raise RecordingNotFound
    return recording


def _wanted(request: Request, size: int, tag: str) -> ByteRange | None:
    """The range asked for, unless the asker has another version of the file."""
    if request.headers.get("If-Range", tag) != tag:
        return None
    return byte_range(request.headers.get("Range", ""), size=size, most=OPEN_RANGE)


def _answer(
    request: Request, recording: Recording, wanted: ByteRange | None, headers: dict[str, str]
) -> HttpResponseBase:
    span = wanted or ByteRange(0, recording.size - 1)
    headers["Content-Length"] = str(span.length)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{recording.size}"
    status = 200 if wanted is None else 206
    kind = recording.content_type
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=kind)
    body = _pieces(recording.storage, recording.name, span)
    return StreamingHttpResponse(body, status=status, headers=headers, content_type=kind)


async def _pieces(storage: Storage, name: str, span: ByteRange) -> AsyncIterator[bytes]:
    """The bytes of the range. Nothing is held but one piece, however slow the reader is."""
    file = await _in_thread(lambda: storage.open(name, "rb"))
    left = span.length
    try:
        await _in_thread(lambda: file.seek(span.first))
        while left > 0:
            size = min(CHUNK, left)
            piece: bytes = await _in_thread(lambda size=size: file.read(size))  # type: ignore[misc]
            if not piece:
                raise OSError("The recording is shorter than its row says.")
            left -= len(piece)
            yield piece
    finally:
        file.close()


async def _in_thread(work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(_threads, work)


def _entity_tag(recording: Recording) -> str:
    """Files are written once, so name and size say which one it is."""
    which = hashlib.sha256(f"{recording.name}:{recording.size}".encode()).hexdigest()
    return f'"{which[:32]}"'
