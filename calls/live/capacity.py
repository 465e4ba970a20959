"""How many calls a worker takes: measured at its start, and fewer while it is late. Pure.

What one call asks for comes from bench/LOG.md: a rep's minute has about six turns, each recognised
two or three times because words are wanted at every inner pause.
"""

import math

WORDS_A_MINUTE = 18.0  # passes of recognition that a conversation asks for in a minute
BUSY = 0.6  # share of the time that recognition may work before passes wait for each other
MOST = 30  # calls in one process, whatever the machine: its one loop paces all of them
MEDIA_BUSY = 0.5  # share of a core for packets, detector and codec
LATE = 0.040  # seconds: two frames; less is hidden by what browsers hold back
LATE_SHARE = 0.02  # of the looks of a window that may be that late
CALM_WINDOWS = 3  # without lag until one more call is taken
WINDOW_SECONDS = 10.0
LOOK_SECONDS = 0.04


def slots_measured(*, words_seconds: float | None, media_share: float) -> int:
    """Calls that a worker can carry, one at least.

    `words_seconds` is what one pass of recognition takes on our own speech process, None where
    somebody else's machines do it. `media_share` is what one call's audio costs, of a core.
    """
    limits = [MOST, MEDIA_BUSY / max(media_share, 1e-6)]
    if words_seconds is not None:
        limits.append(BUSY * 60 / (WORDS_A_MINUTE * max(words_seconds, 1e-6)))
    return max(1, math.floor(min(limits)))


class Admission:
    """How many calls are taken now, from how late the loop is. Never more than `slots`."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.limit = slots
        self._calm = 0

    def window(self, late: list[float], *, calls: int) -> int:
        """What is taken from now on. `late`: by how many seconds the loop missed each look of the
        window, while it carried so many calls.

        One call was too many then. Without a call it is somebody else who loads the machine, and
        nothing is learned; one call is always tried.
        """
        misses = sum(1 for seconds in late if seconds > LATE)
        if calls and misses > LATE_SHARE * len(late):
            self._calm = 0
            self.limit = max(1, min(self.limit, calls - 1))
            return self.limit
        self._calm += 1
        if self._calm >= CALM_WINDOWS and self.limit < self.slots:
            self._calm = 0
            self.limit += 1
        return self.limit
