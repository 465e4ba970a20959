"""The docs at /docs: files that `make front` builds from docs/, with Sphinx."""

import hashlib
import mimetypes
from pathlib import Path

from csp.constants import SELF
from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.shortcuts import render
from django.views.decorators.http import condition, require_safe

FOLDER: Path = settings.BASE_DIR / "built" / "docs"
MAX_AGE = 300  # seconds that a browser may keep what is not a page without asking


def _file(path: str) -> Path | None:
    """The file at this address below /docs/, never one outside of FOLDER."""
    file = (FOLDER / path).resolve()
    if path.endswith("/") or not path:
        file /= "index.html"
    return file if file.is_relative_to(FOLDER.resolve()) and file.is_file() else None


def _etag(request: HttpRequest, path: str) -> str | None:
    file = _file(path)
    return f'"{hashlib.sha256(file.read_bytes()).hexdigest()[:32]}"' if file else None


@require_safe
@csp_replace({"script-src": [SELF]})  # type: ignore[arg-type]  # typed for views without arguments
@condition(etag_func=_etag)
def docs_file(request: HttpRequest, path: str) -> HttpResponse:
    """GET /docs/, /docs/quickstart/, /docs/_static/furo.css"""
    file = _file(path)
    if file is None:
        if _file(f"{path}/"):
            return HttpResponsePermanentRedirect(f"{request.path}/")
        return render(request, "docs_404.html", status=404)
    page = file.suffix == ".html"
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    caching = "no-cache" if page else f"public, max-age={MAX_AGE}"
    return HttpResponse(file.read_bytes(), content_type=kind, headers={"Cache-Control": caching})
