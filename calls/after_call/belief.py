"""What of a recogniser's answer is believed. Pure.

Whisper was trained on subtitles: given noise, a breath or a half word it answers with what
subtitles end in, with the names it was told to expect, or with one word over and over.
"""

import re
import zlib
from collections.abc import Sequence

from calls.after_call.speech import Piece
from calls.ports import Segment, Transcript, Word

CONFIDENT = 0.5  # probability of a word that proves that somebody spoke

_DOUBT_SILENCE, _DOUBT_WORDS = 0.6, -0.7  # nobody spoke, says the engine, and the words are poor
_NONSENSE = -1.3  # mean log probability; real speech in bad sound stays above
_UNLIKELY, _UNLIKELY_FEW = 0.35, 0.2  # mean probability of the words; a true "okay" has 0.35
_REPETITIVE, _REPETITIVE_FROM = 2.4, 40  # compression ratio, of texts of that many characters
_LETTERS_A_SECOND = 30.0  # more than anybody speaks
_SURE_SPEECH, _SURE_WORDS = 0.75, -1.1  # from which on a suspicious text is believed
_FEW = 2  # words; so short an answer is suspicious by itself, and a true one often scores -0.9
_SUBTITLES = frozenset(
    {
        "thank you", "thank you very much", "thanks for watching", "thank you for watching",
        "thank you so much for watching", "thanks for listening", "thank you for listening",
        "please subscribe", "like and subscribe", "subscribe", "see you next time",
        "see you in the next video", "bye", "bye bye", "you", "the end", "music", "applause",
        "laughter", "silence", "subtitles by the amara org community", "so", "oh", "okay", "hmm",
        "i'm sorry", "i don't know",
    }
)  # fmt: skip


def believed(transcript: Transcript, piece: Piece, *, hints: Sequence[str] = ()) -> list[Word]:
    """The words of a piece, at their time in the call, without what nobody said."""
    kept: list[Word] = []
    for segment, words in _segments(transcript):
        if _believable(segment, words, piece, hints):
            kept += [_placed(word, piece) for word in words]
    return kept


def plain(text: str) -> str:
    """Lower case, letters, digits and apostrophes only."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower().replace("’", "'")))


def _segments(transcript: Transcript) -> list[tuple[Segment, list[Word]]]:
    """Each segment with its words, which come in the same order."""
    if not transcript.words:
        return []
    if not transcript.segments:
        last = transcript.words[-1].end
        whole = Segment(transcript.text, 0.0, last, transcript.confidence, 0.0)
        return [(whole, list(transcript.words))]
    found: list[tuple[Segment, list[Word]]] = [(segment, []) for segment in transcript.segments]
    for word in transcript.words:
        middle = (word.start + word.end) / 2
        nearest = min(found, key=lambda pair: _distance(middle, pair[0]))
        nearest[1].append(word)
    return found


def _distance(at: float, segment: Segment) -> float:
    return max(segment.start - at, at - segment.end, 0.0)


def _believable(
    segment: Segment, words: Sequence[Word], piece: Piece, hints: Sequence[str]
) -> bool:
    text = plain(segment.text)
    if not words or not text:
        return False
    if segment.no_speech > _DOUBT_SILENCE and segment.log_probability < _DOUBT_WORDS:
        return False
    if segment.log_probability < _NONSENSE or _repetitive(segment.text):
        return False
    unlikely = _UNLIKELY_FEW if len(words) <= _FEW else _UNLIKELY
    if sum(word.probability for word in words) < unlikely * len(words):
        return False
    if len(text) > 10 + _LETTERS_A_SECOND * piece.spoken:
        return False
    if text in _SUBTITLES or _only_hints(text, hints) or len(words) <= _FEW:
        return piece.sure >= _SURE_SPEECH and segment.log_probability >= _SURE_WORDS
    return True


def _repetitive(text: str) -> bool:
    data = text.encode()
    return len(text) >= _REPETITIVE_FROM and len(data) / len(zlib.compress(data)) > _REPETITIVE


def _only_hints(text: str, hints: Sequence[str]) -> bool:
    known = set(plain(" ".join(hints)).split())
    return set(text.split()) <= known


def _placed(word: Word, piece: Piece) -> Word:
    start, end = piece.placed(word.start, word.end)
    return Word(word.text, start, end, word.probability)
