"""What changed since the rep's last attempt at the same drill."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calls.models import Call
from scoring.selectors import score_for_api
from tenants.isolation import tenant_scope

BACK = 5  # attempts looked at for one whose scorecard is still there
RANK = {"no": 0, "partial": 1, "yes": 2}


@dataclass(frozen=True, slots=True)
class Change:
    """This attempt against the last. Titles are of checks that both calls were scored by."""

    before: int  # points of 100
    now: int
    better: tuple[str, ...]
    worse: tuple[str, ...]
    ended_at: datetime
    difficulty: str

    @property
    def difference(self) -> int:
        return self.now - self.before

    @property
    def lost(self) -> int:
        return max(0, -self.difference)


def change_since_last(*, call: Call, score: Mapping[str, Any]) -> Change | None:
    """None at a first attempt. Only the same rep's calls of the same drill and mode count."""
    if call.ended_at is None:
        return None
    with tenant_scope(call.tenant_id):
        earlier = Call.objects.for_tenant(call.tenant_id).filter(
            rep_id=call.rep_id,
            mode=call.mode,
            external_user_id=call.external_user_id,  # the rep's, as the index knows it
            stage=Call.Stage.SCORED,
            drill_key=call.drill_key,
            ended_at__lt=call.ended_at,
        )
        for attempt in earlier.order_by("-ended_at", "-id")[:BACK]:
            last = score_for_api(tenant_id=call.tenant_id, call_id=attempt.pk)
            if last is not None and attempt.ended_at is not None:
                return _change(last, score, attempt.ended_at, attempt.difficulty)
    return None


def _change(
    last: Mapping[str, Any], score: Mapping[str, Any], ended_at: datetime, difficulty: str
) -> Change:
    before = _ranks(last)
    moved = [
        (check["title"], RANK[check["answer"]] - before[check["key"]])
        for check in _counted(score)
        if check["key"] in before
    ]
    return Change(
        before=last["overallScore"],
        now=score["overallScore"],
        better=tuple(title for title, by in moved if by > 0),
        worse=tuple(title for title, by in moved if by < 0),
        ended_at=ended_at,
        difficulty=difficulty,
    )


def _ranks(score: Mapping[str, Any]) -> dict[str, int]:
    return {check["key"]: RANK[check["answer"]] for check in _counted(score)}


def _counted(score: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [c for c in score["criteria"] if c["verified"] and c["answer"] in RANK]
