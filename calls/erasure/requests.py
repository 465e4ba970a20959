"""Taking an erasure on. What is asked for once is done once, and has one receipt."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from calls.erasure.receipts import SUBJECT_PURPOSE, subject_digests
from calls.erasure.rows import call_rows_erase, calls_lock
from calls.history.detail import CallNotFound
from calls.models import Call, Erasure, SessionToken, erasure_public_id
from tenants.errors import AthosError
from tenants.isolation import tenant_scope
from tenants.models import Agency, ApiKey, Rep, Tenant
from tenants.sealing import seal
from tenants.services import audit
from work.bell import ring

_PUBLIC_ID = re.compile(r"era_[A-Za-z0-9_-]{21}", re.ASCII)


class RepNotFound(AthosError):
    code, status, message = "REP_NOT_FOUND", 404, "Nothing is kept of a rep of that name."


class ErasureNotFound(AthosError):
    code, status, message = "ERASURE_NOT_FOUND", 404, "There is no such erasure."


class Asker(Protocol):
    """Who asks, a key or a member: for which calls, and under which name."""

    @property
    def tenant(self) -> Tenant: ...
    @property
    def mode(self) -> str: ...
    @property
    def agencies(self) -> tuple[uuid.UUID, ...]: ...
    @property
    def actor(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Asking:
    """A member who asks."""

    tenant: Tenant
    mode: str
    agencies: tuple[uuid.UUID, ...]  # empty: all
    actor: str


@dataclass(frozen=True, slots=True)
class Person:
    """A rep as one key sees it: by its mode, and in the agencies that it is limited to."""

    tenant_id: uuid.UUID
    mode: str
    agencies: tuple[uuid.UUID, ...]  # empty: all
    external_id: str

    def calls(self) -> QuerySet[Call]:
        """Needs the tenant's scope, as the others do."""
        rows = Call.objects.for_tenant(self.tenant_id).filter(
            rep__external_id=self.external_id, mode=self.mode
        )
        return rows.filter(agency_id__in=self.agencies) if self.agencies else rows

    def tokens(self) -> QuerySet[SessionToken]:
        rows = SessionToken.objects.for_tenant(self.tenant_id).filter(
            external_user_id=self.external_id, mode=self.mode
        )
        if not self.agencies:
            return rows
        names = Agency.objects.for_tenant(self.tenant_id).filter(pk__in=self.agencies)
        return rows.filter(external_agency_id__in=names.values("external_id"))

    def row(self) -> QuerySet[Rep]:
        """The rep's own row, if this key may remove it.

        It belongs to both modes. A test key takes it only if no real call made it, or if it holds
        nothing but the integrator's name for the rep, which the next real call writes again; a key
        limited to agencies only if it is in one of them.
        """
        rows = Rep.objects.for_tenant(self.tenant_id).filter(external_id=self.external_id)
        if self.mode != ApiKey.Mode.LIVE:
            rows = rows.filter(Q(sandbox_only=True) | Q(name="", email="", team=""))
        return rows.filter(agency_id__in=self.agencies) if self.agencies else rows


def call_erase(*, caller: Asker, public_id: str) -> Erasure:
    """Delete the rows of the caller's call now, and have its files deleted.

    Asking again gives the same receipt. A stranger's call and no call look the same.
    """
    tenant_id = caller.tenant.pk
    digests = subject_digests(
        tenant_id=tenant_id, mode=caller.mode, subject=Erasure.Subject.CALL, name=public_id
    )
    with tenant_scope(tenant_id):
        found = Call.objects.for_tenant(tenant_id).filter(mode=caller.mode, public_id=public_id)
        if caller.agencies:
            found = found.filter(agency_id__in=caller.agencies)
        calls = calls_lock(found, 1)
        if not calls:
            return _again(caller, digests, CallNotFound())
        call = calls[0]
        erasure = Erasure.objects.create(
            tenant_id=tenant_id,
            subject=Erasure.Subject.CALL,
            subject_digest=digests[0],
            mode=caller.mode,
            agencies=[call.agency_id] if call.agency_id else [],
            actor=caller.actor,
            due_at=Now(),
        )
        erasure.counts = dict(call_rows_erase(call=call, erasure=erasure))
        erasure.save(update_fields=["counts"])
        _taken_on(erasure)
    return erasure


def rep_erase(*, caller: Asker, external_user_id: str) -> Erasure:
    """Have all data of the rep deleted that the caller's key reaches, as due work.

    While that goes on, and afterwards if nothing new came, asking again gives the same receipt.
    """
    person = Person(caller.tenant.pk, caller.mode, caller.agencies, external_user_id)
    digests = subject_digests(
        tenant_id=person.tenant_id,
        mode=person.mode,
        subject=Erasure.Subject.REP,
        name=external_user_id,
        agencies=person.agencies,
    )
    with tenant_scope(person.tenant_id):
        if not any(rows.exists() for rows in (person.calls(), person.tokens(), person.row())):
            return _again(caller, digests, RepNotFound())
        mine = Erasure(
            tenant_id=person.tenant_id,
            public_id=erasure_public_id(),
            subject=Erasure.Subject.REP,
            subject_digest=digests[0],
            sealed_subject=seal(external_user_id.encode(), purpose=SUBJECT_PURPOSE),
            mode=person.mode,
            agencies=list(person.agencies),
            actor=caller.actor,
            due_at=Now(),
        )
        # Waits for a rival that asks for the same, and is then silently second.
        Erasure.objects.bulk_create([mine], ignore_conflicts=True)
        erasure = _latest(caller, digests).get()
        if erasure.pk == mine.pk:
            _taken_on(erasure)
    return erasure


def erasure_get(*, caller: Asker, public_id: str) -> Erasure:
    """An erasure of the caller's tenant and mode, within the agencies of its key."""
    if not _PUBLIC_ID.fullmatch(public_id):
        raise ErasureNotFound
    with tenant_scope(caller.tenant.pk):
        erasure = _visible(caller).filter(public_id=public_id).first()
    if erasure is None:
        raise ErasureNotFound
    return erasure


def _again(caller: Asker, digests: Sequence[str], otherwise: AthosError) -> Erasure:
    erasure = _latest(caller, digests).first()
    if erasure is None:
        raise otherwise
    return erasure


def _latest(caller: Asker, digests: Sequence[str]) -> QuerySet[Erasure]:
    rows = _visible(caller).filter(subject_digest__in=digests).order_by("-requested_at")
    newest: QuerySet[Erasure] = rows.filter(pk=rows.values("pk")[:1])
    return newest


def _visible(caller: Asker) -> QuerySet[Erasure]:
    rows = Erasure.objects.for_tenant(caller.tenant).filter(mode=caller.mode)
    if caller.agencies:
        rows = rows.filter(~Q(agencies=[]), agencies__contained_by=list(caller.agencies))
    return rows


def _taken_on(erasure: Erasure) -> None:
    audit(
        tenant_id=erasure.tenant_id,
        actor=erasure.actor,
        action=f"{erasure.subject}.erase",
        target=f"erasure:{erasure.public_id}",
    )
    ring("erase")
