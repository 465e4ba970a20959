"""GET /usage: what a month of calls comes to."""

from collections.abc import Mapping

from rest_framework.request import Request
from rest_framework.response import Response

from calls.history.listing import Reader
from calls.usage.counting import MOST_AGENCIES, Tally, Usage, usage_of
from tenants.api import ApiView, timestamp
from tenants.auth import caller_of
from tenants.errors import InvalidRequest


class UsageApi(ApiView):
    """GET /usage"""

    required_scope = "calls:read"

    def get(self, request: Request) -> Response:
        caller = caller_of(request)
        query = request.query_params
        by = query.get("by")
        if by not in (None, "agency"):
            raise InvalidRequest("by must be agency.", details={"field": "by"})
        usage = usage_of(
            tenant=caller.tenant,
            reader=Reader(caller.tenant.pk, caller.agencies, caller.mode),
            month=query.get("month"),
        )
        listed = {"agencies": _agencies(usage.agencies)} if by else {}
        return Response(_month(usage) | listed)


def _month(usage: Usage) -> dict[str, object]:
    return {
        "month": str(usage.month),
        "from": timestamp(usage.month.begin),
        "before": timestamp(usage.month.end),
        "minutesAllowed": usage.minutes_allowed,
        **_tally(usage.total),
    }


def _agencies(tallies: Mapping[str | None, Tally]) -> list[dict[str, object]]:
    """The agencies with the most minutes first."""
    ordered = sorted(tallies.items(), key=lambda item: (-item[1].seconds, item[0] or ""))
    return [{"externalAgencyId": name, **_tally(tally)} for name, tally in ordered[:MOST_AGENCIES]]


def _tally(tally: Tally) -> dict[str, object]:
    return {
        "minutesUsed": _minutes(tally.seconds),
        "billableMinutes": _minutes(tally.billable_seconds),
        "calls": tally.calls,
        "scoredCalls": tally.scored,
    }


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 2)
