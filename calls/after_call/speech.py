"""Where somebody speaks, and how that is cut into pieces for a recogniser. Pure.

Silence is never given to a recogniser: Whisper answers it with sentences that nobody said.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calls.ports import SPEECH_RATE, Pcm

WINDOW = 512  # samples at 16 kHz: one probability of the speech detector
WINDOW_SECONDS = WINDOW / SPEECH_RATE

_BEGINS, _GOES_ON = 0.5, 0.35  # probabilities of speech
_PAUSE = 0.3  # seconds below that end a stretch
_SHORTEST = 0.1  # seconds; a "no" lasts twice that
_BEFORE, _AFTER = 0.2, 0.3  # seconds kept around a stretch: soft beginnings and ends
_MARGIN = 0.1  # seconds that a word may reach beyond it: recognisers put first words too early
PIECE_SECONDS = 28.0  # with a little silence, one window of Whisper
_LONGEST = PIECE_SECONDS - _BEFORE - _AFTER
_TOGETHER = 1.0  # seconds; a longer pause ends the piece

_HOP = 0.01  # seconds, the grain of `loud_stretches`
_LOUD = 0.00316  # RMS, -50 dBFS: the persona's channel is silence or a voice, nothing between
_LOUD_PAUSE = 0.15  # seconds


@dataclass(frozen=True, slots=True)
class Stretch:
    """Continuous speech, seconds; `sure` is the detector's mean probability."""

    start: float
    end: float
    sure: float = 1.0


@dataclass(frozen=True)
class Piece:
    """Sound for one request to a recogniser: a turn, or what fits of it.

    Each turn goes alone. Whisper that is given several at once, with the silence between them cut
    short, is faster and now and then leaves out all but the first.
    """

    pcm: Pcm
    start: float  # seconds of the call
    stretches: tuple[Stretch, ...]

    @property
    def spoken(self) -> float:
        """Seconds of speech."""
        return sum(stretch.end - stretch.start for stretch in self.stretches)

    @property
    def sure(self) -> float:
        """How sure the detector was of speech, 0..1."""
        return max(stretch.sure for stretch in self.stretches)

    def placed(self, start: float, end: float) -> tuple[float, float]:
        """Seconds of the piece as seconds of the call, held to the stretch where they lie."""
        middle = self.start + (start + end) / 2
        near = min(self.stretches, key=lambda s: max(s.start - middle, middle - s.end, 0.0))
        lowest, highest = near.start - _MARGIN, near.end + _MARGIN
        since, until = (
            min(max(self.start + at, lowest), highest) for at in (start, max(start, end))
        )
        return since, until


def speech_stretches(chances: Sequence[float], *, start: float = 0.0) -> list[Stretch]:
    """Speech from the detector's probabilities, one for every 32 ms from second `start` on."""
    found: list[Stretch] = []
    first: int | None = None
    last = 0
    for index, chance in enumerate([*chances, *[0.0] * round(_PAUSE / WINDOW_SECONDS + 1)]):
        if first is None:
            if chance >= _BEGINS:
                first = last = index
        elif chance >= _GOES_ON:
            last = index
        elif (index - last) * WINDOW_SECONDS >= _PAUSE:
            sure = float(np.mean(chances[first : last + 1]))
            begin, end = (start + n * WINDOW_SECONDS for n in (first, last + 1))
            if end - begin >= _SHORTEST:
                found.append(Stretch(begin, end, sure))
            first = None
    return found


def loud_stretches(pcm: Pcm, *, rate: int, start: float = 0.0) -> list[Stretch]:
    """Where a channel without background noise sounds. Bounds are exact to 10 ms."""
    hop = int(rate * _HOP)
    whole = pcm[: len(pcm) // hop * hop].reshape(-1, hop).astype(np.float32) / 32768
    loud = np.flatnonzero(np.sqrt(np.mean(whole * whole, axis=1)) > _LOUD)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) * _HOP > _LOUD_PAUSE)
    firsts = loud[np.concatenate(([0], breaks + 1))]
    lasts = loud[np.concatenate((breaks, [len(loud) - 1]))]
    return [
        Stretch(start + float(first) * _HOP, start + float(last + 1) * _HOP)
        for first, last in zip(firsts, lasts, strict=True)
    ]


def quiet_moment(stretches: Sequence[Stretch], *, start: float, end: float) -> float:
    """The middle of the longest pause between `start` and `end`, at `end` if there is none."""
    inner = [stretch for stretch in stretches if stretch.end > start and stretch.start < end]
    edges = [start, *(edge for s in inner for edge in (max(s.start, start), min(s.end, end))), end]
    pauses = [(edges[n + 1] - edges[n], edges[n]) for n in range(0, len(edges), 2)]
    length, begin = max(pauses)
    return begin + length / 2 if length > 0 else end


def pieces(pcm: Pcm, stretches: Sequence[Stretch], *, start: float) -> Iterator[Piece]:
    """All speech in `pcm` (16 kHz, from second `start` of the call on), PIECE_SECONDS at most."""
    end = start + len(pcm) / SPEECH_RATE
    groups = _groups([part for stretch in stretches for part in _shortened(stretch)])
    for number, group in enumerate(groups):
        # A little around it, but never what belongs to the neighbour.
        before = (groups[number - 1][-1].end + group[0].start) / 2 if number else start
        after = (
            (group[-1].end + groups[number + 1][0].start) / 2 if number + 1 < len(groups) else end
        )
        since = max(group[0].start - _BEFORE, before)
        until = min(group[-1].end + _AFTER, after)
        first, last = (max(0, round((at - start) * SPEECH_RATE)) for at in (since, until))
        yield Piece(pcm[first:last], start + first / SPEECH_RATE, tuple(group))


def _groups(stretches: Sequence[Stretch]) -> list[list[Stretch]]:
    """Stretches that belong together, as far as they fit."""
    groups: list[list[Stretch]] = []
    for stretch in stretches:
        if (
            groups
            and stretch.start - groups[-1][-1].end < _TOGETHER
            and stretch.end - groups[-1][0].start <= _LONGEST
        ):
            groups[-1].append(stretch)
        else:
            groups.append([stretch])
    return groups


def _shortened(stretch: Stretch) -> Iterator[Stretch]:
    """A stretch that fits a piece as it is, else in even parts."""
    count = max(1, math.ceil((stretch.end - stretch.start) / _LONGEST))
    size = (stretch.end - stretch.start) / count
    for number in range(count):
        begin = stretch.start + number * size
        yield Stretch(begin, begin + size, stretch.sure)
