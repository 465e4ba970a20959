"""All addresses. Apps own their own; here they get their place."""

from django.urls import include, path

from athos.health import healthz, readyz
from athos.sdk import sdk_file

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("sdk/<str:name>", sdk_file),
    path("", include("calls.urls")),
    path("", include("tenants.urls")),
]

handler400 = "athos.errors.bad_request"
handler403 = "athos.errors.permission_denied"
handler404 = "athos.errors.page_not_found"
handler500 = "athos.errors.server_error"
