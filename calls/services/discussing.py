"""What is said about a call afterwards: comments of members, disputes of the rep."""

import re
import uuid

from django.db import IntegrityError, transaction
from django.utils import timezone

from calls.history.detail import call_locked
from calls.history.listing import Reader
from calls.models import Call, Comment, Dispute, TranscriptLine
from scoring.models import Verdict
from scoring.overrides import CheckNotFound
from scoring.selectors import scorecard_of
from tenants.errors import AthosError, InvalidRequest
from tenants.isolation import tenant_scope
from tenants.services import audit

LONGEST_COMMENT = 2000  # characters, as are the next two
LONGEST_DISPUTE = 1000
LONGEST_REPLY = 1000
COMMENTS_MOST = 200  # of one call
_COMMENT_ID = re.compile(r"cmt_[A-Za-z0-9_-]{21}", re.ASCII)
_REP = "rep"  # in the audit log: who holds the call's ticket


class AlreadyDisputed(AthosError):
    code, status = "ALREADY_DISPUTED", 409
    message = "You have said that you see this differently. Your manager will answer."


class CallNotScored(AthosError):
    code, status, message = "CALL_NOT_SCORED", 409, "There is no scorecard to disagree with."


def comment_add(
    *, reader: Reader, public_id: str, line_number: int, text: str, user_id: uuid.UUID
) -> Comment:
    """Beside a line of the transcript. Raises CallNotFound and InvalidRequest."""
    words = _words(text, LONGEST_COMMENT)
    with reader.scope():
        call = call_locked(reader=reader, public_id=public_id)
        if not TranscriptLine.objects.filter(call=call, number=line_number).exists():
            raise InvalidRequest("The transcript has no such line.", details={"field": "line"})
        if Comment.objects.filter(call=call).count() >= COMMENTS_MOST:
            raise InvalidRequest(f"A call has at most {COMMENTS_MOST} comments.")
        comment = Comment.objects.create(
            tenant_id=call.tenant_id,
            call=call,
            line_number=line_number,
            text=words,
            author_id=user_id,
        )
        _audit(call, f"user:{user_id}", "call.comment", {"comment": comment.public_id})
    return comment


def comment_remove(*, reader: Reader, public_id: str, comment_id: str, user_id: uuid.UUID) -> None:
    """One's own comment. Removing what is gone is harmless; another's is left where it is."""
    if not _COMMENT_ID.fullmatch(comment_id):
        raise InvalidRequest("There is no such comment.")
    with reader.scope():
        call = call_locked(reader=reader, public_id=public_id)
        own = Comment.objects.filter(call=call, public_id=comment_id, author_id=user_id)
        if own.delete()[0]:
            _audit(call, f"user:{user_id}", "call.comment_remove", {"comment": comment_id})


def dispute_create(
    *, tenant_id: uuid.UUID, call_id: uuid.UUID, check_key: str, text: str
) -> Dispute:
    """The rep of the call sees a verdict differently: once for each check of a scorecard.

    Raises AlreadyDisputed, CheckNotFound, CallNotScored and InvalidRequest.
    """
    words = _words(text, LONGEST_DISPUTE)
    with tenant_scope(tenant_id):
        scored = Call.objects.filter(pk=call_id, stage=Call.Stage.SCORED, private=False)
        call = scored.first()
        card = scorecard_of(tenant_id=tenant_id, call_id=call_id)
        if call is None or card is None:
            raise CallNotScored
        if not Verdict.objects.filter(scorecard=card, check_key=check_key).exists():
            raise CheckNotFound
        try:
            with transaction.atomic():
                dispute = Dispute.objects.create(
                    tenant_id=tenant_id,
                    call=call,
                    scorecard_version=card.version,
                    check_key=check_key,
                    text=words,
                )
        except IntegrityError as again:
            raise AlreadyDisputed from again
        _audit(call, _REP, "score.dispute", {"check": check_key})
    return dispute


def dispute_reply(
    *, reader: Reader, public_id: str, check_key: str, text: str, user_id: uuid.UUID
) -> None:
    """Answer the rep about the call's newest scorecard; a second answer takes the first's place."""
    words = _words(text, LONGEST_REPLY)
    with reader.scope():
        call = call_locked(reader=reader, public_id=public_id)
        card = scorecard_of(tenant_id=call.tenant_id, call_id=call.pk)
        open_ones = Dispute.objects.filter(
            call=call, check_key=check_key, scorecard_version=card.version if card else 0
        )
        if not open_ones.update(reply=words, replied_at=timezone.now(), replied_by=user_id):
            raise CheckNotFound("Nobody disagrees with that check.")
        _audit(call, f"user:{user_id}", "score.dispute_reply", {"check": check_key})


def _words(text: str, longest: int) -> str:
    words = text.replace("\r\n", "\n").strip()
    if not words or len(words) > longest or "\x00" in words:
        problem = f"Write something, at most {longest:,} characters."
        raise InvalidRequest(problem, details={"field": "text"})
    return words


def _audit(call: Call, actor: str, action: str, details: dict[str, object]) -> None:
    audit(
        tenant_id=call.tenant_id,
        actor=actor,
        action=action,
        target=f"call:{call.public_id}",
        details=details,
    )
