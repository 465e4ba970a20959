"""Addresses of the conversation."""

from django.urls import URLPattern, URLResolver, path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from calls import api
from calls.consumers import SignallingConsumer
from calls.erasure.api import ErasureApi, RepEraseApi, RetentionApi
from calls.history.recording_links import PATH
from calls.sandbox.api import SandboxCallApi
from calls.usage.api import UsageApi
from calls.views import (
    agency_settings,
    assignments,
    demo_month,
    developers,
    embed,
    home,
    lists,
    practice_setting,
    rep_import,
    reps,
    reviews,
    settings_pages,
)
from calls.views.recordings import RecordingApi

API = "api/external/v1/"

urlpatterns: list[URLPattern | URLResolver] = [
    path(API + "session", api.SessionMintApi.as_view(), name="session-mint"),
    path(API + "roleplay/session", api.SessionRedeemApi.as_view(), name="session-redeem"),
    path(API + "sandbox/calls", SandboxCallApi.as_view(), name="sandbox-call"),
    path(API + "calls", api.CallListApi.as_view(), name="call-list"),
    path(API + "calls/<str:call_id>", api.CallDetailApi.as_view(), name="call-detail"),
    path(API + "calls/<str:call_id>/status", api.CallStatusApi.as_view(), name="call-status"),
    # names of reps are free texts: they may hold a slash
    path(API + "reps/<path:external_user_id>", RepEraseApi.as_view(), name="rep-erase"),
    path(API + "erasures/<str:erasure_id>", ErasureApi.as_view(), name="erasure"),
    path(API + "retention", RetentionApi.as_view(), name="retention"),
    path(API + "usage", UsageApi.as_view(), name="usage"),
    path("embed/roleplay", embed.embed_roleplay, name="embed-roleplay"),
    path("embed/v1/assignments", embed.EmbedAssignmentsApi.as_view(), name="embed-assignments"),
    path("embed/v1/call", embed.EmbedCallApi.as_view(), name="embed-call"),
    path("embed/v1/call/consent", embed.EmbedConsentApi.as_view(), name="embed-consent"),
    path("embed/v1/call/dispute", embed.EmbedDisputeApi.as_view(), name="embed-dispute"),
    path("embed/v1/call/scorecard", embed.EmbedScorecard.as_view(), name="embed-scorecard"),
    path(PATH + "<str:sealed>", RecordingApi.as_view(), name="recording"),
    path("", home.home, name="home"),
    path("first-steps", home.first_steps_card, name="first-steps"),
    path("first-steps/hide", home.first_steps_hide, name="first-steps-hide"),
    path("demo-month", demo_month.demo_month_card, name="demo-month"),
    path("demo-month/fill", demo_month.demo_month_fill, name="demo-month-fill"),
    path("demo-month/clear", demo_month.demo_month_clear, name="demo-month-clear"),
    path("calls", lists.call_pages, name="call-pages"),
    path("calls/export.csv", lists.calls_export, name="calls-export"),
    path("developers/quickstart", developers.quickstart_page, name="quickstart-page"),
    path("developers/quickstart/steps", developers.quickstart_steps, name="quickstart-steps"),
    path("developers/quickstart/key", developers.quickstart_key, name="quickstart-key"),
    path("developers/usage", developers.usage_page, name="usage-page"),
    path("developers/usage.csv", developers.usage_csv, name="usage-csv"),
    path("developers/embedding", developers.embedding_page, name="embedding-page"),
    path("developers/embedding/add", developers.web_site_add_page, name="web-site-add"),
    path("developers/embedding/remove", developers.web_site_remove_page, name="web-site-remove"),
    path("embedding", require_safe(RedirectView.as_view(pattern_name="embedding-page"))),
    path("reps", reps.rep_pages, name="rep-pages"),
    path("reps/import", rep_import.rep_import, name="rep-import"),
    path("reps/import/template.csv", rep_import.rep_import_template, name="rep-import-template"),
    path("reps/<str:rep_id>", reps.rep_page, name="rep-page"),
    path("reps/<str:rep_id>/edit", reps.rep_edit, name="rep-edit"),
    path("settings/agencies", agency_settings.agency_settings_page, name="agency-settings"),
    path("settings/practice", practice_setting.practice_page, name="practice-page"),
    path("assignments", assignments.assignment_pages, name="assignment-pages"),
    path("assignments/add", assignments.assignment_add, name="assignment-add"),
    path("assignments/<str:assignment_id>", assignments.assignment_page, name="assignment-page"),
    path(
        "assignments/<str:assignment_id>/cancel",
        assignments.assignment_cancel_page,
        name="assignment-cancel",
    ),
    path("reminders/stop/<str:stop>", assignments.reminders_stop_page, name="reminders-stop"),
    path("agencies", reps.agency_pages, name="agency-pages"),
    path("agencies/<str:agency_id>", reps.agency_page, name="agency-page"),
    path("agencies/<str:agency_id>/edit", reps.agency_edit, name="agency-edit"),
    path("settings/retention", settings_pages.retention_page, name="retention-page"),
    path("settings/retention/days", settings_pages.retention_change, name="retention-change"),
    path("settings/retention/consent", settings_pages.consent_publish, name="consent-publish"),
    path("settings/allowance", settings_pages.allowance_page, name="allowance-page"),
    path("settings/models", settings_pages.models_page, name="models-page"),
    path("calls/<str:call_id>", reviews.call_page, name="call-page"),
    path("calls/<str:call_id>/review", reviews.call_review, name="call-review"),
    path("calls/<str:call_id>/delete", reviews.call_delete, name="call-delete"),
]
websocket_urlpatterns: list[URLPattern] = [path("live/v1", SignallingConsumer.as_asgi())]
