"""The work `erase`: rows batch by batch, then files, then the receipt.

Each batch commits with its counts; a worker that is killed costs one batch, and nothing that it
deleted is counted twice or not at all.
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Max

from calls.erasure.files import StorageUnavailable, call_files, files_delete, folder_delete
from calls.erasure.receipts import SUBJECT_PURPOSE, receipt_sign
from calls.erasure.requests import Person
from calls.erasure.rows import call_rows_erase, calls_lock, tables
from calls.erasure.stores import FILES, by_store
from calls.models import Assignment, ErasedCall, Erasure
from tenants.isolation import tenant_scope
from tenants.sealing import unseal
from tenants.selectors import database_now
from tenants.services import SYSTEM, audit
from work.claims import Claim

logger = logging.getLogger(__name__)

BATCH = 20  # calls at once: a batch of the longest calls takes about a second
TURN_SECONDS = 15.0  # then other quick work may have the process
GO_ON_IN = timedelta(seconds=1)


def erasure_carry_out(claim: Claim[Erasure]) -> None:
    """Delete for one turn; due again while something is left, or a worker may be in the middle."""
    until = time.monotonic() + TURN_SECONDS
    person = _person(claim)
    try:
        while person is not None and _rows_erase(claim, person):
            if time.monotonic() > until:
                _finish(claim, database_now())
                return
        again_at = _files_erase(claim, until)
    except StorageUnavailable:
        claim.release(error="STORAGE_UNAVAILABLE")
        return
    _finish(claim, again_at)


def _person(claim: Claim[Erasure]) -> Person | None:
    """Whose data it is; None for an erasure of one call, whose rows went at once."""
    with tenant_scope(claim.tenant_id):
        erasure = Erasure.objects.get(pk=claim.pk)
    if erasure.subject == Erasure.Subject.CALL:
        return None
    name = unseal(erasure.sealed_subject, purpose=SUBJECT_PURPOSE).decode()
    return Person(erasure.tenant_id, erasure.mode, tuple(erasure.agencies), name)


def _rows_erase(claim: Claim[Erasure], person: Person) -> bool:
    """One batch of the rep's calls; whether there may be more.

    Tokens go first: of two transactions, one that spends a token and this, the later one sees what
    the other did, so a call that was just being made is found in this batch or in the next.
    """
    with claim.step() as erasure:
        tokens = person.tokens().filter(call=None).delete()[0]
        erased = Counter({"sessionTokens": tokens})
        calls = calls_lock(person.calls(), BATCH)
        for call in calls:
            erased += call_rows_erase(call=call, erasure=erasure)
        if not calls:
            erased += _rep_erase(person)
        _count(erasure, erased)
    return bool(calls)


def _rep_erase(person: Person) -> Counter[str]:
    """The rep's own row, once no call of either mode refers to it."""
    row = person.row().select_for_update().first()
    if row is None or row.calls.exists():
        return Counter()
    assigned = list(Assignment.objects.filter(assignees__rep=row).values_list("pk", flat=True))
    erased = by_store(tables(row.delete()[1]))
    # a note for one person may name them
    Assignment.objects.filter(pk__in=assigned, assignees=None).delete()
    return erased


def _files_erase(claim: Claim[Erasure], until: float) -> datetime | None:
    """Delete the files of the erased calls; when to look again, for those that were in use too."""
    done: uuid.UUID | None = None
    while True:
        with tenant_scope(claim.tenant_id):
            left = ErasedCall.objects.for_tenant(claim.tenant_id).filter(
                erasure_id=claim.pk, files_gone_at=None
            )
            after = left if done is None else left.filter(id__gt=done)
            batch = list(after.order_by("id")[:BATCH])
            if not batch:
                last: datetime | None = left.aggregate(last=Max("settles_at"))["last"]
                return last
        _batch_files_erase(claim, batch)
        if time.monotonic() > until:
            return database_now()
        done = batch[-1].pk


def _batch_files_erase(claim: Claim[Erasure], batch: list[ErasedCall]) -> None:
    """First write down which files there are, so that a killed worker's are counted too."""
    for erased in batch:
        found = call_files(claim.tenant_id, erased.call_id)
        erased.files = sorted({*erased.files, *found})
    with claim.step():
        ErasedCall.objects.bulk_update(batch, ["files"])
    now = database_now()
    settled = [erased for erased in batch if erased.settles_at <= now]
    for erased in batch:
        files_delete(erased.files)
        folder_delete(claim.tenant_id, erased.call_id)
        claim.check()
    with claim.step() as erasure:
        number = sum(len(erased.files) for erased in settled)
        ErasedCall.objects.filter(pk__in=[erased.pk for erased in settled]).update(
            files=[], files_gone_at=now
        )
        _count(erasure, Counter({FILES: number}))


def _finish(claim: Claim[Erasure], again_at: datetime | None) -> None:
    """The end of this turn, and of the erasure unless there is a time to go on."""
    with claim.finish() as erasure:
        if again_at is not None:
            erasure.due_at = max(again_at, database_now() + GO_ON_IN)
            erasure.save(update_fields=["due_at"])
            return
        erasure.finished_at, erasure.due_at, erasure.sealed_subject = database_now(), None, ""
        erasure.signature = receipt_sign(erasure)
        erasure.save(update_fields=["finished_at", "due_at", "sealed_subject", "signature"])
        audit(
            tenant_id=erasure.tenant_id,
            actor=SYSTEM,
            action="erasure.finish",
            target=f"erasure:{erasure.public_id}",
        )
    logger.info("erasure_finished", extra={"erasure_id": erasure.public_id})


def _count(erasure: Erasure, erased: Mapping[str, int]) -> None:
    erasure.counts = dict(Counter(erasure.counts) + Counter(erased))
    erasure.save(update_fields=["counts"])
