"""All addresses. Apps own their own; here they get their place."""

from django.urls import include, path, re_path
from django.views.generic import RedirectView

from athos.docs_site import docs_file
from athos.health import healthz, readyz
from athos.openapi.views import DocumentApi, reference_page
from athos.sdk import sdk_file, sdk_integrity, webhooks_file, webhooks_integrity
from tenants.admin import site as operations

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("sdk/integrity.json", sdk_integrity),
    path("sdk/<str:name>", sdk_file),
    path("sdk/webhooks/integrity.json", webhooks_integrity),
    path("sdk/webhooks/<str:name>", webhooks_file),
    path(
        "api/external/v1/openapi.yaml",
        DocumentApi.as_view(content_type="application/yaml"),
        name="openapi-yaml",
    ),
    path(
        "api/external/v1/openapi.json",
        DocumentApi.as_view(content_type="application/json"),
        name="openapi-json",
    ),
    path("reference", reference_page, name="reference"),
    path("docs", RedirectView.as_view(url="/docs/", permanent=True)),
    re_path(r"^docs/(?P<path>[\w./-]{0,200})$", docs_file, name="docs"),
    path("", include("calls.urls")),
    path("", include("webhooks.urls")),
    path("", include("tenants.urls")),
    path("operations/", operations.urls),
]

handler400 = "athos.errors.bad_request"
handler403 = "athos.errors.permission_denied"
handler404 = "athos.errors.page_not_found"
handler500 = "athos.errors.server_error"
