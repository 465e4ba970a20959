"""What a rep hears on their own page about what they were asked to practise."""

import uuid
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from calls.assignments.schedule import due_end
from calls.assignments.standing import Standing, State, standings_of
from calls.models import Assignee, Call, SessionToken
from tenants.errors import AthosError
from tenants.isolation import tenant_scope
from tenants.models import ApiKey

MOST = 5  # of one drill
OVER = timedelta(days=30)  # what is late for longer is told no more


class TokenOver(AthosError):
    code, status, message = "INVALID_TOKEN", 401, "The session token is not valid any more."


def assignments_of_token(*, tenant_id: uuid.UUID, jti: uuid.UUID, drill_key: str) -> list[Standing]:
    """What is open for the rep of an unspent session token; the token stays unspent.

    Raises TokenOver.
    """
    with tenant_scope(tenant_id):
        tokens = SessionToken.objects.for_tenant(tenant_id)
        token = tokens.filter(jti=jti, consumed_at=None, expires_at__gt=Now()).first()
        if token is None:
            raise TokenOver
        if token.mode != ApiKey.Mode.LIVE:
            return []
        found = _newest(tenant_id, token.external_user_id, drill_key)
    return [s for s in found if s.state in {State.OPEN, State.TRIED, State.LATE}]


def assignments_of_call(call: Call) -> list[Standing]:
    """Those that this call counts for, as they stand with it."""
    counts = call.mode == ApiKey.Mode.LIVE and not call.private and call.ended_at is not None
    if not counts:
        return []
    with tenant_scope(call.tenant_id):
        found = _newest(call.tenant_id, call.external_user_id, call.drill_key)
    return [
        s
        for s in found
        if call.ended_at
        and s.assignment.created_at <= call.ended_at
        and (s.passed_at is None or s.passed_at >= call.ended_at)
    ]


def assignment_for_rep(standing: Standing) -> dict[str, Any]:
    """As the rep's page gets it."""
    assignment = standing.assignment
    return {
        "dueOn": assignment.due_on.isoformat(),
        "passMark": assignment.pass_mark,
        "focus": assignment.focus,
        "note": assignment.note,
        "best": standing.best,
        "state": standing.state.value,
    }


def _newest(tenant_id: uuid.UUID, external_user_id: str, drill_key: str) -> list[Standing]:
    rows = Assignee.objects.for_tenant(tenant_id).filter(
        rep__external_id=external_user_id,
        assignment__drill_key=drill_key,
        assignment__cancelled_at=None,
        assignment__due_on__gte=Now() - OVER,
    )
    newest = rows.order_by("-assignment__created_at").values_list("pk", flat=True)[:MOST]
    standings = standings_of(Assignee.objects.for_tenant(tenant_id).filter(pk__in=list(newest)))
    return sorted(standings, key=lambda standing: due_end(standing.assignment.due_on))
