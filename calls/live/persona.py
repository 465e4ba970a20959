"""The persona's side of a turn: lines out of the brain, and what of them was heard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calls.live.playout import Clip

LETTERS_A_SECOND = 14.0  # of speech, to guess the length of a line that is not made yet
FILLER = "filler"  # a cue's mark, see SpokenLine.filler
ASIDE = "aside"  # a cue's mark: not the brain's line, so the brain does not hear of it

# What the persona says first when another worker goes on with the call. Made ahead, like the rest.
EXCUSE = "Sorry, I lost you for a moment there."
GO_AHEAD = "Go ahead."


@dataclass
class SpokenLine:
    """One line of a reply on its way to the rep's ear. Times are seconds of the call."""

    number: int
    text: str
    cue: Mapping[str, Any]
    authored: bool = True  # its sound may be kept
    started_at: float | None = None
    ended_at: float | None = None
    heard: float = 0.0  # share that was played
    seconds: float | None = None  # that were played, where it was cut
    made: bool = False  # its sound is complete, so its length is known
    over: bool = False
    packets: list[bytes] = field(default_factory=list, repr=False)  # its sound, as far as made

    def cut(self, seconds: float, share: float) -> None:
        """Stopped after `seconds` of sound, `share` of what was made of it by then."""
        if not self.made:
            share = min(share, seconds * LETTERS_A_SECOND / max(len(self.text), 1))
        self.heard, self.seconds, self.over = share, seconds, True

    def unsaid(self) -> None:
        """It did not reach the rep and will be said again."""
        self.started_at = self.ended_at = self.seconds = None
        self.heard, self.over = 0.0, False

    @property
    def filler(self) -> bool:
        """Said to break a silence, before the answer."""
        return bool(self.cue.get(FILLER))

    @property
    def aside(self) -> bool:
        return bool(self.cue.get(ASIDE))

    def heard_text(self) -> str:
        """The words that were played, cut where the line was cut."""
        return self.text if self.heard >= 0.995 else cut_to_share(self.text, self.heard)


@dataclass
class SpokenReply:
    """The lines that answer one turn, and when each was heard."""

    lines: list[SpokenLine] = field(default_factory=list)
    complete: bool = False  # the brain has no more lines
    cut: bool = False
    latency: dict[str, float] = field(default_factory=dict)
    confirmed: bool = True  # the turn it answers is over; before that nothing of it is heard
    failed: bool = False  # not all of it could be made
    asked_at: float = 0.0  # when it was to begin
    fillers: int = 0  # said because nothing else was there
    waiting: list[tuple[int, Clip]] = field(default_factory=list)  # made, to be confirmed

    def line(self, number: int) -> SpokenLine | None:
        return next((line for line in self.lines if line.number == number), None)

    @property
    def started_at(self) -> float | None:
        times = [line.started_at for line in self.lines if line.started_at is not None]
        return min(times, default=None)

    @property
    def ended_at(self) -> float | None:
        times = [line.ended_at for line in self.lines if line.ended_at is not None]
        return max(times, default=None)

    @property
    def over(self) -> bool:
        """Nothing of it will sound any more."""
        return (self.complete or self.cut) and all(line.over for line in self.lines)

    @property
    def only_fills(self) -> bool:
        """It answers nothing: it breaks a silence while the rep's words are awaited."""
        return bool(self.lines) and all(line.filler for line in self.lines) and self.complete

    def begun_text(self) -> str:
        """All lines of which the rep has heard something, in full."""
        return " ".join(line.text for line in self.lines if line.started_at is not None)

    @property
    def answer(self) -> SpokenLine | None:
        """The first line of it that was heard and answers something."""
        begun = [line for line in self.lines if line.started_at is not None and not line.filler]
        return min(begun, key=lambda line: line.started_at or 0.0, default=None)

    @property
    def quiet_since(self) -> float:
        """When its last sound was over, or when it was to begin."""
        return self.ended_at if self.ended_at is not None else self.asked_at

    def barely_heard(self, seconds: float) -> bool:
        """Whether it was stopped in its first line, within so many seconds of sound."""
        first, *others = self.lines
        begun = [line for line in others if line.started_at is not None]
        return not begun and first.seconds is not None and first.seconds < seconds

    def text(self) -> str:
        return " ".join(filter(None, (line.heard_text() for line in self.lines)))

    def lost_since(self, at: float) -> list[SpokenLine]:
        """The lines that were over only after that, in order."""
        ended = (line for line in self.lines if line.ended_at is not None)
        return [line for line in ended if line.ended_at is not None and line.ended_at > at]

    @property
    def from_brain(self) -> list[SpokenLine]:
        """Without what the conversation added by itself."""
        return [line for line in self.lines if not line.aside]

    def heard_from_brain(self) -> str:
        return " ".join(filter(None, (line.heard_text() for line in self.from_brain)))


def cut_to_share(text: str, share: float) -> str:
    """The first words of a text that fit into a share (0..1) of its sound.

    Speech runs at a nearly even number of letters a second, so a word counts as heard when two
    thirds of its letters lie inside the share.
    """
    words = text.split()
    budget = share * sum(len(word) + 1 for word in words)
    heard = []
    for word in words:
        if budget < 0.66 * len(word):
            break
        heard.append(word)
        budget -= len(word) + 1
    return " ".join(heard)
