"""What the persona says, frame by frame. No clock: one call of `next` is 20 ms."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from calls.live.events import FRAME_SECONDS, LineEnded, LineStarted

MAX_LINES = 64  # waiting; a reply has a handful
MAX_FRAMES = 3000  # of one line: a minute


class PlayoutFull(Exception):
    """More was queued than a conversation can use; somebody upstream has lost count."""


class Clip:
    """The packets of one line, 20 ms each. May grow while it plays, until it is closed."""

    def __init__(self, packets: Iterable[bytes] = (), *, closed: bool = False) -> None:
        self.packets: list[bytes] = []
        self.closed = False
        self.extend(packets)
        self.closed = closed

    def extend(self, packets: Iterable[bytes]) -> None:
        """Add what the voice has made since."""
        if self.closed:
            raise ValueError("the clip is closed")
        more = list(packets)
        if len(self.packets) + len(more) > MAX_FRAMES:
            raise PlayoutFull("the line is longer than a minute")
        self.packets.extend(more)

    def close(self) -> None:
        """Nothing more will come. Closing twice is harmless."""
        self.closed = True


@dataclass(frozen=True, slots=True)
class Cut:
    """A line that was stopped. `known` grows with an open clip; `open` says it might have grown."""

    line: int
    played: int  # frames
    known: int  # frames
    open: bool

    @property
    def heard(self) -> float:
        """The share of the known frames that was played, 0..1."""
        return self.played / self.known if self.known else 0.0


@dataclass(slots=True)
class _Line:
    id: int
    clip: Clip
    played: int = 0


class Playout:
    """A queue of lines, played one after the other without a gap.

    `on_event` hears LineStarted and LineEnded, their `at` in seconds of `position`; it is called
    from within `next` and `stop` and must not call back into the playout.
    """

    def __init__(self, on_event: Callable[[LineStarted | LineEnded], None]) -> None:
        self.underruns = 0  # frames of silence inside an open clip: the voice was too slow
        self._on_event = on_event
        self._lines: deque[_Line] = deque()
        self._frames = 0
        self._paused = False

    @property
    def position(self) -> float:
        """Seconds given out so far, silence included."""
        return self._frames * FRAME_SECONDS

    @property
    def speaking(self) -> bool:
        """Whether a line has begun and goes on. False while paused."""
        return bool(self._lines) and self._lines[0].played > 0 and not self._paused

    @property
    def pending(self) -> bool:
        """Whether anything is left to play, paused or not."""
        return bool(self._lines)

    @property
    def paused(self) -> bool:
        return self._paused

    def add(self, line: int, clip: Clip | list[bytes]) -> None:
        """Queue a line behind the others."""
        if len(self._lines) >= MAX_LINES:
            raise PlayoutFull("too many lines are waiting")
        if not isinstance(clip, Clip):
            clip = Clip(clip, closed=True)
        self._lines.append(_Line(line, clip))

    def next(self) -> bytes | None:
        """The packet of the next 20 ms; None for silence."""
        packet = None if self._paused else self._take()
        self._frames += 1
        return packet

    def skip_to(self, at: float) -> None:
        """No connection asked for the frames before `at`: the time line goes on from there."""
        self._frames = max(self._frames, round(at / FRAME_SECONDS))

    def pause(self) -> None:
        """Hold the line where it is: perhaps the rep only coughed."""
        self._paused = True

    def resume(self) -> None:
        """Go on with the frame that was next."""
        self._paused = False

    def rewind(self, before: Iterable[tuple[int, list[bytes]]] = ()) -> None:
        """The line that has begun begins again, after those of `before`: nobody heard them."""
        if self._lines:
            self._lines[0].played = 0
        again = [_Line(line, Clip(packets, closed=True)) for line, packets in before]
        self._lines.extendleft(reversed(again))

    def stop(self) -> list[Cut]:
        """Empty at once. Tells what was cut, the line being played first, the unheard after it."""
        self._drop_finished()
        cuts = [
            Cut(line.id, line.played, len(line.clip.packets), not line.clip.closed)
            for line in self._lines
        ]
        self._lines.clear()
        self._paused = False
        for cut in cuts:
            if cut.played:
                self._on_event(LineEnded(self.position, cut.line, cut.heard, cut=True))
        return cuts

    def _take(self) -> bytes | None:
        self._drop_finished()
        if not self._lines:
            return None
        line = self._lines[0]
        if line.played == len(line.clip.packets):
            self.underruns += line.played > 0
            return None
        if line.played == 0:
            self._on_event(LineStarted(self.position, line.id))
        packet = line.clip.packets[line.played]
        line.played += 1
        return packet

    def _drop_finished(self) -> None:
        """A line ends when the frame after its last one is asked for: its sound is out then."""
        while self._lines:
            line = self._lines[0]
            if not line.clip.closed or line.played < len(line.clip.packets):
                return
            self._lines.popleft()
            self._on_event(LineEnded(self.position, line.id, 1.0, cut=False))
