"""Speech to text with one Whisper base for both uses: fast for the live call, full for the record.

Live: CTranslate2 encodes any window up to 30 s, and one of 10 s costs a tenth of the whole; a
guard repeats the odd looped or broken answer with a longer one. Full: up to LIVE_SECONDS the same
with a longer window and word times, beyond that faster-whisper's 30 s windows, over the same
loaded weights.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment as FoundSegment
from faster_whisper.transcribe import merge_punctuations

from speech.errors import BadRequest
from speech.sound import HEARD_RATE, Samples, loudness

LIVE_SECONDS = 28  # the longest piece for the live path
FULL_SECONDS = 30 * 60
CALLS = 2  # at a time; one thread each

_LIVE_WINDOW = 10  # seconds; shorter ones make Whisper stutter
_GUARD_WINDOW = 20
_FULL_WINDOW = 12  # as good as 30 s for what fits, at a fifth of the cost
_WIDEST_WINDOW = 30
_OPENING, _CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # marks that belong to a word
_CONTEXT_TOKENS = 60
_LM_FRAMES = 200  # of silence for the decoder alone
_LM_TOKENS = 8  # of the text's end that it goes by; 24 cut off as many, at three times the cost
_STOPS = ".?!… "
_TOKENS_PER_SECOND = 6  # more than the fastest speaker needs
_TEMPERATURES = (0.0, 0.4)  # one repeat of a window that looped; the default repeats five times
_SILENT_RMS = 0.003  # nothing in 50 ms above -50 dBFS: no speech, whatever Whisper would invent
_BLOCK_SECONDS = 120  # of the full path; features of half an hour at once would take a gigabyte
_BLOCK_SEARCH = 15  # seconds at a block's end in which its quietest moment is looked for


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start: float  # seconds from the start of the audio
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of recognised speech. `log_probability` is the mean over its tokens (<= 0)."""

    text: str
    start: float
    end: float
    log_probability: float
    no_speech: float  # 0..1
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class _Decoded:
    tokens: list[int]
    log_probability: float
    no_speech: float
    broken: bool
    encoded: ctranslate2.StorageView


class Whisper:
    """Thread-safe: up to CALLS transcriptions at a time, the GIL released."""

    def __init__(self, folder: Path) -> None:
        self.full_model = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=CALLS
        )
        self.model = self.full_model.model
        self.features = self.full_model.feature_extractor
        self.tokenizer = self.full_model.hf_tokenizer
        self._end = self._token("<|endoftext|>")
        self._previous = self._token("<|startofprev|>")
        self._marks = [self._tokens(mark)[0] for mark in ".?!"]
        self._no_rivals = [*self._marks, self._end, self._tokens(" ")[0]]
        self._nothing = self.model.encode(self._heard(np.zeros(0, np.float32), _LM_FRAMES))

    def warm(self) -> None:
        """One short pass through encoder, decoder and alignment, without the guard's repeats."""
        self.complete("Good morning", "en")
        hum = (np.random.default_rng(1).normal(0.0, 0.01, HEARD_RATE)).astype(np.float32)
        decoded = self._decode(hum, _LIVE_WINDOW, self._head("en"))
        self._words(decoded, len(hum), "en")

    def live(self, samples: Samples, *, language: str, prompt: str = "") -> Segment:
        """The words of one piece of speech, up to LIVE_SECONDS."""
        seconds = len(samples) / HEARD_RATE
        if _silent(samples):
            return Segment("", 0.0, seconds, 0.0, 1.0)
        head = self._head(language)
        decoded = self._decode(samples, _LIVE_WINDOW, self._context(prompt) + head)
        if decoded.broken:
            decoded = self._decode(samples, _GUARD_WINDOW, head)
        invented = decoded.no_speech > 0.4 and decoded.log_probability < -0.7
        text = "" if invented else self.tokenizer.decode(decoded.tokens).strip()
        return Segment(text, 0.0, seconds, decoded.log_probability, decoded.no_speech)

    def complete(self, text: str, language: str) -> float:
        """How likely a sentence is over behind these words rather than going on, 0..1.

        Whisper's decoder is a language model: with nothing to hear it tells how a text goes on.
        What comes back is its chance of a full stop, question or exclamation mark against that and
        its best other guess: 0.08 after "The plan I have in mind" (" is"), 0.78 after "we go
        through it". The marks at the text's own end do not count.
        """
        tokens = self._tokens(" " + text.strip().rstrip(_STOPS))[-_LM_TOKENS:]
        head = self._head(language)
        result = self.model.generate(
            self._nothing,
            [head + tokens],
            beam_size=1,
            max_length=max(2 * (len(tokens) + 1), len(head) + len(tokens) + 1),  # one more token
            suppress_tokens=None,
            suppress_blank=False,
            return_logits_vocab=True,
        )[0]
        logits = np.array(result.logits[0][len(tokens)], np.float64)
        chances = np.exp(logits - logits.max())
        over = float(chances[self._marks].sum())
        chances[self._no_rivals] = 0.0
        return over / (over + float(chances.max()))

    def full(
        self, samples: Samples, *, language: str, prompt: str = "", hotwords: str = ""
    ) -> Iterator[Segment]:
        """Segments with word times; a step takes one window of 30 s of audio at most."""
        self._token(f"<|{language}|>")
        if len(samples) <= LIVE_SECONDS * HEARD_RATE:
            if not _silent(samples):
                yield self._piece(samples, language, f"{hotwords} {prompt}")
            return
        for start, block in blocks(samples):
            if _silent(block):
                continue
            segments, _ = self.full_model.transcribe(
                block,
                language=language,
                beam_size=1,
                best_of=1,
                temperature=_TEMPERATURES,
                condition_on_previous_text=False,
                word_timestamps=True,
                vad_filter=False,
                initial_prompt=prompt or None,
                hotwords=hotwords or None,
            )
            for segment in segments:
                yield _segment(segment, offset=start / HEARD_RATE)

    def _piece(self, samples: Samples, language: str, prompt: str) -> Segment:
        """One piece of speech with word times. Without timestamp tokens, which cost accuracy in
        windows that the model was not trained on; the times come from its attention."""
        head = self._head(language)
        decoded = self._decode(samples, _FULL_WINDOW, self._context(prompt) + head)
        if decoded.broken:
            decoded = self._decode(samples, _WIDEST_WINDOW, head)
        return Segment(
            self.tokenizer.decode(decoded.tokens).strip(),
            0.0,
            len(samples) / HEARD_RATE,
            decoded.log_probability,
            decoded.no_speech,
            self._words(decoded, len(samples), language),
        )

    def _words(self, decoded: _Decoded, samples: int, language: str) -> tuple[Word, ...]:
        tokenizer = Tokenizer(self.tokenizer, True, task="transcribe", language=language)
        frames = samples // 160
        (found,) = self.full_model.find_alignment(
            tokenizer, [decoded.tokens], decoded.encoded, frames
        ) or [[]]
        merge_punctuations(found, _OPENING, _CLOSING)
        seconds = samples / HEARD_RATE
        return tuple(
            Word(
                word["word"].strip(),
                min(float(word["start"]), seconds),
                min(float(word["end"]), seconds),
                float(word["probability"]),
            )
            for word in found
            if word["word"].strip()
        )

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def _token(self, name: str) -> int:
        token = self.tokenizer.token_to_id(name)
        if token is None:
            raise BadRequest("This language is not known.", code="language_unknown")
        return int(token)

    def _head(self, language: str) -> list[int]:
        names = ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>")
        return [self._token(name) for name in names]

    def _context(self, prompt: str) -> list[int]:
        if not prompt.strip():
            return []
        return [self._previous, *self._tokens(" " + prompt.strip())[-_CONTEXT_TOKENS:]]

    def _decode(self, samples: Samples, window: int, prompt: list[int]) -> _Decoded:
        seconds = len(samples) / HEARD_RATE
        frames = min(3000, int(100 * max(window, seconds + 1.0)))  # a second of zeros behind
        most = 8 + int(_TOKENS_PER_SECOND * seconds)
        encoded = self.model.encode(self._heard(samples, frames))
        result = self.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            return_scores=True,
            return_no_speech_prob=True,
            max_length=max(2 * most, most + len(prompt)),  # half of max_length can be generated
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < self._end]
        score = float(result.scores[0])
        words = self.tokenizer.decode(tokens).lower().split()
        broken = loops(words) or len(tokens) >= most - 1 or score < -1.2
        return _Decoded(tokens, score, float(result.no_speech_prob), broken, encoded)

    def _heard(self, samples: Samples, frames: int) -> ctranslate2.StorageView:
        """What the encoder takes: so many frames of 10 ms, zeros behind the sound."""
        padded = np.zeros(frames * 160, np.float32)
        padded[: len(samples)] = samples[: len(padded)]
        features = self.features(padded, padding=0)[None, :, :frames]
        return ctranslate2.StorageView.from_array(np.ascontiguousarray(features, np.float32))


def loops(words: Sequence[str]) -> bool:
    """One to four words come three times in a row: Whisper lost its way."""
    return any(
        words[i : i + n] == words[i + n : i + 2 * n] == words[i + 2 * n : i + 3 * n]
        for n in (1, 2, 3, 4)
        for i in range(len(words) - 3 * n + 1)
    )


def blocks(samples: Samples) -> Iterator[tuple[int, Samples]]:
    """Long audio as (start, samples), cut where it is quietest, _BLOCK_SECONDS at most."""
    start, size = 0, _BLOCK_SECONDS * HEARD_RATE
    while len(samples) - start > size:
        search = start + size - _BLOCK_SEARCH * HEARD_RATE
        levels = loudness(samples[search : start + size], HEARD_RATE, window=0.2)
        cut = search + int((int(np.argmin(levels)) + 0.5) * 0.2 * HEARD_RATE)
        yield start, samples[start:cut]
        start = cut
    yield start, samples[start:]


def _silent(samples: Samples) -> bool:
    levels = loudness(samples, HEARD_RATE, window=0.05)
    return not len(levels) or float(levels.max()) < _SILENT_RMS


def _segment(found: FoundSegment, *, offset: float) -> Segment:
    words = tuple(
        Word(word.word.strip(), offset + word.start, offset + word.end, word.probability)
        for word in found.words or ()
    )
    return Segment(
        found.text.strip(),
        offset + found.start,
        offset + found.end,
        found.avg_logprob,
        found.no_speech_prob,
        words,
    )
