"""What a sequence of RTP packets says about time: their order, their holes, the sender's clock.

Pure: packets and arrival times in, ordered pieces out.
"""

from dataclasses import dataclass

from calls.live.events import FRAME_SAMPLES, WIRE_RATE

MAX_HOLE_SAMPLES = 30 * WIRE_RATE  # a longer silence is no hole but a new start
_SEQUENCES = 1 << 16
_TIMESTAMPS = 1 << 32
_REORDERED = 1000  # sequence numbers behind us that may still be the same stream: 20 s
_WINDOW_SECONDS = 10.0
_MOST_REDUNDANT = 8  # browsers send one, two at most


@dataclass(frozen=True, slots=True)
class Piece:
    """A packet in its order, or a hole (`payload` None). Samples count at 48 kHz from 0."""

    payload: bytes | None
    samples: int
    position: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    payload: bytes
    samples: int
    timestamp: int
    arrived_at: float


def unpack_redundant(data: bytes) -> list[tuple[int, bytes]]:
    """The packets inside one of `audio/red` (RFC 2198), oldest first, the packet itself last.

    Each with the samples by which it lies before the last. Raises ValueError on what is malformed.
    """
    headers: list[tuple[int, int]] = []  # samples before, bytes
    at = 0
    while at < len(data) and data[at] & 0x80:
        header = int.from_bytes(data[at + 1 : at + 4])
        headers.append((header >> 10, header & 0x3FF))
        at += 4
        if len(headers) > _MOST_REDUNDANT:
            raise ValueError("too many packets in one")
    at += 1  # the last header has one byte
    blocks = []
    for before, size in headers:
        blocks.append((before, data[at : at + size]))
        at += size
    if at >= len(data):
        raise ValueError("a packet of packets ends too soon")
    return [*blocks, (0, data[at:])]


class JitterBuffer:
    """Orders packets and finds holes. Adds no delay while nothing is missing.

    A missing packet is waited for until one comes that is more than `hold` places behind it; then
    the hole is reported in pieces of at most 20 ms. Positions follow the RTP timestamps; where
    those jump (another source, an absurd value), the arrival times bridge the gap.
    """

    def __init__(self, hold: int = 2) -> None:
        self.lost = 0  # packets given up
        self.late = 0  # came after their turn, or twice
        self._hold = hold
        self._waiting: dict[int, _Waiting] = {}
        self._next: int | None = None  # sequence number
        self._timestamp = 0  # that the next packet should carry
        self._position = 0
        self._arrived_at: float | None = None  # of the last piece handed out
        self._anchored = False

    def restart(self) -> None:
        """Another source follows: its numbers and timestamps have nothing to do with these."""
        self._waiting.clear()
        self._next = None
        self._anchored = False

    def misses(self, sequence: int) -> bool:
        """Whether the packet of this number is still to come."""
        if self._next is None or sequence in self._waiting:
            return False
        return (sequence - self._next) % _SEQUENCES < _REORDERED

    def push(
        self, sequence: int, timestamp: int, payload: bytes, samples: int, arrived_at: float
    ) -> list[Piece]:
        """What is ready now. `samples` is the length of the packet, `arrived_at` in seconds."""
        if self._next is not None and not self._expects(sequence):
            self.late += 1
            return []
        if self._next is None:
            self._next = sequence
        self._waiting[sequence] = _Waiting(payload, samples, timestamp, arrived_at)
        return self._ready()

    def _expects(self, sequence: int) -> bool:
        """Whether the number is still to come. A jump far back starts the stream anew."""
        assert self._next is not None
        behind = (self._next - sequence) % _SEQUENCES
        if 0 < behind < _REORDERED or sequence in self._waiting:
            return False
        if behind >= _REORDERED and behind < _SEQUENCES // 2:
            self.restart()
        return True

    def _ready(self) -> list[Piece]:
        assert self._next is not None
        pieces: list[Piece] = []
        while self._waiting:
            waiting = self._waiting.pop(self._next, None)
            if waiting is not None:
                self._hand_out(waiting, pieces)
                self._next = (self._next + 1) % _SEQUENCES
                continue
            ahead = [(sequence - self._next) % _SEQUENCES for sequence in self._waiting]
            if max(ahead) <= self._hold:
                break
            self.lost += min(ahead)
            self._next = (self._next + min(ahead)) % _SEQUENCES
        return pieces

    def _hand_out(self, waiting: _Waiting, pieces: list[Piece]) -> None:
        hole = self._hole(waiting)
        while hole > 0:
            samples = min(hole, FRAME_SAMPLES)
            pieces.append(Piece(None, samples, self._position))
            self._position += samples
            hole -= samples
        pieces.append(Piece(waiting.payload, waiting.samples, self._position))
        self._position += waiting.samples
        self._timestamp = (waiting.timestamp + waiting.samples) % _TIMESTAMPS
        self._arrived_at = waiting.arrived_at
        self._anchored = True

    def _hole(self, waiting: _Waiting) -> int:
        """Samples between the end of the last piece and this packet."""
        if self._arrived_at is None:
            return 0
        if self._anchored:
            ahead = (waiting.timestamp - self._timestamp) % _TIMESTAMPS
            if ahead <= MAX_HOLE_SAMPLES:
                return ahead
            if ahead >= _TIMESTAMPS - MAX_HOLE_SAMPLES:
                return 0  # the sender repeats itself a little
        silent = int((waiting.arrived_at - self._arrived_at) * WIRE_RATE) - waiting.samples
        return max(0, min(silent, MAX_HOLE_SAMPLES))


class SenderClock:
    """Puts the sender's samples on our clock: when each was captured, had its packet not been late.

    The fastest packets of the last ten to twenty seconds tell the offset between the clocks, so
    jitter does not show and the sender's clock may run at its own rate (a sound card is off by up
    to 0.1 ‰, 180 ms in half an hour). Times never run backwards.
    """

    def __init__(self) -> None:
        self._offset: float | None = None  # of the window before
        self._window: float | None = None  # smallest offset of this window
        self._window_end = 0.0
        self._last = float("-inf")

    def observe(self, end: int, arrived_at: float) -> None:
        """A packet that ends before sample `end` came at `arrived_at` (our clock, seconds)."""
        offset = arrived_at - end / WIRE_RATE
        if self._window is None or arrived_at >= self._window_end:
            self._offset, self._window = self._window, offset
            self._window_end = arrived_at + _WINDOW_SECONDS
        self._window = min(self._window, offset)

    def at(self, position: int) -> float:
        """When sample `position` belongs on our clock."""
        offsets = [o for o in (self._offset, self._window) if o is not None]
        if not offsets:
            raise ValueError("no packet has arrived yet")
        self._last = max(self._last, min(offsets) + position / WIRE_RATE)
        return self._last
