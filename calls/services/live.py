"""What a live worker writes: who it is, the calls it carries, what is said and recorded.

Every write about a call names the epoch under which the worker took it. The row of the call is
the fence: an update that matches nothing means that the call is over or somebody else's.
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
from django.db.models import F
from django.db.models.functions import Now

from calls.models import Call, LiveSlot, LiveWorker, RecordingPart, Turn
from calls.services.telling import tell_ended, tell_started
from tenants.isolation import tenant_scope
from work.bell import ring

LEASE = timedelta(seconds=6)  # a worker renews every two


class CallNotOurs(Exception):
    """The call is over, or another worker carries it."""


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


# -- the worker -----------------------------------------------------------------------------------


@transaction.atomic
def worker_register(*, host: str, slots: int) -> LiveWorker:
    """A new worker with that many free slots. Workers long gone are cleared away."""
    LiveWorker.objects.filter(heartbeat_at__lt=Now() - timedelta(hours=1)).delete()
    worker = LiveWorker.objects.create(host=host, slots=slots, heartbeat_at=Now())
    LiveSlot.objects.bulk_create(LiveSlot(worker=worker, number=n) for n in range(slots))
    return worker


@transaction.atomic
def worker_beat(*, worker_id: uuid.UUID, calls: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Say that the worker lives, and renew its calls. Returns those that it still holds."""
    LiveWorker.objects.filter(pk=worker_id).update(heartbeat_at=Now())
    held = LiveSlot.objects.filter(worker_id=worker_id, call_id__in=calls)
    held.filter(lease_until__gt=Now()).update(lease_until=Now() + LEASE)
    return {slot.call_id for slot in held.filter(lease_until__gt=Now()) if slot.call_id}


def worker_drain(*, worker_id: uuid.UUID) -> None:
    """Take no new calls."""
    LiveWorker.objects.filter(pk=worker_id).update(draining=True)


def worker_leave(*, worker_id: uuid.UUID) -> None:
    """The worker is gone; calls that it still held will be found and ended by the sweep."""
    LiveWorker.objects.filter(pk=worker_id).delete()


# -- its calls ------------------------------------------------------------------------------------


def call_take(*, tenant_id: uuid.UUID, call_id: uuid.UUID, worker_id: uuid.UUID) -> OwnedCall:
    """Make this worker the owner of a call whose slot it holds. Raises CallNotOurs."""
    with tenant_scope(tenant_id):
        held = LiveSlot.objects.filter(worker_id=worker_id, call_id=call_id, lease_until__gt=Now())
        if not held.update(lease_until=Now() + LEASE):
            raise CallNotOurs
        open_stages = [Call.Stage.CREATED, Call.Stage.LIVE]
        rows = Call.objects.filter(pk=call_id, tenant_id=tenant_id, stage__in=open_stages)
        if not rows.update(epoch=F("epoch") + 1, updated_at=Now()):
            raise CallNotOurs
        call = Call.objects.select_related("drill").get(pk=call_id, tenant_id=tenant_id)
        return OwnedCall(
            id=call.pk,
            tenant_id=tenant_id,
            public_id=call.public_id,
            epoch=call.epoch,
            difficulty=call.difficulty,
            seed=call.seed,
            pack=call.drill.pack,
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
def _fence(call: OwnedCall) -> Iterator[None]:
    """Write under the epoch: the row stays locked until the write commits."""
    with tenant_scope(call.tenant_id):
        rows = Call.objects.filter(pk=call.id, epoch=call.epoch, stage=Call.Stage.LIVE)
        if not rows.update(updated_at=Now()):
            raise CallNotOurs
        yield


def turn_add(*, call: OwnedCall, number: int, values: Mapping[str, Any]) -> None:
    """Keep a finished turn. `values` are the columns of Turn beyond call, number and epoch."""
    with _fence(call):
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
    """Close the call and free its slot. Ending it twice is harmless."""
    with tenant_scope(call.tenant_id):
        rows = Call.objects.filter(pk=call.id, epoch=call.epoch, stage=Call.Stage.LIVE)
        ended = rows.update(
            stage=Call.Stage.ENDED,
            end_reason=reason,
            ended_at=F("started_at") + timedelta(seconds=seconds),
            due_at=Now(),
            updated_at=Now(),
        )
        slot_free(call_id=call.id)
        if ended:
            tell_ended(call.id)
        transaction.on_commit(lambda: ring("transcribe"))


def slot_free(*, call_id: uuid.UUID) -> None:
    """Give the call's slot back."""
    LiveSlot.objects.filter(call_id=call_id).update(call_id=None, tenant_id=None, lease_until=None)
