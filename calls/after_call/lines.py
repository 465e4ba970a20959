"""The transcript: what both sides said, merged on one time line. Pure.

The rep's words come recognised, with their times. The persona's words are known; where each of
them lies is found in the sound of its channel.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from calls.after_call.belief import plain
from calls.after_call.speech import Stretch
from calls.ports import Word

Role = Literal["assistant", "user"]  # the persona, the rep

PERSONA_BETWEEN = 0.3  # seconds of the persona in a pause of the rep that make two lines of it
PAUSE_BETWEEN = 0.8  # seconds such a pause has at least
NEW_LINE_AFTER = 4.0  # seconds of the rep's own silence
ECHO_WORDS = 3  # fewer that equal the persona's may be the rep's own
ECHO_SHARE = 0.8
ECHO_WITHIN = 0.8  # seconds; a known word's time is that uncertain


@dataclass(frozen=True, slots=True)
class Said:
    """A turn of the live call. Times in seconds of the call; `lag` see TranscriptLine."""

    text: str
    start: float
    end: float
    interrupted: bool = False
    lag: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the transcript. Its words lie inside it, in order."""

    role: Role
    start: float
    end: float
    words: tuple[Word, ...]
    interrupted: bool = False
    lag: float = 0.0

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def lines_make(
    *,
    rep: Sequence[Word],
    rep_unrecorded: Sequence[Said],
    persona: Sequence[Said],
    persona_voiced: Sequence[Stretch],
    persona_untold: Sequence[Word],
) -> list[Line]:
    """All lines in the order of their start; at the same time the persona first.

    `rep_unrecorded` are turns that were understood live and whose recording is lost,
    `persona_untold` words recognised where the persona sounds and no turn tells why.
    """
    voiced = joined(persona_voiced)
    theirs = [persona_line(said, voiced) for said in persona if said.text.split()]
    theirs += word_lines(persona_untold, role="assistant", others=[])
    floor = voiced or [Stretch(line.start, line.end) for line in theirs]
    ours = word_lines(rep, role="user", others=floor)
    ours = [line for line in ours if not _echo(line, theirs)]
    ours += [
        Line("user", said.start, said.end, spread(said.text, [Stretch(said.start, said.end)]))
        for said in rep_unrecorded
        if said.text.split()
    ]
    return sorted(theirs + ours, key=lambda line: (line.start, line.role, line.end))


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """In order, those that touch as one: chunks of a recording cut through them."""
    found: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda stretch: stretch.start):
        if found and stretch.start <= found[-1].end + 0.02:
            found[-1] = replace(found[-1], end=max(found[-1].end, stretch.end))
        else:
            found.append(stretch)
    return found


def persona_line(said: Said, voiced: Sequence[Stretch]) -> Line:
    """A turn of the persona, its words over the sound that it made."""
    end = max(said.start, said.end)
    sounding = clipped(voiced, said.start, end) or [Stretch(said.start, end)]
    words = spread(said.text, sounding)
    return Line(
        "assistant", words[0].start, words[-1].end, words, said.interrupted, max(0.0, said.lag)
    )


def clipped(stretches: Sequence[Stretch], start: float, end: float) -> list[Stretch]:
    """What of them lies between `start` and `end`."""
    cut = (replace(s, start=max(s.start, start), end=min(s.end, end)) for s in stretches)
    return [stretch for stretch in cut if stretch.end > stretch.start]


def spread(text: str, sounding: Sequence[Stretch]) -> tuple[Word, ...]:
    """The words of a text over the time that sounds, each by its letters.

    Speech runs at a nearly even number of letters a second; pauses are no part of any word.
    """
    words = text.split()
    total = sum(stretch.end - stretch.start for stretch in sounding)
    letter = total / sum(len(word) + 1 for word in words)
    found: list[Word] = []
    passed = 0.0
    for word in words:
        length = letter * (len(word) + 1)
        stretch, start = _sounding_at(sounding, passed + length / 2)
        passed += length
        # A word that would lie over a pause belongs to the side on which most of it sounds.
        begin, end = max(start - length / 2, stretch.start), min(start + length / 2, stretch.end)
        begin = max(begin, found[-1].end) if found else begin
        found.append(Word(word, begin, max(begin, end), 1.0))
    return tuple(found)


def word_lines(words: Sequence[Word], *, role: Role, others: Sequence[Stretch]) -> list[Line]:
    """Words as lines: a new one where the other side was heard in a pause, or after a long one."""
    groups: list[list[Word]] = []
    for word in sorted(words, key=lambda word: (word.start, word.end)):
        if groups and not _parted(groups[-1][-1].end, word.start, others):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [
        Line(role, group[0].start, max(word.end for word in group), tuple(group))
        for group in groups
    ]


def _parted(before: float, after: float, others: Sequence[Stretch]) -> bool:
    if after - before >= NEW_LINE_AFTER:
        return True
    if after - before < PAUSE_BETWEEN:
        return False
    heard = clipped(others, before, after)
    return sum(stretch.end - stretch.start for stretch in heard) >= PERSONA_BETWEEN


def _sounding_at(sounding: Sequence[Stretch], passed: float) -> tuple[Stretch, float]:
    """The time at which `passed` seconds have sounded, and the stretch in which it lies."""
    for stretch in sounding:
        length = stretch.end - stretch.start
        if passed <= length:
            return stretch, stretch.start + passed
        passed -= length
    return sounding[-1], sounding[-1].end


def _echo(line: Line, persona: Sequence[Line]) -> bool:
    """The rep's microphone heard the persona's loudspeaker: same words at the same time.

    Who repeats what was just said does so later, and mostly after it.
    """
    if len(line.words) < ECHO_WORDS:
        return False
    theirs = [word for other in persona if _overlap(line, other) for word in other.words]
    same = sum(1 for word in line.words if any(_same(word, other) for other in theirs))
    return same >= ECHO_SHARE * len(line.words)


def _overlap(line: Line, other: Line) -> bool:
    """At least half of the line lies over the other."""
    both = min(line.end, other.end) - max(line.start, other.start)
    return both >= 0.5 * (line.end - line.start)


def _same(word: Word, other: Word) -> bool:
    return abs(word.start - other.start) <= ECHO_WITHIN and plain(word.text) == plain(other.text)
