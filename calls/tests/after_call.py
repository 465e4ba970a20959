"""Ended calls for tests: rows and recorded parts as a live worker leaves them."""

import io
import time
import uuid
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
from django.db.models.functions import Now
from scipy.signal import resample_poly

from calls.live.codec import encode_clip
from calls.live.events import WIRE_RATE, Pcm
from calls.live.recorder import Recorder
from calls.models import Call, LiveSlot
from calls.services import live
from calls.tests.making import Integrator, make_drill, make_integrator, make_worker, redeem
from tenants.isolation import tenant_scope
from tests import clips


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * WIRE_RATE), np.int16)


@dataclass
class Channel:
    """Sound laid on a time line."""

    seconds: float
    sound: Pcm = field(init=False)

    def __post_init__(self) -> None:
        self.sound = silence(self.seconds)

    def lay(self, at: float, pcm: Pcm) -> float:
        """Put a sound at that second; the second at which it ends."""
        begin = round(at * WIRE_RATE)
        self.sound[begin : begin + len(pcm)] = pcm[: len(self.sound) - begin]
        return at + len(pcm) / WIRE_RATE


@dataclass
class LiveCall:
    """A call in progress, written to as a live worker writes."""

    integrator: Integrator
    owned: live.OwnedCall
    worker_id: uuid.UUID
    turns: int = 0

    def said(self, role: str, text: str, start: float, end: float, **values: object) -> None:
        self.turns += 1
        times = {"role": role, "text": text, "start_time": start, "end_time": end}
        live.turn_add(call=self.owned, number=self.turns, values=times | values)

    def record(
        self, *, rep: Pcm | None = None, persona: Pcm | None = None, at: float = 0.0
    ) -> None:
        """Record both channels from second `at` on, as the live call does."""
        recorder = Recorder(lambda part: live.recording_part_add(
            call=self.owned, channel=part.channel, number=part.number, offset=part.offset,
            duration=part.duration, data=part.data,
        ))  # fmt: skip
        for pcm, add in ((rep, recorder.rep), (persona, recorder.persona)):
            if pcm is not None:
                for number, packet in enumerate(encode_clip(pcm)):
                    add(at + number * 0.02, packet)
        recorder.close()

    def taken_over(self) -> None:
        """Another worker carries on."""
        self.owned = live.call_take(
            tenant_id=self.owned.tenant_id, call_id=self.owned.id, worker_id=self.worker_id
        )

    def end(self, seconds: float) -> Call:
        live.call_end(call=self.owned, reason="rep_ended", seconds=seconds)
        return self.now()

    def now(self) -> Call:
        with tenant_scope(self.owned.tenant_id):
            return Call.objects.get(pk=self.owned.id)


def live_call(name: str = "Acme", **pack: object) -> LiveCall:
    """A call that began an hour ago and is carried by a worker."""
    make_drill(version=int(time.monotonic_ns() % 1_000_000_000), **pack)
    worker = make_worker(slots=1)
    integrator = make_integrator(name)
    answer = redeem(integrator.token())
    assert answer.status_code == 200, answer.content
    call_id = LiveSlot.objects.get(worker=worker).call_id
    owned = live.call_take(tenant_id=integrator.tenant.pk, call_id=call_id, worker_id=worker.pk)
    live.call_live(call=owned)
    with tenant_scope(owned.tenant_id):
        Call.objects.filter(pk=owned.id).update(started_at=Now() - timedelta(hours=1))
    return LiveCall(integrator, owned, worker.pk)


def spoken(text: str, socket: Path, voice: str) -> Pcm:
    """A line by a voice of the speech server, at the rate of the wire."""
    with wave.open(io.BytesIO(clips.spoken(text, socket, voice=voice).wav)) as file:
        rate = file.getframerate()
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    sound = resample_poly(pcm.astype(float), WIRE_RATE // rate, 1)
    return np.clip(sound, -32768, 32767).astype(np.int16)


def lines_of(call: Call) -> Sequence:
    with tenant_scope(call.tenant_id):
        return list(call.transcript_lines.all())
