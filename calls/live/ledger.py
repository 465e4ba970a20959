"""What the ledger of a call measures while it goes on. Pure: sound and times in, figures out.

Times are seconds of the call, figures milliseconds. What each figure means: docs/latency.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from calls.live.events import FRAME_SECONDS, WIRE_RATE, Pcm

AUDIBLE = 0.00316  # -50 dBFS
_LOOK_AT = 100  # packets, two seconds: a line that is silent for longer has no first sound here


def first_sound(pcm: Pcm, rate: int) -> float | None:
    """Seconds from the start of `pcm` to its first 10 ms above -50 dBFS; None when all is quiet."""
    hop = rate // 100
    blocks = pcm[: len(pcm) // hop * hop].astype(np.float32).reshape(-1, hop) / 32768.0
    loud = np.flatnonzero(np.sqrt(np.mean(np.square(blocks), axis=1)) > AUDIBLE)
    return float(loud[0]) / 100 if len(loud) else None


def leading_silence(packets: Sequence[bytes], decode: Callable[[bytes], Pcm]) -> float:
    """Seconds of silence before the first sound of an encoded line. `decode` is for this alone."""
    for number, packet in enumerate(packets[:_LOOK_AT]):
        sound = first_sound(decode(packet), WIRE_RATE)
        if sound is not None:
            return number * FRAME_SECONDS + sound
    return min(len(packets), _LOOK_AT) * FRAME_SECONDS


@dataclass(slots=True)
class Overlaps:
    """The rep speaking over one reply: how soon it fell silent, and how often for nothing."""

    began_at: float | None = None  # the rep's first sound
    silent_at: float | None = None  # the persona's last frame was out
    false_stops: int = 0
    stopped_after: float | None = None  # seconds from the first to the last of these

    def silenced(self, at: float) -> None:
        if self.silent_at is None:
            self.silent_at = at

    def let_pass(self) -> None:
        """It was nothing: the persona went on."""
        self.false_stops += self.silent_at is not None
        self.silent_at = None

    def interrupted(self, at: float) -> None:
        """The rep took the floor, by `at` at the latest in silence."""
        self.silenced(at)
        if self.began_at is not None and self.silent_at is not None:
            self.stopped_after = max(0.0, self.silent_at - self.began_at)

    def figures(self) -> dict[str, float]:
        """The parts of the persona's turn that tell of it; empty when nobody spoke over it."""
        figures = {"false_stops": float(self.false_stops)} if self.false_stops else {}
        if self.stopped_after is not None:
            figures["barge_in"] = 1000 * self.stopped_after
        return figures
