"""What the words of an unfinished turn say about its end, and about who wants the floor.

Pure functions over text as a speech recogniser writes it: with punctuation, numbers as digits. A
full stop proves little (recognisers put one behind everything); the last words prove more.
"""

import re
from enum import Enum
from itertools import pairwise


class Ending(Enum):
    """How an utterance stops, from what must be waited for to what can be answered."""

    OPEN = "open"  # "and my", "well, um": more is coming
    CLAUSE = "clause"  # "If I could show you a plan.", "I need to confirm.": the rest is to come
    DICTATING = "dictating"  # digits, letters, an address, parts of which are still to come
    OPENER = "opener"  # "Okay.", "Great.": a whole turn, or the first word of one
    NEUTRAL = "neutral"
    STATEMENT = "statement"  # a closed sentence
    CLOSED = "closed"  # ... that by its words wants no more
    QUESTION = "question"


_FILLERS = frozenset({"um", "uh", "uhm", "er", "erm", "hmm", "well", "like", "you know"})
_OPEN_ENDINGS = frozenset(
    str.split(
        "and but or because so the a an my your our their his her this that's to of for with "
        "in on at from by if when which who what's where is are was were do does did can could "
        "would will should i'm it's about also then than as between into let i we he she "
        "they we're you're they're i'll we'll you'll i'd we'd i've we've going gonna want "
        "wanted need have has had some any be been being that not very really just maybe "
        "although though unless until while mr mrs dr don't doesn't didn't isn't can't won't "
        "whether per plus"
    )
)
_OPEN_PAIRS = frozenset(  # and by their last two words: "Is there anything?" was not all
    ("let me", "give me", "show me", "there anything", "there something", "there anyone")
)
# Closed by themselves in spite of their last word: "That's what it is about.", "May I?"
_CLOSED_ENDINGS = (
    *("do i", "tell me", "help me", "to me", "for me", "with me", "from me", "call me"),
    *("about that", "like that", "of that", "to that", "with that", "do that", "on that"),
    *("about this", "like this", "of this", "on this", "do this", "for this", "with this"),
    *("than that", "hear that", "say that", "get that", "appreciate that", "understand that"),
    *("i do", "we do", "they do", "you do", "i am", "i have", "we have", "i will", "we will"),
    *("i can", "we can", "why not", "or not", "come on", "go on", "sign in", "log in"),
    *("what for", "hold on", "so on"),
)
# "than he was", "where we are", "whenever you like"
_CLOSED_CLAUSE = re.compile(
    r"\b(?:than|as|how|where|what|who|which) (?:i|you|he|she|it|we|they|that|this) "
    r"(?:am|is|are|was|were|do|does|did|can|could|would|will|have|has|had)$"
    r"|\b(?:when|what|where|how|who|which)ever (?:i|you|he|she|it|we|they) "
    r"(?:like|want|need|can|could|would|will|have|has|had)$|\b(?:if|as) you like$"
)
# A sentence that begins so wants another part, unless a comma shows that it had it.
_SUBORDINATE = re.compile(
    r"^(?:(?:and|so|but|well|okay|now|or|just) )*(?:if|when|whenever|before|after|although|though|"
    r"while|once|unless|until|since|as|with|without|instead|besides|because|so you know)\b"
)
_LONGEST_CLAUSE = 9  # words; a longer one has its main clause somewhere, comma or not
# Verbs whose object is still to come.
_OBJECT_TO_COME = re.compile(
    r"\b(?:(?:i|we) (?:think|guess|believe|mean|suppose|wonder|was wondering|hear|see that)|"
    r"let me (?:see|check|ask|ask you|say|tell you|explain|confirm|show you)|"
    r"(?:want|wanted|need|like|have|going) to (?:ask|ask you|confirm|know|say|tell you|mention|"
    r"explain|check|show you|make sure|point out))$"
)
_BACKCHANNELS = frozenset(
    str.split(
        "mhm mm hm hmm uh huh mmhmm um ah oh yeah yep yes yup right okay ok sure wow alright good "
        "great i see got it true exactly nice cool really"
    )
)
_OPENERS = frozenset(
    str.split("okay ok right great good sure alright yeah oh ah perfect hi hello hey wow")
)
_TAKES_FLOOR = frozenset(
    str.split(
        "wait stop no hold actually sorry excuse hang but what why how who when where which pardon "
        "hello listen please one quick question can could let"
    )
)
_MONTHS = frozenset(
    str.split("january february march april june july august september october november december")
)  # "may" is mostly the verb
_BEFORE_A_MONTH = frozenset(
    str.split("in of by since until through next last this every early late")
)
_NUMBER_WORDS = frozenset(
    str.split(
        "zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy "
        "eighty ninety hundred thousand double triple dash point"
    )
)
_LETTERED = frozenset(str.split("part plan tier type class grade group option vitamin hepatitis"))
_DICTATED = re.compile(
    r"\b(?:number|phone|cell|fax|extension|zip|postal|code|spell(?:ed|s|ing)?|reference|"
    r"e-?mail|address|account|policy|card|reach (?:me|us) (?:at|on)|call (?:me|us) (?:at|on)|"
    r"office is at|located at|digits)\b"
)
_MAIL_ENDS = re.compile(r"(?:\.|\bdot )\s?(?:com|org|net|edu|gov|io|co|uk|de|ai|us)\b\W*$")
_STREET_ENDS = re.compile(
    r"\d[\w-]*(?: \w+){1,3} (?:street|st|avenue|ave|road|rd|drive|lane|boulevard|blvd|way|court|"
    r"place|square|suite \w+|floor)\W*$"
)
_CLOSED = re.compile(r"[.!?]['\")]*$")
_PHONE_DIGITS = 10
_ZIP_DIGITS = 5


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation, apostrophes kept."""
    return re.findall(r"[a-z0-9$%']+", text.lower().replace("’", "'"))


def is_backchannel(text: str) -> bool:
    """True for "mhm", "okay", "yeah, right, okay": heard, but not taking the floor."""
    words = words_of(text)
    return len(words) <= 5 and all(word in _BACKCHANNELS for word in words)


def says_little(text: str) -> bool:
    """One or two words that neither ask nor stop: over the persona, and short, most likely a murmur
    that the recogniser took for words ("Mhm." comes back as "Have my...", "Uh-huh." as "Hi.")."""
    return len(words_of(text)) <= 2 and not text.strip().endswith("?") and not takes_floor(text)


def takes_floor(text: str) -> bool:
    """True when even one word must stop the persona: "wait", "stop", "no"."""
    return any(word in _TAKES_FLOOR for word in words_of(text)[:2])


def repeats(text: str, spoken: str) -> bool:
    """Whether a text only says again what the persona just said: its echo in the microphone.

    At least two words, three quarters of their pairs the persona's too.
    """
    heard, said = words_of(text), words_of(spoken)
    if len(heard) < 2:
        return False
    pairs = set(pairwise(said))
    known = [pair in pairs for pair in pairwise(heard)]
    return sum(known) >= 0.75 * len(known)


def ending_of(text: str) -> Ending:
    """How the words so far stop. An empty text is OPEN: the words may still come."""
    stripped = text.strip().lower().replace("’", "'")
    words = words_of(stripped)
    if not words:
        return Ending.OPEN
    if stripped.endswith("?"):
        return Ending.OPEN if " ".join(words[-2:]) in _OPEN_PAIRS else Ending.QUESTION
    if stripped.endswith(("...", "…", "-", "–", "—", ",", ":")) or _is_open(words):
        return Ending.OPEN
    if _is_dictating(stripped, words):
        return Ending.DICTATING
    if len(words) <= 2 and all(word in _OPENERS for word in words):
        return Ending.OPENER
    if _is_clause(stripped):
        return Ending.CLAUSE
    return Ending.STATEMENT if _CLOSED.search(stripped) else Ending.NEUTRAL


def _is_open(words: list[str]) -> bool:
    last, pair = words[-1], " ".join(words[-2:])
    if pair in _CLOSED_ENDINGS:
        return False
    if len(words) == 1 and last in _OPENERS:
        return False
    if last in _MONTHS:  # "on March": the day is to come; "in March" has none
        return len(words) > 1 and words[-2] not in _BEFORE_A_MONTH
    if _CLOSED_CLAUSE.search(" ".join(words[-3:])):
        return False
    return last in _FILLERS or pair in _FILLERS or last in _OPEN_ENDINGS or pair in _OPEN_PAIRS


def _is_clause(text: str) -> bool:
    sentence = re.split(r"[.?!]\s", text.rstrip(".?! "))[-1]
    if "," in sentence[2:]:
        sentence = sentence.rpartition(",")[2].strip()
        return bool(_OBJECT_TO_COME.search(sentence))
    subordinate = _SUBORDINATE.search(sentence) and len(sentence.split()) <= _LONGEST_CLAUSE
    return bool(subordinate or _OBJECT_TO_COME.search(sentence))


def _is_dictating(text: str, words: list[str]) -> bool:
    clause = re.split(r"[.?!]\s", text.rstrip(".?! "))[-1]
    if re.search(r"\be-?mail\b.*\b(?:is|at)\b|@", clause):
        return not _MAIL_ENDS.search(clause)
    if _STREET_ENDS.search(clause):
        return True
    run = _dictated_run(words)
    if not run:
        return False
    if any(len(word) == 1 and word.isalpha() for word in run):
        return True
    digits = sum(len(re.findall(r"\d", word)) or 1 for word in run)
    if _DICTATED.search(text):
        whole = _ZIP_DIGITS if re.search(r"\b(?:zip|postal)\b", text) else _PHONE_DIGITS
        return digits < whole
    return len(run) > 1 and run[-1] in {"hundred", "thousand", "point"}


def _dictated_run(words: list[str]) -> list[str]:
    """The words at the end that are numbers or single letters, in order."""
    run: list[str] = []
    for before, word in zip(reversed(["", *words[:-1]]), reversed(words), strict=True):
        letter = len(word) == 1 and word.isalpha() and word not in {"i", "a"}
        named = letter and before in _LETTERED  # "part B"
        if named or not (letter or word.isdigit() or word in _NUMBER_WORDS):
            break
        run.insert(0, word)
    return run
