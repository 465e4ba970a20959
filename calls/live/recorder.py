"""The recording: two channels of Opus packets on the time line of the call, in parts of seconds.

Nothing is decoded or encoded. Each part says at which second of the call its first sample lies;
inside a part every packet follows the one before, holes filled with silent packets. A part is
anchored anew at the time of its first packet, so the drift between the rep's sound card and our
clock (well under 1 ms in 5 s) never adds up, and `codec.decode_parts` puts the parts in place.
"""

import secrets
from collections.abc import Callable

from calls.live import codec
from calls.live.events import FRAME_SAMPLES, WIRE_RATE, Part
from calls.sound import ogg

MAX_PART_SECONDS = 60.0
_TOLERANCE = FRAME_SAMPLES  # samples a packet may be off its place before time is mended


class Recorder:
    """Both channels of one call. `on_part` gets each finished part and must not wait.

    `part_seconds` is what a crash may cost. Times are seconds of the call and belong to the first
    sample of the packet: for the rep `captured_at` of the peer, for the persona the time for which
    the frame was sent.
    """

    def __init__(self, on_part: Callable[[Part], None], part_seconds: float = 5.0) -> None:
        if not 0 < part_seconds <= MAX_PART_SECONDS:
            raise ValueError("a part is longer than nothing and at most a minute")
        self._rep = _Channel("rep", on_part, part_seconds)
        self._persona = _Channel("persona", on_part, part_seconds)
        self._closed = False

    def rep(self, at: float, packet: bytes | None) -> None:
        """One packet of the microphone; None for 20 ms that were lost."""
        if not self._closed:
            self._rep.add(at, packet)

    def persona(self, at: float, packet: bytes | None) -> None:
        """One packet as sent; None for 20 ms of silence."""
        if not self._closed:
            self._persona.add(at, packet)

    def close(self) -> None:
        """Hand over what is left. What comes later belongs to no call."""
        self._closed = True
        self._rep.flush()
        self._persona.flush()


class _Channel:
    """One channel: packets in, parts out. Holds at most one part."""

    def __init__(self, name: str, on_part: Callable[[Part], None], part_seconds: float) -> None:
        self._name = name
        self._on_part = on_part
        self._limit = round(part_seconds * WIRE_RATE)
        self._serial = secrets.randbits(32)
        self._number = 0
        self._start = 0.0  # of the part
        self._end = float("-inf")  # of all that was recorded
        self._samples = 0
        self._packets: list[bytes] = []
        self._lengths: list[int] = []

    def add(self, at: float, packet: bytes | None) -> None:
        packet, samples = _packet_or_silence(packet)
        if at < self._end - _TOLERANCE / WIRE_RATE:
            return  # another connection, or a clock put back: that time is recorded already
        if self._packets:
            self._mend(at)
        if not self._packets:
            self._start = at
        self._append(packet, samples)
        if self._samples >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Finish the part, if there is one."""
        if not self._packets:
            return
        data = ogg.write(self._packets, self._lengths, serial=self._serial)
        duration = self._samples / WIRE_RATE
        part = Part(self._name, self._number, self._start, duration, data)
        self._number += 1
        self._samples = 0
        self._packets, self._lengths = [], []
        self._on_part(part)

    def _mend(self, at: float) -> None:
        """Fill what is missing before `at`, or begin a new part when it would not fit."""
        missing = round((at - self._end) * WIRE_RATE)
        if missing < _TOLERANCE:
            return
        if self._samples + missing >= self._limit:
            self.flush()
            return
        for _ in range(missing // FRAME_SAMPLES):
            self._append(codec.SILENT_PACKET, FRAME_SAMPLES)

    def _append(self, packet: bytes, samples: int) -> None:
        self._packets.append(packet)
        self._lengths.append(samples)
        self._samples += samples
        self._end = self._start + self._samples / WIRE_RATE


def _packet_or_silence(packet: bytes | None) -> tuple[bytes, int]:
    """The packet and its length. What is no Opus keeps its time and loses its sound."""
    if packet is not None:
        try:
            return packet, codec.packet_samples(packet)
        except codec.CodecError:
            pass
    return codec.SILENT_PACKET, FRAME_SAMPLES
