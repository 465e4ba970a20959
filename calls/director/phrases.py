"""Text as the director compares it: plain words, small patterns, numbers, pieces to speak.

Patterns are our own small language and not regular expressions, because tenants write them and a
regular expression from outside can be made to run for minutes:

    are you ... robot|machine     `...` stands for up to four words, `|` for either word
    prescri* ?drug plan           `*` any ending, `?` a word that may be missing
    ^ hello                       `^` the start of what was said, `$` its end
    let me (make sure|repeat back)   alternatives of several words stand in brackets
"""

import re

MAX_WORDS = 400  # of one utterance; what comes after is not looked at
MAX_GAPS = 3  # `...` in one pattern: bounds the work of matching it
GAP_WORDS = 4

_ABBREVIATIONS = (
    (re.compile(r"\b(dr|mr|mrs|ms|st|jr|sr)\.", re.IGNORECASE), r"\1"),
    (re.compile(r"\$\s*([\d,]+(?:\.\d+)?)"), r"\1 dollars"),
    (re.compile(r"(?<=\d),(?=\d)"), ""),
    (re.compile(r"%"), " percent "),
)
_NOT_A_WORD = re.compile(r"[^a-z0-9' ]+")
_WORD = re.compile(r"(?<!\\)\b[a-z]+")
_SPACES = re.compile(r"\s+")
_TOKENS = re.compile(r"\??\([^()]*\)|\S+")
_TOKEN = re.compile(r"[a-z0-9]+\*?(\|[a-z0-9]+\*?)*")
_GROUP = re.compile(r"\([a-z0-9*]+(?: [a-z0-9*]+)*(?:\|[a-z0-9*]+(?: [a-z0-9*]+)*)*\)")
_SENTENCE_END = re.compile(r"(?<=[.?!])[\"']?\s+")

NUMBER_WORDS = frozenset(
    str.split(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy "
        "eighty ninety hundred thousand million first second third half quarter dozen"
    )
)
# "one" and "second" are mostly not amounts: "that one", "one moment", "a second".
_AMOUNT_WORDS = NUMBER_WORDS - {"one", "first", "second", "third", "half", "quarter"}
_NEGATIONS = frozenset(
    str.split(
        "not no never none nothing without dont doesnt didnt wont wouldnt cant cannot isnt arent "
        "wasnt shouldnt aint neither nor"
    )
)


class PatternError(ValueError):
    """A pattern that the small language does not know."""


def plain(text: str) -> str:
    """Lower-case words with one space between, apostrophes gone: "I'm Sam." is "im sam"."""
    text = text.replace("’", "'").replace("‘", "'").lower()
    for pattern, replacement in _ABBREVIATIONS:
        text = pattern.sub(replacement, text)
    text = _NOT_A_WORD.sub(" ", text).replace("'", "")
    return " ".join(text.split()[:MAX_WORDS])


def pattern_compile(pattern: str) -> re.Pattern[str]:
    """The pattern as an expression to search in `" " + plain(text) + " "`."""
    tokens = _TOKENS.findall(pattern.replace("’", "'").replace("'", "").lower())
    if not tokens or tokens.count("...") > MAX_GAPS:
        raise PatternError(f"needs words and at most {MAX_GAPS} gaps: {pattern!r}")
    start = "^ " if tokens[0] == "^" else " "
    end = "$" if tokens[-1] == "$" else ""
    middle = tokens[tokens[0] == "^" : len(tokens) - (tokens[-1] == "$")]
    return re.compile(start + "".join(_expression(t, pattern) for t in middle) + end)


def _expression(piece: str, pattern: str) -> str:
    if piece == "...":
        return rf"(?:\S+ ){{0,{GAP_WORDS}}}"
    optional, piece = piece.startswith("?"), piece.removeprefix("?")
    if not (_TOKEN.fullmatch(piece) or _GROUP.fullmatch(piece)):
        raise PatternError(f"cannot read {piece!r} in {pattern!r}")
    words = piece.strip("()").replace("*", r"\w*")
    return f"(?:(?:{words}) )?" if optional else f"(?:{words}) "


def fitting(patterns: tuple[re.Pattern[str], ...], words: str) -> list[str]:
    """The words of each pattern that is found in words that came from `plain`."""
    padded = f" {words} "
    return [" ".join(_WORD.findall(p.pattern)) for p in patterns if p.search(padded)]


def matches(patterns: tuple[re.Pattern[str], ...], words: str) -> bool:
    padded = f" {words} "
    return any(p.search(padded) for p in patterns)


def has_amount(words: str) -> bool:
    """Whether a figure is named, in digits or in words."""
    return any(w in _AMOUNT_WORDS or w[0].isdigit() for w in words.split())


def is_negated(words: str) -> bool:
    return any(w in _NEGATIONS for w in words.split())


def pieces(text: str) -> tuple[str, ...]:
    """A line cut into sentences to be spoken one by one. A single word stays with what follows:
    voices make it sound clipped when it stands alone."""
    found: list[str] = []
    for sentence in _SENTENCE_END.split(text.strip()):
        if found and len(found[-1].split()) < 2:
            found[-1] = f"{found[-1]} {sentence}"
        else:
            found.append(sentence)
    if len(found) > 1 and len(found[-1].split()) < 2:
        last = found.pop()
        found[-1] = f"{found[-1]} {last}"
    return tuple(found)


def word_count(text: str) -> int:
    return len(_SPACES.sub(" ", text).split())
