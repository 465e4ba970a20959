"""Cut words that arrive bit by bit into clauses that can be spoken one after the other. Pure."""

import re

FIRST_CHARACTERS = 12  # from which a first clause may end at a comma: it is waited for
LATER_CHARACTERS = 80  # from which a later one may; before that only where a sentence ends
LONGEST_CHARACTERS = 160  # a clause without marks is cut between words here
_BOUNDARY = re.compile(r"(?:[.?!…]+|[,;:]|\s[—–-])[\"”’')\]]*(?=\s)")
_SHORT_FORMS = frozenset(
    str.split(
        "mr mrs ms dr prof st jr sr mt ft vs approx jan feb mar apr jun jul aug sep sept oct nov "
        "dec no a.m p.m i.e e.g"
    )
)
_SENTENCE_ENDS = ".?!…"


class ClauseCutter:
    """Feed it pieces of text; it gives back each clause as soon as that is sure to be whole.

    A mark ends a clause only when a space follows, so that "$4,500" and "3.5" stay whole.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._given = 0

    def feed(self, text: str) -> list[str]:
        self._rest += text
        found = []
        while (end := self._end()) is not None:
            clause, self._rest = self._rest[:end], self._rest[end:]
            found += self._give(clause)
        return found

    def finish(self) -> list[str]:
        """What is left when nothing more comes."""
        clause, self._rest = self._rest, ""
        return self._give(clause)

    def _give(self, clause: str) -> list[str]:
        clause = " ".join(clause.split())
        if not any(character.isalnum() for character in clause):
            return []
        self._given += 1
        return [clause]

    def _end(self) -> int | None:
        enough = LATER_CHARACTERS if self._given else FIRST_CHARACTERS
        for match in _BOUNDARY.finditer(self._rest):
            before = self._rest[: match.end()]
            if ends_sentence(before) and not _is_short_form(before):
                return match.end()
            if before.rstrip()[-1] not in _SENTENCE_ENDS and len(before.strip()) >= enough:
                return match.end()
        if len(self._rest) > LONGEST_CHARACTERS:
            space = self._rest.rfind(" ", 1, LONGEST_CHARACTERS)
            return space if space > 0 else LONGEST_CHARACTERS
        return None


def ends_sentence(text: str) -> bool:
    return text.rstrip().rstrip("\"”’')]")[-1:] in tuple(_SENTENCE_ENDS)


def _is_short_form(text: str) -> bool:
    """The point belongs to a word: "Dr. Smith", "J. Doe", "3 p.m. today"."""
    if not text.endswith("."):
        return False
    word = text[:-1].rsplit(None, 1)[-1].lstrip("(\"“'‘") if text[:-1].split() else ""
    return word.lower() in _SHORT_FORMS or (len(word) == 1 and word.isupper() and word != "I")
