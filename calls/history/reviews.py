"""What members and the rep said about a call, for its page."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from calls.history.detail import CallRecord
from calls.history.listing import Reader
from calls.models import Call, Comment, Dispute, Rescoring
from scoring.models import Override, Scorecard, Verdict
from scoring.ports import Answer
from scoring.selectors import scorecard_of
from tenants.models import User

SCORECARDS_MOST = 50  # of one call, the newest
FORMER = "a former member"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history: who did what to which check, why and when."""

    at: datetime
    by: str
    title: str  # of the check; empty: the whole score
    answer: Answer | None  # None: given back to the judge
    valid: bool
    reason: str
    overall: int


@dataclass(frozen=True, slots=True)
class Said:
    """A comment. `is_own`: the reader may remove it."""

    id: str
    line_number: int
    text: str
    by: str
    at: datetime
    is_own: bool


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A rep who sees a verdict differently; `reply` is empty until somebody answers."""

    check_key: str
    text: str
    at: datetime
    reply: str
    replied_by: str


@dataclass(frozen=True, slots=True)
class Review:
    """All of it. `seen` goes with a form, so that who was slower is told."""

    seen: str  # version of the scorecard, a dot, its overrides; empty: no scorecard
    changes: tuple[Change, ...] = ()
    comments: tuple[Said, ...] = ()
    disputes: tuple[Disagreement, ...] = ()
    earlier: tuple[Scorecard, ...] = ()  # scorecards that newer ones took the place of
    rescoring: Rescoring | None = None
    peaks: tuple[list[int], list[int]] | None = None  # 0..255, the rep's and the persona's


def review_of(reader: Reader, record: CallRecord, *, user_id: uuid.UUID) -> Review:
    """Of a call that the reader may see."""
    call, card, history = record.call, record.card, record.overrides
    tenant_id = call.tenant_id
    with reader.scope():
        comments = list(Comment.objects.for_tenant(tenant_id).filter(call=call))
        version = card.version if card else 0
        disputes = list(
            Dispute.objects.for_tenant(tenant_id).filter(call=call, scorecard_version=version)
        )
        names = _names([*history], [*comments], [*disputes])
        cards = Scorecard.objects.for_tenant(tenant_id).filter(call=call, version__lt=version)
        return Review(
            seen=f"{version}.{len(history)}" if card else "",
            changes=_changes(card, history, names),
            comments=tuple(_said(comment, names, user_id) for comment in comments),
            disputes=tuple(_disagreement(one, names) for one in disputes),
            earlier=tuple(cards.order_by("-version")[:SCORECARDS_MOST]) if version > 1 else (),
            rescoring=Rescoring.objects.for_tenant(tenant_id).filter(call=call).first(),
            peaks=_peaks(record.peaks),
        )


def disputes_of_rep(*, call: Call) -> dict[str, Disagreement]:
    """For the rep's own page, by check key: what they said and what was answered, without names."""
    card = scorecard_of(tenant_id=call.tenant_id, call_id=call.pk)
    rows = Dispute.objects.for_tenant(call.tenant_id).filter(call=call)
    found = rows.filter(scorecard_version=card.version if card else 0)
    return {one.check_key: _disagreement(one, {}) for one in found}


def _names(
    history: Iterable[Override], comments: Iterable[Comment], disputes: Iterable[Dispute]
) -> dict[str, str]:
    """The e-mails of those who wrote, by actor."""
    actors = {row.actor for row in history if row.actor.startswith("user:")}
    ids = {actor.removeprefix("user:") for actor in actors}
    ids |= {str(comment.author_id) for comment in comments}
    ids |= {str(dispute.replied_by) for dispute in disputes if dispute.replied_by}
    if not ids:
        return {}
    people = User.objects.filter(pk__in=ids).values_list("pk", "email")
    return {f"user:{user_id}": email for user_id, email in people}


def _changes(
    card: Scorecard | None, history: Sequence[Override], names: dict[str, str]
) -> tuple[Change, ...]:
    if card is None or not history:
        return ()
    rows = Verdict.objects.for_tenant(card.tenant_id).filter(scorecard=card)
    titles = dict(rows.values_list("check_key", "title"))
    return tuple(
        Change(
            at=row.created_at,
            by=names.get(row.actor, FORMER),
            title=titles.get(row.check_key, ""),
            answer=Answer(row.answer) if row.answer else None,
            valid=row.valid,
            reason=row.reason,
            overall=row.overall,
        )
        for row in history
    )


def _said(comment: Comment, names: dict[str, str], user_id: uuid.UUID) -> Said:
    return Said(
        id=comment.public_id,
        line_number=comment.line_number,
        text=comment.text,
        by=names.get(f"user:{comment.author_id}", FORMER),
        at=comment.created_at,
        is_own=comment.author_id == user_id,
    )


def _disagreement(dispute: Dispute, names: dict[str, str]) -> Disagreement:
    return Disagreement(
        check_key=dispute.check_key,
        text=dispute.text,
        at=dispute.created_at,
        reply=dispute.reply,
        replied_by=names.get(f"user:{dispute.replied_by}", FORMER) if dispute.reply else "",
    )


def _peaks(loud: bytes) -> tuple[list[int], list[int]] | None:
    half = len(loud) // 2
    return (list(loud[:half]), list(loud[half:])) if half else None
