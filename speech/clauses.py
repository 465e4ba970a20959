"""Cut a text into pieces that are spoken one after the other: a short one first, to be heard soon.

A piece costs about a fifth of its own length to make, so every next piece may be longer and is
still ready before the one before it has been played.
"""

import re
from dataclasses import dataclass

FIRST_CHARACTERS = 30  # a first piece up to this long is not joined with the next
NEXT_CHARACTERS = (70, 120)  # how far pieces are joined: the second, all later ones
LONGEST_CHARACTERS = 160  # a piece longer than this is cut between words: memory grows with it

# The silence heard after a piece, in seconds, by the mark it ends with.
PAUSES = {",": 0.13, ";": 0.18, ":": 0.18, "—": 0.16, "–": 0.16, ".": 0.25, "!": 0.25, "?": 0.25}
_PAUSES_ELSE = 0.06
FINAL_PAUSE = 0.10

_TITLES = ("Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Rep", "Gen", "Gov", "Sen", "Capt", "Lt", "Rev")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec")
_SHORT_FORMS = frozenset((*_TITLES, *_MONTHS, "Mt", "Ft", "Sgt", "Col", "Hon", "vs", "approx"))
_BOUNDARY = re.compile(r"(?:[.?!…]+|[,;:]|\s[—–-])[\"”’')\]]*(?=\s)")
_SENTENCE_ENDS = (".", "?", "!", "…")


@dataclass(frozen=True, slots=True)
class Clause:
    """One piece to speak, and the silence in seconds that follows it."""

    text: str
    pause: float


def clauses(text: str) -> list[Clause]:
    """The pieces of a text, in order. Joined with spaces they are the text again."""
    pieces = _joined([part for raw in _cut(text) for part in _shortened(raw)])
    last = len(pieces) - 1
    return [
        Clause(piece, FINAL_PAUSE if number == last else _pause(piece))
        for number, piece in enumerate(pieces)
    ]


def _cut(text: str) -> list[str]:
    """At every mark where a speaker could breathe; not after "Dr." or an initial."""
    text = " ".join(text.split())
    pieces, start = [], 0
    for match in _BOUNDARY.finditer(text):
        if not _is_short_form(text[start : match.end()], text[match.end() :].lstrip()):
            pieces.append(text[start : match.end()].strip())
            start = match.end()
    pieces.append(text[start:].strip())
    return [piece for piece in pieces if any(character.isalnum() for character in piece)]


def _is_short_form(piece: str, rest: str) -> bool:
    """The point belongs to a word: "Dr. Smith", "J. Doe", "3 p.m. today", "No. 5"."""
    if not piece.endswith("."):
        return False
    word = piece[:-1].rsplit(" ", 1)[-1].lstrip("(\"“'‘")
    if word in ("No", "Nos"):
        return rest[:1].isdigit()
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    return word in _SHORT_FORMS or is_initial or rest[:1].islower()


def _shortened(piece: str) -> list[str]:
    """A piece without marks that is too long, in halves between words until it is short enough."""
    if len(piece) <= LONGEST_CHARACTERS:
        return [piece]
    middle = len(piece) // 2
    spaces = [match.start() for match in re.finditer(" ", piece)]
    cut = min(spaces, key=lambda space: abs(space - middle), default=middle)
    return [*_shortened(piece[:cut].strip()), *_shortened(piece[cut:].strip())]


def _joined(pieces: list[str]) -> list[str]:
    """Short neighbours together, as long as the sentence and the allowed length last."""
    joined: list[str] = []
    for piece in pieces:
        if joined and _may_join(joined[-1], piece, number=len(joined)):
            joined[-1] += " " + piece
        else:
            joined.append(piece)
    return joined


def _may_join(before: str, piece: str, *, number: int) -> bool:
    ends_sentence = before.rstrip("\"”’')]")[-1:] in _SENTENCE_ENDS
    if number == 1:
        too_short = len(before) < 6 and not ends_sentence
        return too_short and len(before) + len(piece) < FIRST_CHARACTERS
    if ends_sentence and len(before) >= FIRST_CHARACTERS:
        return False  # a sentence of its own keeps its own melody
    return len(before) + len(piece) < NEXT_CHARACTERS[min(number, 3) - 2]


def _pause(piece: str) -> float:
    mark = piece.rstrip("\"”’')]")[-1:]
    return PAUSES.get(mark, PAUSES["."] if mark == "…" else _PAUSES_ELSE)
