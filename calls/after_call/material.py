"""What an ended call left behind, read at once."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.core.files.storage import default_storage

from calls.after_call.lines import Said
from calls.after_call.stitching import ChannelTape, PartRow
from calls.models import Call, HeardChunk, RecordingPart, Turn
from tenants.isolation import tenant_scope

_LARGEST_PART = 4 * 1024 * 1024  # bytes; a minute of the highest rate is under one million


class StorageUnavailable(Exception):
    """The recordings cannot be read or written now: a retry may help."""


@dataclass(frozen=True)
class Material:
    """Times in seconds of the call."""

    public_id: str
    seconds: float
    hints: tuple[str, ...]
    rep_said: tuple[Said, ...]
    persona_said: tuple[Said, ...]
    rep: ChannelTape
    persona: ChannelTape
    chunks: tuple[HeardChunk, ...]  # done already


def material_read(*, tenant_id: uuid.UUID, call_id: uuid.UUID) -> Material:
    with tenant_scope(tenant_id):
        call = Call.objects.select_related("drill").get(pk=call_id)
        said = [(turn.role, _said(turn)) for turn in call.turns.all()]
        tapes = {
            channel: ChannelTape(_parts(call, channel), part_read, call.public_id)
            for channel in RecordingPart.Channel
        }
        return Material(
            public_id=call.public_id,
            seconds=_seconds(call, tapes.values()),
            hints=tuple(call.drill.pack.get("hints", ())),
            rep_said=tuple(turn for role, turn in said if role == Turn.Role.USER),
            persona_said=tuple(turn for role, turn in said if role == Turn.Role.ASSISTANT),
            rep=tapes[RecordingPart.Channel.REP],
            persona=tapes[RecordingPart.Channel.PERSONA],
            chunks=tuple(call.heard_chunks.all()),
        )


def part_read(name: str) -> bytes | None:
    """A recorded file, None when it is gone."""
    try:
        with default_storage.open(name) as file:
            data: bytes = file.read(_LARGEST_PART)
            return data
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise StorageUnavailable from problem


def _seconds(call: Call, tapes: Iterable[ChannelTape]) -> float:
    """The length of the call: to its end, or to the last sound that was kept."""
    ends = [part.end for tape in tapes for part in tape.parts]
    if call.started_at is not None and call.ended_at is not None:
        ends.append((call.ended_at - call.started_at).total_seconds())
    return max(ends, default=0.0)


def _said(turn: Turn) -> Said:
    # What is no silence of the rep's: our answer's time, and a pause that the rep asked for.
    lag = (float(turn.latency.get("total", 0.0)) + float(turn.latency.get("paused", 0.0))) / 1000
    return Said(turn.text, turn.start_time, turn.end_time, turn.interrupted, lag)


def _parts(call: Call, channel: str) -> tuple[PartRow, ...]:
    rows = call.recording_parts.filter(channel=channel).order_by("epoch", "offset", "number")
    return tuple(PartRow(row.epoch, row.offset, row.duration, str(row.file)) for row in rows)
