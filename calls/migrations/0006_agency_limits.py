"""Who is limited to some of a tenant's agencies is so in the database too."""

from django.db import migrations

from tenants import row_security as rows

_SEES = [
    # a rep may have moved: the agencies in which it practised still know it
    rows.visible_function(
        "app_sees_rep",
        "rep uuid, agency uuid",
        "agency = ANY (public.app_agencies())"
        " OR EXISTS (SELECT FROM public.calls_call AS seen WHERE seen.rep_id = rep)",
    ),
    rows.visible_function(
        "app_sees_agency_named",
        "agency_name text",
        "EXISTS (SELECT FROM public.tenants_agency AS seen WHERE seen.external_id = agency_name)",
    ),
    *(
        rows.visible_function(
            f"app_sees_{name}",
            "row_id uuid",
            f"EXISTS (SELECT FROM public.{table} AS seen WHERE seen.id = row_id)",
        )
        for name, table in (
            ("call", "calls_call"),
            ("scorecard", "scoring_scorecard"),
            ("event", "webhooks_event"),
            ("delivery", "webhooks_delivery"),
        )
    ),
]
_OF_A_CALL = (
    "calls_turn",
    "calls_recordingpart",
    "calls_heardchunk",
    "calls_transcriptline",
    "calls_recording",
    "scoring_scorecard",
)


class Migration(migrations.Migration):
    dependencies = [
        ("calls", "0005_call_lists"),
        ("scoring", "0001_initial"),
        ("tenants", "0001_initial"),
        ("webhooks", "0001_endpoints_events_deliveries"),
    ]

    operations = [
        rows.create_app_agencies(),
        *_SEES,
        rows.limit_to_agencies("tenants_agency", rows.agency_column("id")),
        rows.limit_to_agencies("tenants_rep", "app_sees_rep(id, agency_id)"),
        rows.limit_to_agencies("calls_call", rows.agency_column("agency_id")),
        rows.limit_to_agencies(
            "calls_sessiontoken", "app_sees_agency_named(external_agency_id::text)"
        ),
        *(rows.limit_to_agencies(table, "app_sees_call(call_id)") for table in _OF_A_CALL),
        rows.limit_to_agencies("scoring_verdict", "app_sees_scorecard(scorecard_id)"),
        # an event about anything but a call is nobody's who is limited
        rows.limit_to_agencies("webhooks_event", "app_sees_call(subject_id)"),
        rows.limit_to_agencies("webhooks_delivery", "app_sees_event(event_id)"),
        rows.limit_to_agencies("webhooks_attempt", "app_sees_delivery(delivery_id)"),
    ]
