"""The browser SDK as we serve it: one ES module for script tags and the tarball for installing.

Both are public files that pages of any origin may load; `npm run build` makes them.
"""

import hashlib
import re
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

FOLDER: Path = settings.BASE_DIR / "static" / "built" / "sdk"
NAMES = re.compile(r"useathos-sdk\.js|useathos-sdk-\d+\.\d+\.\d+\.tgz")
CONTENT_TYPES = {".js": "text/javascript; charset=utf-8", ".tgz": "application/gzip"}
MAX_AGE = 300  # seconds that a browser may keep a copy without asking


def _etag(request: HttpRequest, name: str) -> str | None:
    file = FOLDER / name
    if not NAMES.fullmatch(name) or not file.is_file():
        return None
    return f'"{hashlib.sha256(file.read_bytes()).hexdigest()[:32]}"'


@require_safe
@condition(etag_func=_etag)
def sdk_file(request: HttpRequest, name: str) -> HttpResponse:
    """GET /sdk/useathos-sdk.js, GET /sdk/useathos-sdk-<version>.tgz"""
    file = FOLDER / name
    if not NAMES.fullmatch(name) or not file.is_file():
        raise Http404
    return HttpResponse(
        file.read_bytes(),
        content_type=CONTENT_TYPES[file.suffix],
        headers={
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Cache-Control": f"public, max-age={MAX_AGE}",
            "X-Content-Type-Options": "nosniff",
        },
    )
