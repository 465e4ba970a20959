"""What integrators install from us: the browser SDK, and the packages that verify webhooks.

All are public files that pages of any origin may load; `make front` makes them. Hashes are of
the names with a version, which a page may pin; the plain name changes with each release.

What an installation has once offered under a version it offers for ever: `manage.py install` keeps
a copy, so that an upgrade breaks no lock file and no pinned page. docs/decisions/0023-old-sdks.md
"""

import base64
import hashlib
import json
import re
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import condition, require_safe

FOLDER: Path = settings.BASE_DIR / "static" / "built" / "sdk"
WEBHOOKS_FOLDER: Path = settings.BASE_DIR / "static" / "built" / "webhooks"
NAMES = re.compile(r"useathos-sdk\.js|useathos-sdk-\d+\.\d+\.\d+\.(js|tgz)")
VERSIONED = "useathos-sdk-*.*"
WEBHOOKS_NAMES = re.compile(
    r"useathos-webhooks-\d+\.\d+\.\d+\.tgz|useathos_webhooks-\d+\.\d+\.\d+-py3-none-any\.whl"
)
CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".tgz": "application/gzip",
    ".whl": "application/zip",
    ".json": "application/json",
}
MAX_AGE = 300  # seconds that a browser may keep a copy without asking


def sdk_keep() -> list[str]:
    """Copy what is offered under a version to where upgrades leave it. Running twice is harmless.

    Returns the names that were offered with other content before: whoever pinned their hash is
    refused by npm or the browser now.
    """
    kept = Path(settings.SDK_RELEASES_DIR)
    kept.mkdir(parents=True, exist_ok=True)
    changed = []
    for file in sorted(FOLDER.glob(VERSIONED)):
        if not NAMES.fullmatch(file.name):
            continue
        copy, content = kept / file.name, file.read_bytes()
        if copy.is_file() and copy.read_bytes() != content:
            changed.append(file.name)
        partial = copy.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(copy)
    return changed


def _sdk(name: str) -> Path | None:
    if not NAMES.fullmatch(name):
        return None
    files = (FOLDER / name, Path(settings.SDK_RELEASES_DIR) / name)
    return next((file for file in files if file.is_file()), None)


def _webhooks(name: str) -> Path | None:
    file = WEBHOOKS_FOLDER / name
    return file if WEBHOOKS_NAMES.fullmatch(name) and file.is_file() else None


def _etag(file: Path | None) -> str | None:
    return f'"{hashlib.sha256(file.read_bytes()).hexdigest()[:32]}"' if file else None


@require_safe
@condition(etag_func=lambda request, name: _etag(_sdk(name)))
def sdk_file(request: HttpRequest, name: str) -> HttpResponse:
    """GET /sdk/useathos-sdk.js, /sdk/useathos-sdk-<version>.js or .tgz"""
    return _served(_sdk(name))


@require_safe
def sdk_integrity(request: HttpRequest) -> HttpResponse:
    """GET /sdk/integrity.json: hashes of the present version, and of those before it."""
    file = FOLDER / "integrity.json"
    if not file.is_file():
        raise Http404
    body = json.loads(file.read_bytes())
    kept = sorted(Path(settings.SDK_RELEASES_DIR).glob(VERSIONED))
    old = [one for one in kept if NAMES.fullmatch(one.name) and one.name not in body["integrity"]]
    body["earlier"] = {one.name: _integrity(one.read_bytes()) for one in old}
    return JsonResponse(body, headers=_headers())


@require_safe
@condition(etag_func=lambda request, name: _etag(_webhooks(name)))
def webhooks_file(request: HttpRequest, name: str) -> HttpResponse:
    """GET /sdk/webhooks/useathos-webhooks-<version>.tgz, …/useathos_webhooks-<version>-….whl"""
    return _served(_webhooks(name))


@require_safe
def webhooks_integrity(request: HttpRequest) -> JsonResponse:
    """GET /sdk/webhooks/integrity.json: hashes as npm writes them, and as pip's URLs want them."""
    files = sorted(WEBHOOKS_FOLDER.glob("useathos*"))
    found = {file.name: file.read_bytes() for file in files if _webhooks(file.name)}
    return JsonResponse(
        {
            "integrity": {name: _integrity(content) for name, content in found.items()},
            "sha256": {name: hashlib.sha256(c).hexdigest() for name, c in found.items()},
        },
        headers={"Cache-Control": f"public, max-age={MAX_AGE}"},  # for servers: no CORS
    )


def _integrity(content: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def _served(file: Path | None) -> HttpResponse:
    if file is None:
        raise Http404
    content_type = CONTENT_TYPES[file.suffix]
    return HttpResponse(file.read_bytes(), content_type=content_type, headers=_headers())


def _headers() -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": f"public, max-age={MAX_AGE}",
        "X-Content-Type-Options": "nosniff",
    }
