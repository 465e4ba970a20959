"""The browser SDK as we serve it: an ES module for script tags, a tarball for installing, hashes.

All are public files that pages of any origin may load; `npm run build` makes them. Hashes are of
the names with a version, which a page may pin; the plain name changes with each release.
"""

import hashlib
import re
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

FOLDER: Path = settings.BASE_DIR / "static" / "built" / "sdk"
NAMES = re.compile(r"useathos-sdk\.js|useathos-sdk-\d+\.\d+\.\d+\.(js|tgz)|integrity\.json")
CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".tgz": "application/gzip",
    ".json": "application/json",
}
MAX_AGE = 300  # seconds that a browser may keep a copy without asking


def _etag(request: HttpRequest, name: str) -> str | None:
    file = FOLDER / name
    if not NAMES.fullmatch(name) or not file.is_file():
        return None
    return f'"{hashlib.sha256(file.read_bytes()).hexdigest()[:32]}"'


@require_safe
@condition(etag_func=_etag)
def sdk_file(request: HttpRequest, name: str) -> HttpResponse:
    """GET /sdk/useathos-sdk.js, /sdk/useathos-sdk-<version>.js or .tgz, /sdk/integrity.json"""
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
