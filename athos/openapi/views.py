"""The document for machines, as YAML and JSON, and the reference page for people."""

import hashlib
import json
from functools import cache

from csp.constants import NONCE, SELF
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe
from drf_spectacular.renderers import OpenApiYamlRenderer
from rest_framework.request import Request

from athos.openapi.generating import document
from tenants.api import ApiView

MAX_AGE = 300  # seconds that anybody may keep a copy without asking


class DocumentApi(ApiView):
    """GET /openapi.yaml, GET /openapi.json: public, the same for everybody.

    No CORS, as nowhere but at redeem: tools import the document by address from a machine, or from
    a file.
    """

    authentication_classes = []
    content_type = ""

    def get(self, request: Request) -> HttpResponseBase:
        body, etag = rendered(self.content_type)
        headers = {"Cache-Control": f"public, max-age={MAX_AGE}", "ETag": etag}
        answer = HttpResponse(body, content_type=self.content_type, headers=headers)
        return get_conditional_response(request._request, etag=etag, response=answer) or answer


@cache
def rendered(content_type: str) -> tuple[bytes, str]:
    """The document's bytes and their ETag. It changes with the code and the settings only."""
    made = document()
    if content_type == "application/json":
        body = json.dumps(made, ensure_ascii=False, indent=2).encode()
    else:
        body = OpenApiYamlRenderer().render(made)  # type: ignore[no-untyped-call]
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


@require_safe
@csp_update({"style-src": [SELF, NONCE]})
def reference_page(request: HttpRequest) -> HttpResponse:
    """GET /reference. The renderer makes its style sheets while it runs, so they need the nonce."""
    return render(request, "reference.html")
