"""The product's web process with one more address: a bare view to compare with.

python -m bench.keys_web --port 8000
"""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "athos.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from athos import urls  # noqa: E402
from calls.urls import API  # noqa: E402
from tenants.request_log import log  # noqa: E402

BARE = f"/{API}bare"
NO_LOG = "BENCH_NO_LOG"


class BareApi(APIView):
    """Nobody is asked who they are, and nothing is done."""

    def post(self, request: Request) -> Response:
        return Response({"token": "none", "expiresAt": "never"})


urls.urlpatterns.insert(0, path(BARE[1:], BareApi.as_view()))

if __name__ == "__main__":
    if os.environ.get(NO_LOG):
        log.start = lambda: None  # type: ignore[method-assign]
    call_command("web", *sys.argv[1:])
