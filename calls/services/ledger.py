"""The ledger of a call: the latencies of its turns, gathered when it is over (docs/latency.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from calls.models import Call, CallLedger, Turn

MISSED_END = 2500.0  # ms after the rep's last sound: a turn found over later was missed
MOST = 2000  # figures of one kind; two hours of quick talk have about 1,500


@dataclass(frozen=True, slots=True)
class Figures:
    """The columns of CallLedger."""

    answers_ms: list[int]
    barge_ins_ms: list[int]
    rep_turns: int
    cut_offs: int
    missed_ends: int
    false_stops: int


def ledger_keep(*, call: Call) -> None:
    """Gather the turns of a call that is over. `call` is locked, in its tenant's scope."""
    turns = Turn.objects.filter(call_id=call.pk).order_by("number").values_list("role", "latency")
    CallLedger.objects.update_or_create(
        tenant_id=call.tenant_id, call_id=call.pk, defaults=asdict(figures_of(list(turns)))
    )


def figures_of(turns: Sequence[tuple[str, Mapping[str, Any]]]) -> Figures:
    """Of turns as (role, parts of its latency in milliseconds), in order."""
    rep = [parts for role, parts in turns if role == Turn.Role.USER]
    persona = [parts for role, parts in turns if role == Turn.Role.ASSISTANT]
    return Figures(
        answers_ms=_whole(persona, "mouth_to_ear"),
        barge_ins_ms=_whole(persona, "barge_in"),
        rep_turns=len(rep),
        cut_offs=sum("cut_off" in parts for parts in rep),
        missed_ends=sum(parts.get("decided", 0.0) > MISSED_END for parts in rep),
        false_stops=sum(round(parts.get("false_stops", 0.0)) for parts in persona),
    )


def _whole(turns: Sequence[Mapping[str, Any]], part: str) -> list[int]:
    """One part of the turns that have it. What is nearer than the clocks agree counts as 0."""
    return [max(0, round(parts[part])) for parts in turns if part in parts][:MOST]
