"""Words as scoring compares them, each tied to its place in the raw text, and small patterns.

Patterns are our own small language and not regular expressions, because tenants write them and a
regular expression from outside can be made to run for minutes. It is the language of the drills'
intents, with `#` added:

    call is|will ... recorded     `...` stands for up to four words, `|` for either word
    prescri* ?drug plan           `*` any ending, `?` a word that may be missing
    from medicare|(social security)   a choice of several words stands in brackets
    ^ hello                       `^` the start of a sentence, `$` its end
    # dollars a month             `#` a number, in digits or words

"don't" and "do not" are the same to it, as are "$20" and "20 dollars".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_GAPS = 3  # `...` in one pattern: bounds the work of matching it
GAP_WORDS = 4
MAX_SENTENCE_WORDS = 120  # a longer run without a full stop is cut
NEGATION_REACH = 4  # words before a match in which a "not" turns it around

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred thousand"
)
NUMBER_WORDS = frozenset(_NUMBERS.split())
NEGATIONS = frozenset("not no never nobody none nothing without neither nor".split())  # noqa: SIM905
# A "not" that asks or softens: "why don't we", "don't you think", "if you don't mind".
_NOT_REALLY = re.compile(
    r" (?:(?:do|are|will|can|would|could|is|does|did|have) not (?:you|we|i|it|that|they)"
    r"|why do not|if you do not mind|not only|not just|no problem|no worries|whether or not"
    r"|or not|do not worry|no wonder|no rush|no matter|not a problem) "
)
_WORD = re.compile(r"(\$)?(\d+(?:,\d{3})*(?:\.\d+)?)(%)?|[^\W_]+(?:['’‘][^\W_]+)*")
_ENDS = {"'m": "am", "'re": "are", "'ll": "will", "'ve": "have", "'d": "would"}
_IS_AFTER = frozenset("what that it there here who how where when he she everything".split())  # noqa: SIM905
_WHOLE = {
    "wont": "will not",
    "cant": "can not",
    "cannot": "can not",
    "lets": "let us",
    "im": "i am",
    "ive": "i have",
    "youre": "you are",
    "youve": "you have",
    "youll": "you will",
    "theyre": "they are",
    "thats": "that is",
    "whats": "what is",
    "theres": "there is",
    "gonna": "going to",
    "wanna": "want to",
    "ok": "okay",
    "bucks": "dollars",
    "alright": "all right",
} | {
    f"{verb}nt": f"{verb} not"
    for verb in ("do", "does", "did", "is", "are", "was", "were", "would", "could", "should")
}
_ABBREVIATIONS = frozenset("dr mr mrs ms st jr sr vs".split())  # noqa: SIM905
_STOP = re.compile(r"[.?!…][\"')\]”]*\s")  # the point of "medicare.gov" is none
_CHOICE = r"(?:#|[^\W_]+\*?|\((?:#|[^\W_]+\*?)(?:[ |](?:#|[^\W_]+\*?))*\))"
_TOKEN = re.compile(rf"\??{_CHOICE}(?:\|{_CHOICE})*")
_PARTS = re.compile(r"(?:\([^()]*\)|[^\s()])+")
_ASKING = re.compile(
    r"^ (?:(?:okay|so|and|now|well|great|all right) )*"
    r"(?:any|anything|anybody|anyone|how about|what about) "
    r"| (?:(?:do|does|did|are|is|was|have|has|can|could|would|will|should|may|might)"
    r" (?:not )?(?:you|we|i|it|that|there|they|he|she|any|anyone|your|this|the)"
    r"|(?:what|which|who|how|when|where|why) (?:\S+ ){0,3}"
    r"(?:do|does|did|are|is|was|have|can|could|would|will|should|about|many|much|often)"
    r"|tell me|walk me|talk me|help me understand|share with me|mind if) "
)


class PatternError(ValueError):
    """A pattern that the small language does not know."""


@dataclass(frozen=True, slots=True)
class Token:
    """One plain word; `start` and `end` are characters of the raw text it came from."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words of one sentence of a line, `start` and `end` characters of that line's text."""

    tokens: tuple[Token, ...]
    start: int
    end: int
    marked_question: bool  # it ends in a question mark
    plain: str  # the words with one space around each

    @property
    def is_question(self) -> bool:
        """Recognisers drop question marks, so the order of words counts as well."""
        return self.marked_question or bool(_ASKING.search(self.plain))


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. One that says "not" itself is not turned around by a "not"."""

    source: str
    expression: re.Pattern[str]
    negative: bool


def tokens(text: str) -> tuple[Token, ...]:
    """The plain words of a text; one raw word may give several ("don't" gives do, not)."""
    found: list[Token] = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        found.extend(Token(word, start, end) for word in _plain_words(match))
    return tuple(found)


def sentences(text: str) -> tuple[Sentence, ...]:
    return tuple(_sentences(text, tokens(text)))


def pattern_compile(source: str) -> Pattern:
    """The pattern as an expression to search in `Sentence.plain`."""
    parts = _PARTS.findall(source)
    if " ".join(parts) != " ".join(source.split()):
        raise PatternError(f"has an odd bracket: {source!r}")
    if parts.count("...") > MAX_GAPS:
        raise PatternError(f"has more than {MAX_GAPS} gaps: {source!r}")
    start = "^ " if parts[:1] == ["^"] else " "
    end = "$" if parts[-1:] == ["$"] else ""
    middle = parts[parts[:1] == ["^"] : len(parts) - len(end)]
    if not middle or all(part == "..." or part.startswith("?") for part in middle):
        raise PatternError(f"needs a word that must be there: {source!r}")
    expression = start + "".join(_part_expression(part, source) for part in middle) + end
    return Pattern(source, re.compile(expression), _says_not(middle))


def pattern_find(pattern: Pattern, sentence: Sentence) -> tuple[int, int] | None:
    """First and last+1 token of the first place where the pattern is met and not denied."""
    plain = sentence.plain
    for match in pattern.expression.finditer(plain):
        first = plain.count(" ", 0, match.start() + 1) - 1
        last = plain.count(" ", 0, match.end()) - 1
        if pattern.negative or not _denied(sentence.tokens, first, last):
            return first, last
    return None


def any_found(patterns: Sequence[Pattern], sentence: Sentence) -> bool:
    """Whether any pattern is met, denied or not."""
    plain = sentence.plain
    return any(pattern.expression.search(plain) for pattern in patterns)


def _plain_words(match: re.Match[str]) -> list[str]:
    money, number, percent = match.groups()
    if number is not None:
        return [number.replace(",", "")] + (
            ["dollars"] if money else ["percent"] if percent else []
        )
    return _expand(match.group().lower().replace("’", "'").replace("‘", "'"))


def _expand(word: str) -> list[str]:
    bare = word.replace("'", "")
    if bare in _WHOLE:
        return _WHOLE[bare].split()
    if word.endswith("n't"):
        return [word[:-3], "not"]
    base, mark, tail = word.partition("'")
    if mark and f"'{tail}" in _ENDS:
        return [base, _ENDS[f"'{tail}"]]
    if mark and tail == "s":
        return [base, "is"] if base in _IS_AFTER else [base]
    return [bare]


def _sentences(text: str, words: tuple[Token, ...]) -> Iterator[Sentence]:
    begin = 0
    for index, token in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else None
        if following is not None and following.start == token.start:
            continue  # two plain words of one raw word
        gap = text[token.end : following.start if following else len(text)]
        ends = (
            bool(_STOP.search(gap + " " * (following is None))) and token.text not in _ABBREVIATIONS
        )
        if following is None or ends or index - begin + 1 >= MAX_SENTENCE_WORDS:
            part = words[begin : index + 1]
            stop = token.end + len(gap.rstrip())
            plain = f" {' '.join(word.text for word in part)} "
            yield Sentence(part, part[0].start, stop, "?" in gap, plain)
            begin = index + 1


def _part_expression(part: str, source: str) -> str:
    if part == "...":
        return rf"(?:[^ ]+ ){{0,{GAP_WORDS}}}"
    if not _TOKEN.fullmatch(re.sub("['’]", "", part)):
        raise PatternError(f"cannot read {part!r} in {source!r}")
    choices = "|".join(" ".join(map(_word_expression, choice)) for choice in _choices(part))
    return f"(?:(?:{choices}) )?" if part.startswith("?") else f"(?:{choices}) "


def _choices(part: str) -> list[list[str]]:
    """The words of each choice: "?a|(b c|d)" gives a, b c, d."""
    bare = part.lower().lstrip("?").replace("(", "").replace(")", "")
    return [choice.split() for choice in bare.split("|")]


def _word_expression(word: str) -> str:
    if word == "#":
        return rf"(?:\d[\d.]*|{'|'.join(sorted(NUMBER_WORDS))})"
    if word.endswith("*"):
        return rf"{re.escape(word[:-1])}[^ ]*"
    return " ".join(re.escape(plain) for plain in _expand(word.replace("’", "'")))


def _says_not(parts: Sequence[str]) -> bool:
    words = (word for part in parts if part != "..." for c in _choices(part) for word in c)
    return any(plain in NEGATIONS for word in words for plain in _expand(word))


def _denied(words: Sequence[Token], first: int, last: int) -> bool:
    """Whether a "not" stands in words[first:last] or shortly before, in the same clause."""
    begin = first
    while begin > 0 and first - begin < NEGATION_REACH:
        if words[begin].start - words[begin - 1].end > 1:  # a comma or the like stands between
            break
        begin -= 1
    wider = max(0, begin - 4)  # to see "if you don't mind" and "no problem" whole
    plain = f" {' '.join(token.text for token in words[wider : last + 2])} "
    plain = _NOT_REALLY.sub(lambda soft: re.sub(r"[^ ]+", "_", soft.group()), plain)
    return any(word in NEGATIONS for word in plain.split()[begin - wider : last - wider])
