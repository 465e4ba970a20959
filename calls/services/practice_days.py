"""Sums of what was practised, by day, agency and drill, and where each rep stands.

Whoever changes what a call counts for marks it (`practice_mark`) in the same transaction. The
worker then counts that day of that agency again, whole: twice does no harm, and a sum can't drift.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Now

from calls.models import Call, PracticeCheck, PracticeDay, PracticeTotal, RepStanding
from tenants.isolation import tenant_scope
from tenants.models import Rep
from work.claims import Claim

SETTLES_IN = timedelta(seconds=2)  # calls that are scored together are counted once
LATELY, SHOWN = 3, 8  # scores

# An override's answer stands in for the judge's; its empty answer gives the check back.
_CHECKS = """
    INSERT INTO calls_practicecheck (
        id, tenant_id, practice_day_id, mode, day, agency_id, drill_key, check_key, title,
        asked, met, partly
    )
    SELECT gen_random_uuid(), %(tenant)s, %(id)s, %(mode)s, %(day)s, %(agency)s, %(drill)s,
        told.check_key, max(told.title), count(*),
        count(*) FILTER (WHERE told.answer = 'yes'), count(*) FILTER (WHERE told.answer = 'partial')
    FROM calls_call AS held
    CROSS JOIN LATERAL (
        SELECT id FROM scoring_scorecard
        WHERE tenant_id = %(tenant)s AND call_id = held.id ORDER BY version DESC LIMIT 1
    ) AS card
    CROSS JOIN LATERAL (
        SELECT verdict.check_key, verdict.title,
            coalesce(nullif(changed.answer, ''), verdict.answer) AS answer,
            verdict.verified OR coalesce(changed.answer, '') <> '' AS counts
        FROM scoring_verdict AS verdict
        LEFT JOIN LATERAL (
            SELECT answer FROM scoring_override
            WHERE scorecard_id = card.id AND check_key = verdict.check_key
            ORDER BY number DESC LIMIT 1
        ) AS changed ON true
        WHERE verdict.tenant_id = %(tenant)s AND verdict.scorecard_id = card.id
    ) AS told
    WHERE held.tenant_id = %(tenant)s AND held.mode = %(mode)s AND held.started_at IS NOT NULL
        AND held.ended_at >= %(begin)s AND held.ended_at < %(end)s
        AND held.agency_id IS NOT DISTINCT FROM %(agency)s AND held.drill_key = %(drill)s
        AND held.stage = 'scored' AND held.overall IS NOT NULL
        AND told.counts AND told.answer <> 'not_applicable'
    GROUP BY told.check_key
"""
# One of these at a time for a day and a drill: who comes later sees what the other has counted.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_TOTALS = """
    INSERT INTO calls_practicetotal (
        id, tenant_id, mode, day, drill_key, check_key, asked, met, partly
    )
    SELECT gen_random_uuid(), tenant_id, mode, day, drill_key, check_key, sum(asked), sum(met),
        sum(partly)
    FROM calls_practicecheck
    WHERE tenant_id = %(tenant)s AND mode = %(mode)s AND day = %(day)s AND drill_key = %(drill)s
    GROUP BY tenant_id, mode, day, drill_key, check_key
"""
_DAYS = """
    INSERT INTO calls_practiceday (
        id, tenant_id, mode, day, agency_id, drill_key, calls, seconds, scored, score_sum,
        due_at, tries, failures, last_error
    )
    SELECT gen_random_uuid(), %(tenant)s, mode, (ended_at AT TIME ZONE 'UTC')::date, agency_id,
        drill_key, 0, 0, 0, 0, statement_timestamp(), 0, 0, ''
    FROM calls_call
    WHERE tenant_id = %(tenant)s AND started_at IS NOT NULL AND ended_at IS NOT NULL
    GROUP BY mode, (ended_at AT TIME ZONE 'UTC')::date, agency_id, drill_key
    ON CONFLICT DO NOTHING
"""
_STANDINGS = """
    INSERT INTO calls_repstanding (
        id, tenant_id, mode, rep_id, agency_id, last_at, scores, lately, before
    )
    SELECT gen_random_uuid(), %(tenant)s, mode, rep_id, agency_id, max(ended_at),
        array_agg(overall ORDER BY place),
        CASE WHEN count(*) >= 3 THEN avg(overall) FILTER (WHERE place <= 3) END,
        CASE WHEN count(*) >= 6 THEN avg(overall) FILTER (WHERE place > 3) END
    FROM (
        SELECT mode, rep_id, agency_id, ended_at, overall, row_number() OVER (
            PARTITION BY mode, rep_id, agency_id ORDER BY ended_at DESC, id DESC
        ) AS place
        FROM calls_call
        WHERE tenant_id = %(tenant)s AND stage = 'scored' AND overall IS NOT NULL
    ) AS ranked
    WHERE place <= 8
    GROUP BY mode, rep_id, agency_id
"""


def practice_mark(call: Call) -> None:
    """What the call counts for changed, or it goes. In its transaction and its tenant's scope."""
    if call.started_at is None or call.ended_at is None:
        return
    PracticeDay.objects.bulk_create(
        [
            PracticeDay(
                tenant_id=call.tenant_id,
                mode=call.mode,
                day=call.ended_at.astimezone(UTC).date(),
                agency_id=call.agency_id,
                drill_key=call.drill_key,
                due_at=Now() + SETTLES_IN,
            )
        ],
        update_conflicts=True,
        unique_fields=["tenant", "mode", "day", "agency", "drill_key"],
        update_fields=["due_at"],
    )
    _standing_count(call)


def practice_day_count(claim: Claim[PracticeDay]) -> None:
    """The work `practice`: count the day again. Who marks it meanwhile waits for us."""
    with claim.finish() as day:
        begin = datetime.combine(day.day, time(), UTC)
        end = begin + timedelta(days=1)
        seconds = Sum(F("ended_at") - F("started_at"))
        counts = Q(stage=Call.Stage.SCORED, overall__isnull=False)
        found = (
            Call.objects.for_tenant(day.tenant_id)
            .filter(_of_agency(day.agency_id), mode=day.mode, drill_key=day.drill_key)
            .filter(started_at__isnull=False, ended_at__gte=begin, ended_at__lt=end)
            .aggregate(
                calls=Count("pk"),
                length=seconds,
                scored=Count("pk", filter=counts),
                points=Sum("overall", filter=counts),
            )
        )
        day.calls, day.scored = found["calls"], found["scored"]
        day.seconds = round((found["length"] or timedelta()).total_seconds())
        day.score_sum, day.due_at = found["points"] or 0, None
        day.save(update_fields=["calls", "seconds", "scored", "score_sum", "due_at"])
        _checks_count(day, begin, end)


def practice_recount(*, tenant_id: uuid.UUID) -> int:
    """Mark all days of the tenant, and count all standings anew; the number of days."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(_DAYS, {"tenant": tenant_id})
        RepStanding.objects.for_tenant(tenant_id).delete()
        cursor.execute(_STANDINGS, {"tenant": tenant_id})
        return PracticeDay.objects.for_tenant(tenant_id).update(due_at=Now())


def _checks_count(day: PracticeDay, begin: datetime, end: datetime) -> None:
    PracticeCheck.objects.filter(practice_day=day).delete()
    values: dict[str, Any] = {
        "tenant": day.tenant_id,
        "id": day.pk,
        "mode": day.mode,
        "day": day.day,
        "agency": day.agency_id,
        "drill": day.drill_key,
        "begin": begin,
        "end": end,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CHECKS, values)
        same = f"practice {day.tenant_id} {day.mode} {day.day} {day.drill_key}"
        cursor.execute(_ONE_AT_A_TIME, [same])
        PracticeTotal.objects.for_tenant(day.tenant_id).filter(
            mode=day.mode, day=day.day, drill_key=day.drill_key
        ).delete()
        cursor.execute(_TOTALS, values)


def _standing_count(call: Call) -> None:
    """By the rep's newest scores in the call's agency; one at a time for each rep."""
    Rep.objects.select_for_update(no_key=True).filter(pk=call.rep_id).first()
    newest = (
        Call.objects.for_tenant(call.tenant_id)
        .filter(_of_agency(call.agency_id), mode=call.mode, external_user_id=call.external_user_id)
        .filter(stage=Call.Stage.SCORED, overall__isnull=False)
        .order_by("-ended_at", "-pk")
        .values_list("overall", "ended_at")[:SHOWN]
    )
    found = list(newest)
    mine = RepStanding.objects.for_tenant(call.tenant_id).filter(
        _of_agency(call.agency_id), mode=call.mode, rep_id=call.rep_id
    )
    if not found:
        mine.delete()
        return
    scores = [score for score, _ in found if score is not None]
    columns = {
        "scores": scores,
        "last_at": found[0][1],
        "lately": _mean(scores[:LATELY], at_least=LATELY),
        "before": _mean(scores[LATELY:], at_least=LATELY),
    }
    if not mine.update(**columns):
        RepStanding.objects.create(
            tenant_id=call.tenant_id,
            mode=call.mode,
            rep_id=call.rep_id,
            agency_id=call.agency_id,
            **columns,
        )


def _of_agency(agency_id: uuid.UUID | None) -> Q:
    return Q(agency_id=agency_id) if agency_id else Q(agency__isnull=True)


def _mean(scores: Sequence[int], *, at_least: int) -> float | None:
    return sum(scores) / len(scores) if len(scores) >= at_least else None
