"""The dashboard's pages of calls."""

from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from calls.history.detail import CallNotFound, call_get
from calls.history.latency import call_latency
from calls.history.listing import Reader, calls_recent, overall_scores
from calls.models import Call
from calls.services.embedding import site_find, site_key_make
from calls.views import presenting
from tenants.errors import InvalidRequest
from tenants.members import Member, for_members
from webhooks.selectors import deliveries_of

PAGE = 25  # calls


@require_safe
@for_members()
def call_pages(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /calls: the newest first, older ones by `before`."""
    try:
        page = calls_recent(
            reader=_reader(member), limit=PAGE, cursor=request.GET.get("before", "")
        )
    except InvalidRequest:
        return redirect("call-pages")
    scores = overall_scores(
        tenant_id=member.tenant_id, call_ids=[c.pk for c in page.calls if c.stage == c.Stage.SCORED]
    )
    context = {
        "member": member,
        "rows": [_row(call) | {"score": scores.get(call.pk)} for call in page.calls],
        "older": page.next_cursor,
        "is_first": "before" not in request.GET,
    }
    return render(request, "calls/list.html", context)


@require_safe
@for_members()
def call_page(request: HttpRequest, member: Member, call_id: str) -> HttpResponse:
    """GET /calls/<public id>"""
    reader = _reader(member)
    try:
        record = call_get(reader=reader, public_id=call_id)
    except CallNotFound as missing:
        raise Http404 from missing
    call = record.call
    latency = call_latency(reader=reader, call_id=call.pk)
    context = {
        "member": member,
        "row": _row(call),
        "failure": presenting.failure_of(call),
        "ending": presenting.ENDINGS.get(call.end_reason, ""),
        "result": presenting.result_of(record, rep_name=call.rep.name or call.external_user_id),
        "latency": presenting.latency_figures_of(latency),
        "versions": (record.score or {}).get("versions"),
        "deliveries": deliveries_of(tenant=member.tenant_id, subject_id=call.pk),
    }
    return render(request, "calls/detail.html", context)


@require_safe
@for_members()
def embedding_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /embedding: what goes into an integrator's page."""
    site_key = site_key_make(tenant_id=member.tenant_id)
    query = urlencode({"drill": "ma-full-sale", "site": site_key})
    context = {
        "member": member,
        "origins": site_find(site_key).origins,
        "address": f"{settings.PUBLIC_URL}{reverse('embed-roleplay')}?{query}",
    }
    return render(request, "calls/embedding.html", context)


def _reader(member: Member) -> Reader:
    return Reader(member.tenant_id, member.membership.agencies, member.mode)


def _row(call: Call) -> dict[str, object]:
    stage, stage_name = presenting.stage_of(call)
    return {
        "call": call,
        "rep": call.rep.name or call.external_user_id,
        "agency": (call.agency and call.agency.name) or call.external_agency_id or "",
        "drill": call.drill.title,
        "stage": stage,
        "stage_name": stage_name,
        "length": presenting.length_of(call),
        "at": call.started_at or call.created_at,
    }
