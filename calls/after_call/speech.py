"""Where somebody speaks, and how that is cut into pieces for a recogniser. Pure.

Silence is never given to a recogniser: Whisper answers it with sentences that nobody said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calls.ports import SPEECH_RATE, Pcm

WINDOW = 512  # samples at 16 kHz: one probability of the speech detector
WINDOW_SECONDS = WINDOW / SPEECH_RATE

_BEGINS, _GOES_ON = 0.5, 0.35  # probabilities of speech
_PAUSE = 0.3  # seconds below that end a stretch
_SHORTEST = 0.1  # seconds; a "no" lasts twice that
_BEFORE, _AFTER = 0.2, 0.3  # seconds kept around a stretch: soft beginnings and ends
PIECE_SECONDS = 28.0  # with a little silence, one window of Whisper
_JOIN = 0.3  # seconds of silence between the stretches of a piece
_CUT_SEARCH = 8.0  # seconds at the end of a piece in which a long stretch may be cut

_HOP = 0.01  # seconds, the grain of `loud_stretches`
_LOUD = 0.00316  # RMS, -50 dBFS: the persona's channel is silence or a voice, nothing between
_LOUD_PAUSE = 0.15  # seconds


@dataclass(frozen=True, slots=True)
class Stretch:
    """Continuous speech, seconds; `sure` is the detector's mean probability."""

    start: float
    end: float
    sure: float = 1.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a stretch of the call stands in a piece. Seconds."""

    inside: float  # from the start of the piece
    start: float  # in the call
    end: float
    stretch: Stretch


@dataclass(frozen=True)
class Piece:
    """Sound for one request to a recogniser: stretches of speech with the silence cut out."""

    pcm: Pcm
    places: tuple[_Place, ...]

    def place(self, at: float) -> _Place:
        """The stretch that sounds at this second of the piece."""
        later = [place for place in self.places if place.inside <= at]
        return later[-1] if later else self.places[0]

    def time(self, at: float, place: _Place) -> float:
        """A second of the piece as a second of the call, held inside the stretch given."""
        return min(max(place.start + at - place.inside, place.start), place.end)


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
    waiting: list[tuple[float, float, Stretch]] = []
    length = 0.0
    for since, until, stretch in _padded(stretches, start, end):
        more = until - since + (_JOIN if waiting else 0.0)
        if waiting and length + more > PIECE_SECONDS:
            yield _piece(pcm, waiting, start)
            waiting, length, more = [], 0.0, until - since
        waiting.append((since, until, stretch))
        length += more
    if waiting:
        yield _piece(pcm, waiting, start)


def _padded(
    stretches: Sequence[Stretch], start: float, end: float
) -> Iterator[tuple[float, float, Stretch]]:
    """Each stretch with what is kept around it, never more than halfway to its neighbour."""
    short = [part for stretch in stretches for part in _shortened(stretch)]
    for number, stretch in enumerate(short):
        before = (short[number - 1].end + stretch.start) / 2 if number else start
        after = (stretch.end + short[number + 1].start) / 2 if number + 1 < len(short) else end
        since = max(stretch.start - _BEFORE, before, start)
        yield since, min(stretch.end + _AFTER, after, end), stretch


def _shortened(stretch: Stretch) -> Iterator[Stretch]:
    """A stretch that fits a piece as it is, else in even parts."""
    most = PIECE_SECONDS - _BEFORE - _AFTER
    count = int(-(-(stretch.end - stretch.start) // most)) or 1
    size = (stretch.end - stretch.start) / count
    for number in range(count):
        begin = stretch.start + number * size
        yield Stretch(begin, begin + size, stretch.sure)


def _piece(pcm: Pcm, taken: Sequence[tuple[float, float, Stretch]], start: float) -> Piece:
    sounds: list[NDArray[np.int16]] = []
    places: list[_Place] = []
    length = 0
    for since, until, stretch in taken:
        if sounds:
            sounds.append(np.zeros(round(_JOIN * SPEECH_RATE), np.int16))
            length += len(sounds[-1])
        first, last = (round((at - start) * SPEECH_RATE) for at in (since, until))
        places.append(_Place(length / SPEECH_RATE, since, until, stretch))
        sounds.append(pcm[max(0, first) : last])
        length += len(sounds[-1])
    return Piece(np.concatenate(sounds), tuple(places))
