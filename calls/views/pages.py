"""The dashboard's pages of calls."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from calls.history.detail import CallNotFound, call_get
from calls.history.latency import call_latency
from calls.views import presenting
from calls.views.lists import reader_of, row_of
from tenants.members import Member, for_members
from webhooks.selectors import deliveries_of


@require_safe
@for_members()
def call_page(request: HttpRequest, member: Member, call_id: str) -> HttpResponse:
    """GET /calls/<public id>"""
    reader = reader_of(member)
    try:
        record = call_get(reader=reader, public_id=call_id)
    except CallNotFound as missing:
        raise Http404 from missing
    call = record.call
    latency = call_latency(reader=reader, call_id=call.pk)
    context = {
        "member": member,
        "row": row_of(call),
        "failure": presenting.failure_of(call),
        "ending": presenting.ENDINGS.get(call.end_reason, ""),
        "result": presenting.result_of(record, rep_name=call.rep.name or call.external_user_id),
        "latency": presenting.latency_figures_of(latency),
        "versions": (record.score or {}).get("versions"),
        "deliveries": deliveries_of(tenant=member.tenant_id, subject_id=call.pk),
    }
    return render(request, "calls/detail.html", context)
