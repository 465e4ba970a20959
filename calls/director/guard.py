"""What a language model may not say in the persona's name. Pure: text in, a verdict out.

Models invent figures, change sides and forget whom they play; the pack is the truth. Whatever is
refused here is replaced by the authored line that the director had chosen.
"""

import re
from collections.abc import Iterable

from calls.director.phrases import matches, pattern_compile, plain

MAX_WORDS = 70  # of one reply

_SMALL = str.split(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = str.split("twenty thirty forty fifty sixty seventy eighty ninety")
_NUMBERS = {
    **{word: str(number) for number, word in enumerate(_SMALL)},
    **{word: str(10 * number) for number, word in enumerate(_TENS, start=2)},
}
_SCALES = {"hundred", "thousand", "million", "percent", "dozen"}
_NO_FIGURES = {"one"}  # "that one", "one thing"
_DIGITS = re.compile(r"\d+(?:\.\d+)?")

_OUT_OF_CHARACTER = tuple(
    map(
        pattern_compile,
        (
            "(as|im|i am) an ai|assistant|artificial",
            "language model",
            "openai|chatgpt|llama|anthropic|gemini",
            "how (can|may) i (help|assist) you",
            "how (can|may) i be of",
            "i (cant|cannot|can not) (assist|help) with that",
            "(system|your|my) prompt|instructions",
        ),
    )
)
_SELLING = tuple(
    map(
        pattern_compile,
        (
            "(i|we) (can|could) (offer|enroll|sign) you",
            "let me (enroll|sign|tell you about our|walk you through)",
            "our (plan|plans|company|product|products|team|offer)",
            "(would|do) you (like|want) to (enroll|sign up|hear about our)",
            "thank you for calling",
            "(im|i am|this is) your|an agent|advisor|broker",
        ),
    )
)
_DECIDES = tuple(
    map(
        pattern_compile,
        (
            "sign me up",
            "(lets|let us) (do it|go ahead|get started)",
            "ill (take it|do it|sign)",
            "i will (take it|do it|sign)",
            "im (in|sold|convinced)",
            "send|email me ... contract|application|paperwork",
            "(my|the) (card|social security|account) number is",
        ),
    )
)


def objection(clause: str, *, said: Iterable[str], allowed: Iterable[str]) -> str:
    """Why the clause may not be spoken, as a code; empty when it may.

    `said` are the clauses before it, `allowed` the texts whose figures are true here: the authored
    lines of this reply, and what was said in the call so far.
    """
    words = plain(clause)
    if len(words.split()) + sum(len(plain(text).split()) for text in said) > MAX_WORDS:
        return "too_long"
    if matches(_OUT_OF_CHARACTER, words):
        return "out_of_character"
    if matches(_SELLING, words):
        return "sells"
    if matches(_DECIDES, words):
        return "decides"
    if figures(clause) - set().union(*map(figures, allowed)):
        return "invented_figure"
    return ""


def figures(text: str) -> set[str]:
    """The figures that a text names, digits and words alike: "Twelve" and "12" are both "12"."""
    found = set()
    for word in plain(text).split():
        digits = _DIGITS.match(word)
        if digits:
            found.add(digits.group())
        elif word in _NUMBERS and word not in _NO_FIGURES:
            found.add(_NUMBERS[word])
        elif word in _SCALES:
            found.add(word)
    return found


def spoken_only(text: str) -> str:
    """Without what models add that nobody says: *sighs*, (pauses), markdown, emoji."""
    text = re.sub(r"\*[^*]{0,80}\*|\([^)]{0,80}\)|\[[^\]]{0,80}\]", " ", text)
    text = re.sub(r"[*_`#<>{}|~^\\]|[\U0001F000-\U0001FAFF\u2600-\u27BF]", "", text)
    return " ".join(text.split())
