"""How written things are said, where the phonemizer does not know it.

It reads figures, money, dates, times, titles and most abbreviations well by itself; this is the
rest, found by letting Whisper write down what the voices said.
"""

import re
from collections.abc import Callable

Replacement = str | Callable[[re.Match[str]], str]

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DAYS = {
    "Mon": "Monday",
    "Tue": "Tuesday",
    "Tues": "Tuesday",
    "Wed": "Wednesday",
    "Thu": "Thursday",
    "Thurs": "Thursday",
    "Fri": "Friday",
    "Sat": "Saturday",
    "Sun": "Sunday",
}
_DAY = "|".join(_DAYS)
_PER = {"yr": "year", "mo": "month", "wk": "week", "hr": "hour", "qtr": "quarter"}
_LONG = "year|month|week|day|hour|quarter|seat|user|person|rep|agent|visit"
_CLOCK = r"\b(\d{1,2}(?::\d\d)?)"
_THINGS = "copay|co-pay|premium|deductible|plan|budget|deal"


def readable(text: str) -> str:
    """The text with those things spelled out. Doing it twice changes nothing."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _spelled(match: re.Match[str]) -> str:
    """Digit by digit, with a breath where the writer put a dash."""
    groups = re.split(r"\D+", match.group().strip("()"))
    return ", ".join(" ".join(_DIGITS[int(digit)] for digit in group) for group in groups if group)


def _address(match: re.Match[str]) -> str:
    said = match.group().removeprefix("https://").removeprefix("http://").removeprefix("www.")
    for mark, word in (
        ("@", " at "),
        (".", " dot "),
        ("/", " slash "),
        ("-", " dash "),
        ("_", " "),
    ):
        said = said.replace(mark, word)
    return said.strip()


def _days(match: re.Match[str]) -> str:
    return f"{_DAYS[match[1]]} to {_DAYS[match[2]]}"


def _half_day(match: re.Match[str]) -> str:
    return f"{match[1]} {match[2].upper()}.M."


def _per(match: re.Match[str]) -> str:
    return f" per {_PER[match[1]]}"


_RULES: tuple[tuple[re.Pattern[str], Replacement], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\b401\(?k\)?", "four oh one k"),
        (r"\b403\(?b\)?", "four oh three b"),
        (r"\bSOC ?([12])\b", r"sock \1"),
        (r"\be\.g\.,?", "for example,"),
        (r"\bi\.e\.,?", "that is,"),
        (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b", _address),
        (r"\b(?:https?://|www\.)[\w-]+(?:\.[\w-]+)+(?:/[\w/-]*)?", _address),
        (r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[-. ])?\d{3}[-.]\d{4}\b(?![-.]\d)", _spelled),
        (r"(?<=\bZIP )\d{5}\b|(?<=\bZIP is )\d{5}\b|(?<=\b[Zz]ip code )\d{5}\b", _spelled),
        (rf"\b({_DAY})\.?\s?[-–]\s?({_DAY})\b", _days),
        (rf"{_CLOCK} ?([AaPp]m)? ?[-–] ?(\d{{1,2}}(?::\d\d)?) ?([AaPp])m\b", r"\1\2 to \3\4m"),
        (rf"{_CLOCK} ?([AaPp])[Mm]\b\.?", _half_day),
        (r"(?<![\w.,])(\d{1,3})[kK]\b", r"\1 thousand"),
        (r"\$(\d[\d,]*) ?[-–] ?\$?(\d[\d,]*)(?![\d.]|[kKmM]\b)", r"\1 to \2 dollars"),
        (rf"\$(\d[\d,]*)[- ](?=(?:{_THINGS})\b)", r"\1 dollar "),
        (r"(?<=\w) ?/ ?(yr|mo|wk|hr|qtr)\b\.?", _per),
        (rf"(?<=\w) ?/ ?({_LONG})\b", r" per \1"),
        (r" per (yr|mo|wk|hr|qtr)\b\.?", _per),
        # "Part C" is a letter; the phonemizer takes it for the Roman number.
        (r"\b([Pp]arts?|PART|[Pp]lan|[Ss]ection|[Oo]ption) C\b(?!\])", r"\1 [C](/sˈi/)"),
        (r"(?<=\[C\]\(/sˈi/\))/(?=\w)", ", "),
        (r"(?<!\[)\b(?:Mm+|mm+|M|m)-?h+m+\b", r"[\g<0>](/əmhˈʌm/)"),
        (r"(?<![\[-])\b[Hh]m+\b", r"[\g<0>](/hˈʌm/)"),
    )
)
