"""What a live worker writes: who it is, the calls it carries, what is said and recorded.

Every write about a call names the epoch under which the worker took it. The row of the call is
the fence: an update that matches nothing means that the call is over or somebody else's. Taking a
call raises its epoch, so whoever carried it before writes nothing from then on, however late it
wakes up.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F, Max
from django.db.models.functions import Now

from calls.models import Call, LiveSlot, LiveWorker, RecordingPart, Turn
from calls.services.slots import slot_free
from calls.services.telling import tell_ended, tell_started
from tenants.isolation import tenant_scope
from work.bell import ring

LEASE = timedelta(seconds=6)  # a worker renews every two


class CallNotOurs(Exception):
    """The call is over, or another worker carries it."""


class CallOver(CallNotOurs):
    """The call is over, or there is none."""


@dataclass(frozen=True, slots=True)
class OwnedCall:
    """A call as its worker took it."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    public_id: str
    epoch: int
    difficulty: str
    seed: int
    pack: Mapping[str, Any]
    elapsed: float | None = None  # seconds since it went live; None before
    turns: int = 0  # the number of the next one
    standing: Mapping[str, Any] | None = None  # see Call.standing


# -- the worker -----------------------------------------------------------------------------------


@transaction.atomic
def worker_register(*, host: str, slots: int) -> LiveWorker:
    """A new worker with that many free slots. Workers long gone are cleared away."""
    LiveWorker.objects.filter(heartbeat_at__lt=Now() - timedelta(hours=1)).delete()
    worker = LiveWorker.objects.create(host=host, slots=slots, heartbeat_at=Now())
    LiveSlot.objects.bulk_create(LiveSlot(worker=worker, number=n) for n in range(slots))
    return worker


@transaction.atomic
def worker_beat(
    *, worker_id: uuid.UUID, calls: Sequence[uuid.UUID], slots: int | None = None
) -> set[uuid.UUID]:
    """Say that the worker lives, and renew its calls. Returns those that it still holds.

    `slots`: how many calls it takes from now on.
    """
    changes = {} if slots is None else {"slots": slots}
    LiveWorker.objects.filter(pk=worker_id).update(heartbeat_at=Now(), **changes)
    held = LiveSlot.objects.filter(worker_id=worker_id, call_id__in=calls)
    held.filter(lease_until__gt=Now()).update(lease_until=Now() + LEASE)
    return {slot.call_id for slot in held.filter(lease_until__gt=Now()) if slot.call_id}


def worker_drain(*, worker_id: uuid.UUID) -> None:
    """Take no new calls."""
    LiveWorker.objects.filter(pk=worker_id).update(draining=True)


def worker_expected(*, worker_id: uuid.UUID) -> int:
    """Calls whose room is reserved here, those whose browser has not come yet included."""
    return LiveSlot.objects.filter(worker_id=worker_id, lease_until__gt=Now()).count()


def worker_leave(*, worker_id: uuid.UUID) -> None:
    """The worker is gone. Calls that it still held may be taken over at once; if nobody does, the
    sweep ends them."""
    LiveWorker.objects.filter(pk=worker_id).delete()


# -- its calls ------------------------------------------------------------------------------------


def call_take(*, tenant_id: uuid.UUID, call_id: uuid.UUID, worker_id: uuid.UUID) -> OwnedCall:
    """Make this worker the owner of a call whose slot it holds. Raises CallNotOurs.

    A call that is live already is taken over where it stands.
    """
    with tenant_scope(tenant_id):
        open_stages = [Call.Stage.CREATED, Call.Stage.LIVE]
        rows = Call.objects.filter(pk=call_id, tenant_id=tenant_id, stage__in=open_stages)
        if not rows.update(epoch=F("epoch") + 1, updated_at=Now()):
            raise CallOver
        held = LiveSlot.objects.filter(worker_id=worker_id, call_id=call_id, lease_until__gt=Now())
        if not held.update(lease_until=Now() + LEASE):
            raise CallNotOurs  # which undoes the new epoch
        return _owned(tenant_id, call_id)


def _owned(tenant_id: uuid.UUID, call_id: uuid.UUID) -> OwnedCall:
    calls = Call.objects.select_related("drill").annotate(elapsed=Now() - F("started_at"))
    call = calls.get(pk=call_id, tenant_id=tenant_id)
    last = call.turns.aggregate(last=Max("number"))["last"]
    return OwnedCall(
        id=call.pk,
        tenant_id=tenant_id,
        public_id=call.public_id,
        epoch=call.epoch,
        difficulty=call.difficulty,
        seed=call.seed,
        pack=call.drill.pack,
        elapsed=None if call.elapsed is None else call.elapsed.total_seconds(),
        turns=0 if last is None else last + 1,
        standing=call.standing,
    )


def call_live(*, call: OwnedCall) -> None:
    """Audio flows: the call has begun."""
    with tenant_scope(call.tenant_id):
        rows = Call.objects.filter(pk=call.id, epoch=call.epoch, stage=Call.Stage.CREATED)
        began = rows.update(stage=Call.Stage.LIVE, started_at=Now(), due_at=None, updated_at=Now())
        if not began:
            raise CallNotOurs
        tell_started(call.id)


@contextmanager
def _fence(call: OwnedCall, **changes: Any) -> Iterator[None]:
    """Write under the epoch: the row stays locked until the write commits."""
    with tenant_scope(call.tenant_id):
        rows = Call.objects.filter(pk=call.id, epoch=call.epoch, stage=Call.Stage.LIVE)
        if not rows.update(updated_at=Now(), **changes):
            raise CallNotOurs
        yield


def turn_add(
    *,
    call: OwnedCall,
    number: int,
    values: Mapping[str, Any],
    standing: Mapping[str, Any] | None = None,
) -> None:
    """Keep a finished turn, and where the persona stands after it (None: nobody can go on there).

    `values` are the columns of Turn beyond call, number and epoch.
    """
    with _fence(call, standing=standing):
        Turn.objects.create(
            tenant_id=call.tenant_id, call_id=call.id, number=number, epoch=call.epoch, **values
        )


def recording_part_add(
    *, call: OwnedCall, channel: str, number: int, offset: float, duration: float, data: bytes
) -> None:
    """Keep a finished part: the file first, then its row, so that a row never lacks its file.

    The file of a fenced worker is taken back: the call may have been erased meanwhile.
    """
    name = part_file_store(
        tenant_id=call.tenant_id,
        call_id=call.id,
        epoch=call.epoch,
        channel=channel,
        number=number,
        data=data,
    )
    try:
        with _fence(call):
            RecordingPart.objects.create(
                tenant_id=call.tenant_id,
                call_id=call.id,
                channel=channel,
                epoch=call.epoch,
                number=number,
                offset=offset,
                duration=duration,
                file=name,
                size=len(data),
            )
    except CallNotOurs:
        default_storage.delete(name)
        raise


def part_file_store(
    *,
    tenant_id: uuid.UUID,
    call_id: uuid.UUID,
    epoch: int,
    channel: str,
    number: int,
    data: bytes,
) -> str:
    """Put a part into the call's folder; the name under which the storage has it."""
    path = f"{tenant_id}/{call_id}/{epoch:04d}-{channel}-{number:05d}.ogg"
    name: str = default_storage.save(path, ContentFile(data))
    return name


def call_end(*, call: OwnedCall, reason: str, seconds: float) -> None:
    """Close the call and free its slot. Ending it twice, or another worker's, changes nothing."""
    with tenant_scope(call.tenant_id):
        rows = Call.objects.filter(pk=call.id, epoch=call.epoch, stage=Call.Stage.LIVE)
        ended = rows.update(
            stage=Call.Stage.ENDED,
            end_reason=reason,
            standing=None,
            ended_at=F("started_at") + timedelta(seconds=seconds),
            due_at=Now(),
            updated_at=Now(),
        )
        if ended:
            slot_free(call_id=call.id)
            tell_ended(call.id)
            transaction.on_commit(lambda: ring("transcribe"))
