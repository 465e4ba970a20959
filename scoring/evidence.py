"""Whether a quote is really in the transcript, and where.

A quote counts only when its words stand, in this order and without a gap, in the very turn of the
rep that the judge named. Case, punctuation and spaces do not matter, "don't" equals "do not".
Everything else is no evidence, and a verdict without evidence is not scored.
"""

from dataclasses import dataclass

from scoring.phrases import Token, tokens
from scoring.ports import Line, Transcript

LEAST_WORDS = 2  # unless the whole turn is shorter
MAX_QUOTE = 600  # characters


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of one turn: `text` is a slice of the turn's text, [first:last] its characters.

    `start` and `end` in seconds of the call.
    """

    turn: int
    text: str
    first: int
    last: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Absence:
    """That something was nowhere said: the span that was searched, in seconds and turns."""

    first_turn: int
    last_turn: int
    start: float
    end: float
    turns_searched: int  # of the rep


def quote_locate(transcript: Transcript, number: int | None, quote: str) -> Quote | None:
    """The quote's place in the rep's turn of that number; None if it is not there."""
    line = transcript.line(number) if number is not None else None
    if line is None or line.role != "user" or len(quote) > MAX_QUOTE:
        return None
    wanted = [token.text for token in tokens(quote)]
    own = tokens(line.text)
    if not wanted or len(wanted) < min(LEAST_WORDS, len(own)):
        return None
    for index in range(len(own) - len(wanted) + 1):
        if [token.text for token in own[index : index + len(wanted)]] == wanted:
            stop = own[index + len(wanted) - 1].end
            stop += len(line.text[stop:]) - len(line.text[stop:].lstrip(".?!"))
            return quote_at(line, own[index].start, stop)
    return None


def quote_at(line: Line, first: int, last: int) -> Quote:
    """Characters [first:last] of a line as a quote, with its times."""
    start, end = _times(line, first, last)
    return Quote(line.number, line.text[first:last], first, last, round(start, 2), round(end, 2))


def absence(transcript: Transcript) -> Absence | None:
    """The whole of what the rep said. None when that is nothing: then nothing was left unsaid."""
    rep = transcript.rep_lines
    if not rep:
        return None
    return Absence(
        rep[0].number,
        rep[-1].number,
        round(rep[0].start, 2),
        round(max(line.end for line in rep), 2),
        len(rep),
    )


def _times(line: Line, first: int, last: int) -> tuple[float, float]:
    """From the words' times where they match the text, else in proportion to the characters."""
    own = tokens(line.text)
    timed = [
        (token.text, word.start, word.end) for word in line.words for token in tokens(word.text)
    ]
    if own and [token.text for token in own] == [text for text, _, _ in timed]:
        inside = [t for token, t in zip(own, timed, strict=True) if _overlaps(token, first, last)]
        if inside:
            return inside[0][1], inside[-1][2]
    length = max(1, len(line.text))
    span = line.end - line.start
    return line.start + span * first / length, line.start + span * last / length


def _overlaps(token: Token, first: int, last: int) -> bool:
    return token.start < last and token.end > first
