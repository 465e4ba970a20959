"""Erasing again what a restored backup brought back.

The list that is kept beside a backup holds digests and internal ids, no names: a rep is found by
the digest of every name that the restored database knows.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from django.db import connection
from django.db.models.functions import Now

from calls.erasure.files import call_files, files_delete, folder_delete
from calls.erasure.receipts import SUBJECT_PURPOSE, subject_digests
from calls.erasure.rows import call_rows_erase
from calls.models import Call, Erasure, SessionToken
from tenants.isolation import tenant_scope
from tenants.models import Rep
from tenants.sealing import seal
from tenants.services import SYSTEM, audit
from work.bell import ring


class LineRefused(ValueError):
    """Not a line of our list."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """One erasure of the list."""

    public_id: str
    tenant_id: uuid.UUID
    mode: str
    subject: str
    subject_digest: str
    agencies: tuple[uuid.UUID, ...]
    call_ids: tuple[uuid.UUID, ...]

    def line(self) -> str:
        return json.dumps(
            {
                "erasureId": self.public_id,
                "tenant": str(self.tenant_id),
                "mode": self.mode,
                "subject": self.subject,
                "digest": self.subject_digest,
                "agencies": [str(agency) for agency in self.agencies],
                "calls": [str(call) for call in self.call_ids],
            }
        )

    @classmethod
    def parse(cls, line: str) -> Self:
        try:
            said: dict[str, Any] = json.loads(line)
            return cls(
                public_id=str(said["erasureId"]),
                tenant_id=uuid.UUID(said["tenant"]),
                mode=str(said["mode"]),
                subject=Erasure.Subject(said["subject"]),
                subject_digest=str(said["digest"]),
                agencies=tuple(uuid.UUID(agency) for agency in said["agencies"]),
                call_ids=tuple(uuid.UUID(call) for call in said["calls"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as odd:
            raise LineRefused("This is not a line of erasures_export.") from odd


def erasures_remembered() -> Iterator[Remembered]:
    """The erasures of all tenants, oldest first. One of the few reads that cross tenants."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM erasures_export()")
        for public_id, tenant_id, mode, subject, digest, agencies, calls in cursor.fetchall():
            yield Remembered(
                public_id, tenant_id, mode, subject, digest, tuple(agencies), tuple(calls)
            )


def erasure_repeat(remembered: Remembered) -> bool:
    """Erase again what is there again; whether anything was.

    An erasure that this database knows is done, or will be: it is older than the backup, and a rep
    who came back since then is not to be erased for it. Files are looked for in any case.
    """
    with tenant_scope(remembered.tenant_id):
        known = Erasure.objects.filter(public_id=remembered.public_id).exists()
        repeated = not known and _repeat(remembered)
        there = set(Call.objects.filter(pk__in=remembered.call_ids).values_list("pk", flat=True))
    for call_id in set(remembered.call_ids) - there:
        files_delete(call_files(remembered.tenant_id, call_id))
        folder_delete(remembered.tenant_id, call_id)
    return repeated


def _repeat(remembered: Remembered) -> bool:
    calls = list(
        Call.objects.filter(pk__in=remembered.call_ids)
        .select_for_update(of=("self",))
        .order_by("id")
    )
    name = _name_of(remembered)
    if not calls and name is None:
        return False
    erasure = Erasure.objects.create(
        tenant_id=remembered.tenant_id,
        public_id=remembered.public_id,
        # without a name only its calls are left, and those go here
        subject=Erasure.Subject.CALL if name is None else Erasure.Subject.REP,
        subject_digest=remembered.subject_digest,
        sealed_subject="" if name is None else seal(name.encode(), purpose=SUBJECT_PURPOSE),
        mode=remembered.mode,
        agencies=list(remembered.agencies),
        actor=SYSTEM,
        due_at=Now(),
    )
    counts: Counter[str] = Counter()
    for call in calls:
        counts += call_rows_erase(call=call, erasure=erasure)
    erasure.counts = dict(counts)
    erasure.save(update_fields=["counts"])
    audit(
        tenant_id=remembered.tenant_id,
        actor=SYSTEM,
        action="erasure.repeat",
        target=f"erasure:{erasure.public_id}",
    )
    ring("erase")
    return True


def _name_of(remembered: Remembered) -> str | None:
    if remembered.subject != Erasure.Subject.REP:
        return None
    names = _names(remembered.tenant_id, remembered.mode, remembered.agencies)
    return names.get(remembered.subject_digest)


@lru_cache(maxsize=8)
def _names(tenant_id: uuid.UUID, mode: str, agencies: tuple[uuid.UUID, ...]) -> dict[str, str]:
    """Digest -> name, of every rep that the tenant's rows name. Needs the tenant's scope.

    Read once for all lines of a list: reps do not change while nothing serves.
    """
    tokens = SessionToken.objects.filter(mode=mode).values_list("external_user_id", flat=True)
    found = {*Rep.objects.values_list("external_id", flat=True), *tokens.distinct()}
    return {
        digest: name
        for name in found
        for digest in subject_digests(
            tenant_id=tenant_id,
            mode=mode,
            subject=Erasure.Subject.REP,
            name=name,
            agencies=agencies,
        )
    }
