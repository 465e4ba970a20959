"""Writing attempts down, and what becomes of their deliveries and endpoints. No network.

Attempts of one tenant that end at about the same time are written in one transaction: a transaction
for each would take longer than the sending.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q

from webhooks.health import Attempted, Health, Standing, health_after, standing
from webhooks.models import Attempt, Delivery, Endpoint, EndpointNotice, Rehearsal
from webhooks.notices import notice_create
from webhooks.outcomes import Outcome
from webhooks.rehearsals import SECOND_WAIT, SIMULATED_FAILURE, SIMULATED_TIMEOUT, wait_pretended
from webhooks.retry import Verdict, verdict, wait_after
from webhooks.sending import SECRET_UNREADABLE
from webhooks.services import endpoint_disable
from work.claims import Claim, LeaseLost, finish_together

# Failures that say nothing about the receiver.
NOT_THEIRS = frozenset({SIMULATED_FAILURE, SIMULATED_TIMEOUT, SECRET_UNREADABLE})


@dataclass(frozen=True, slots=True)
class Ended:
    """A claimed delivery that is through; without an outcome its endpoint was disabled.

    `chance` in [0, 1) spreads the next try.
    """

    claim: Claim[Delivery]
    outcome: Outcome | None
    chance: float = 0.5


def attempts_record(ended: Sequence[Ended]) -> list[Delivery]:
    """Write down what came of deliveries of one tenant, all together or none.

    Gives those that were still ours; for the others somebody else writes.
    """
    by_claim = {each.claim.token: each for each in ended}
    with finish_together([each.claim for each in ended]) as pairs:
        mine = [(by_claim[claim.token], delivery) for claim, delivery in pairs]
        tried = [(each.outcome, delivery) for each, delivery in mine if each.outcome is not None]
        _attempts_create(tried)
        _deliveries_update([_judge(each, delivery) for each, delivery in mine])
        _endpoints_update(tried)
    return [delivery for _, delivery in mine]


def attempt_record(*, claim: Claim[Delivery], outcome: Outcome, chance: float) -> Delivery:
    """The same for one. Raises LeaseLost, writing nothing."""
    written = attempts_record([Ended(claim, outcome, chance)])
    if not written:
        raise LeaseLost
    return written[0]


# --- attempts and deliveries ---------------------------------------------------------------------


def _attempts_create(tried: Iterable[tuple[Outcome, Delivery]]) -> None:
    tried = list(tried)
    made = dict(
        Attempt.objects.filter(delivery__in=[delivery for _, delivery in tried])
        .order_by()
        .values_list("delivery")
        .annotate(number=Count("pk"))
    )
    Attempt.objects.bulk_create(
        Attempt(
            tenant_id=delivery.tenant_id,
            delivery=delivery,
            number=made.get(delivery.pk, 0) + 1,
            started_at=outcome.started_at,
            lookup_ms=outcome.lookup_ms,
            connect_ms=outcome.connect_ms,
            answer_ms=outcome.answer_ms,
            total_ms=outcome.total_ms,
            status=outcome.status,
            error=outcome.error,
            response_body=outcome.response_body,
            request_headers=outcome.request_headers,
        )
        for outcome, delivery in tried
    )


@dataclass(frozen=True, slots=True)
class _Change:
    """New values of a delivery's row. `wait` in seconds until the next try; None: it has ended."""

    id: UUID
    state: str
    wait: float | None
    rehearsal: str
    attempt_count: int
    last_status: int | None
    last_failure: str


def _judge(ended: Ended, delivery: Delivery) -> _Change:
    """Decide what becomes of it, and say so on the delivery, for the log."""
    outcome = ended.outcome
    if outcome is None:
        delivery.state, wait = Delivery.State.ABANDONED, None
    else:
        delivery.attempt_count += 1  # of this round; a replay begins a new one
        delivery.last_status, delivery.last_failure = outcome.status, outcome.error
        delivery.state, wait = _next(delivery, outcome, ended.chance)
        if delivery.rehearsal == Rehearsal.TWICE and not outcome.error:
            delivery.rehearsal = Rehearsal.NORMAL  # the repetition is the end
    return _Change(
        delivery.pk,
        delivery.state,
        wait,
        delivery.rehearsal,
        delivery.attempt_count,
        delivery.last_status,
        delivery.last_failure,
    )


def _next(delivery: Delivery, outcome: Outcome, chance: float) -> tuple[str, float | None]:
    number = delivery.attempt_count
    match verdict(attempt=number, status=outcome.status):
        case Verdict.DELIVERED if delivery.rehearsal == Rehearsal.TWICE:
            return Delivery.State.PENDING, SECOND_WAIT
        case Verdict.DELIVERED:
            return Delivery.State.DELIVERED, None
        case Verdict.RETRY:
            wait = wait_pretended(outcome, attempt=number)
            if wait is None:
                wait = wait_after(number, chance=chance, retry_after=outcome.retry_after)
            return Delivery.State.PENDING, wait
        case Verdict.EXHAUSTED | Verdict.GONE:
            return Delivery.State.FAILED, None


_UPDATE = """
UPDATE webhooks_delivery AS delivery SET
    state = new.state, rehearsal = new.rehearsal, attempt_count = new.attempt_count,
    last_status = new.last_status, last_failure = new.last_failure,
    due_at = statement_timestamp() + new.wait * interval '1 second',
    ended_at = CASE WHEN new.wait IS NULL THEN statement_timestamp() END
FROM unnest(
    %s::uuid[], %s::text[], %s::double precision[], %s::text[], %s::int[], %s::int[], %s::text[]
) AS new (id, state, wait, rehearsal, attempt_count, last_status, last_failure)
WHERE delivery.id = new.id
"""


def _deliveries_update(changes: Sequence[_Change]) -> None:
    """One statement for all of them, by the database's clock."""
    columns: list[list[Any]] = [
        [change.id for change in changes],
        [change.state for change in changes],
        [change.wait for change in changes],
        [change.rehearsal for change in changes],
        [change.attempt_count for change in changes],
        [change.last_status for change in changes],
        [change.last_failure for change in changes],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, columns)


# --- endpoints -----------------------------------------------------------------------------------


def _endpoints_update(tried: Iterable[tuple[Outcome, Delivery]]) -> None:
    """Keep the run of failures of each endpoint. One that is fine and stays so costs no write."""
    by_endpoint: dict[UUID, list[Outcome]] = defaultdict(list)
    for outcome, delivery in tried:
        if outcome.error not in NOT_THEIRS:
            by_endpoint[delivery.endpoint_id].append(outcome)
    failed = [key for key, outcomes in by_endpoint.items() if any(o.error for o in outcomes)]
    concerned = Endpoint.objects.filter(Q(pk__in=failed) | Q(failing_since__isnull=False))
    rows = concerned.filter(pk__in=list(by_endpoint), enabled=True).order_by("pk")
    for endpoint in rows.select_for_update():
        _endpoint_update(endpoint, by_endpoint[endpoint.pk])


def _endpoint_update(endpoint: Endpoint, outcomes: Sequence[Outcome]) -> None:
    before = Health(endpoint.failing_since, endpoint.failed_attempts, bool(endpoint.warned_at))
    health = health_after(before, [Attempted(o.started_at, not o.error) for o in outcomes])
    last = max(outcome.started_at for outcome in outcomes)
    endpoint.failing_since, endpoint.failed_attempts = health.failing_since, health.failed_attempts
    judged = standing(health, now=last)
    if not health.warned:
        endpoint.warned_at = last if judged is Standing.WARN else None
    endpoint.save(update_fields=["failing_since", "failed_attempts", "warned_at"])
    if judged is Standing.WARN:
        notice_create(endpoint=endpoint, subject=EndpointNotice.Subject.FAILING)
    gone = any(verdict(attempt=1, status=o.status) is Verdict.GONE for o in outcomes)
    if gone or judged is Standing.DISABLE:
        reason = Endpoint.DisabledReason.GONE if gone else Endpoint.DisabledReason.FAILING
        endpoint_disable(tenant_id=endpoint.tenant_id, endpoint_id=endpoint.pk, reason=reason)
