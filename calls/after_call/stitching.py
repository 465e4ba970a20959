"""The parts of one channel as continuous sound, any stretch of it, in bounded memory.

Several workers may have carried the call, each with its own epoch. From the first part of an epoch
on, what older epochs still recorded is void: their browser had left.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calls.ports import Pcm
from calls.sound import ogg
from calls.sound.opus import WIRE_RATE, decode_parts

logger = logging.getLogger(__name__)

_LEAD = 1.0  # seconds decoded before a stretch, so that the decoder has settled


@dataclass(frozen=True, slots=True)
class PartRow:
    """A recorded part: where its sound lies (seconds of the call), and its file."""

    epoch: int
    offset: float
    duration: float
    name: str

    @property
    def end(self) -> float:
        return self.offset + self.duration


@dataclass(frozen=True)
class ChannelTape:
    """One channel of a call. `read` gives a file's bytes, None when there is no such file."""

    parts: Sequence[PartRow]
    read: Callable[[str], bytes | None]
    call_id: str = ""  # public, for the log

    def sound(self, start: float, end: float) -> Iterator[Pcm]:
        """From `start` to `end` (seconds of the call) at 48 kHz, in pieces of about a second.

        Exactly that long: what was not recorded is silence.
        """
        waiting: list[Pcm] = []
        for since, until, parts in self._epochs(start, end):
            for pcm in self._stretch(parts, since, until):
                waiting.append(pcm)
                if sum(map(len, waiting)) >= WIRE_RATE:
                    yield np.concatenate(waiting)
                    waiting = []
        if waiting:
            yield np.concatenate(waiting)

    def covered(self, start: float, end: float) -> float:
        """How much of this stretch was recorded, 0..1."""
        if end <= start:
            return 0.0
        spans = sorted((max(start, part.offset), min(end, part.end)) for part in self.parts)
        total, reached = 0.0, start
        for since, until in spans:
            total += max(0.0, until - max(since, reached))
            reached = max(reached, until)
        return total / (end - start)

    def _epochs(self, start: float, end: float) -> Iterator[tuple[float, float, list[PartRow]]]:
        """The stretch, cut where an epoch takes over; with the parts of each."""
        begins = {
            epoch: min(part.offset for part in self.parts if part.epoch == epoch)
            for epoch in {part.epoch for part in self.parts}
        }
        position = start
        for epoch in sorted(begins):
            later = [begins[other] for other in begins if other > epoch]
            until = min([end, *later])
            if until > position:
                parts = [part for part in self.parts if part.epoch == epoch]
                yield position, until, sorted(parts, key=lambda part: part.offset)
                position = until
        if position < end:
            yield position, end, []

    def _stretch(self, parts: Sequence[PartRow], start: float, end: float) -> Iterator[Pcm]:
        left = round(end * WIRE_RATE) - round(start * WIRE_RATE)
        near = [part for part in parts if part.end > start - _LEAD and part.offset < end]
        opened = ((part.offset - start, data) for part in near if (data := self._open(part)))
        for pcm in decode_parts(opened):
            piece = pcm[:left]
            left -= len(piece)
            if len(piece):
                yield piece
            if left <= 0:
                return
        while left > 0:
            piece = np.zeros(min(left, WIRE_RATE), np.int16)
            left -= len(piece)
            yield piece

    def _open(self, part: PartRow) -> bytes | None:
        """The part's bytes; None where it is lost or damaged: the call is worth more than it."""
        data = self.read(part.name)
        if data is not None:
            try:
                ogg.read(data)
            except ogg.OggError:
                data = None
        if data is None:
            facts = {"call_id": self.call_id, "epoch": part.epoch, "offset": part.offset}
            logger.warning("recording_part_unreadable", extra=facts)
        return data
