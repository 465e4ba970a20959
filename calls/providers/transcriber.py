"""Words from an OpenAI-compatible `/audio/transcriptions`: fast in the call, full after it."""

import io
import logging
import wave
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import numpy as np

from calls.ports import (
    SPEECH_RATE,
    Pcm,
    ProviderError,
    ProviderUnavailable,
    Segment,
    Transcriber,
    Transcript,
    Word,
)
from calls.providers.speech_client import SpeechClient

logger = logging.getLogger(__name__)

FIRST_WITHIN = 1.5  # seconds that another engine has, before ours is asked
HINT_CHARACTERS = 300
PREVIOUS_CHARACTERS = 300


class OpenAITranscriber:
    """`live_model` answers within a deadline, `full_model` brings the time of every word.

    `verbose` asks for the segments of live words as well; some vendors' models know only the text.
    """

    def __init__(
        self,
        client: SpeechClient,
        *,
        live_model: str = "whisper-base-live",
        full_model: str = "whisper-base",
        language: str = "en",
        verbose: bool = True,
    ) -> None:
        self._client = client
        self._live_model = live_model
        self._full_model = full_model
        self._language = language
        self._verbose = verbose

    async def live(
        self, pcm: Pcm, *, hints: Sequence[str] = (), previous: str = "", deadline: float = 2.0
    ) -> Transcript:
        wanted = "verbose_json" if self._verbose else "json"
        form = self._form(pcm, self._live_model, prompt(hints, previous), wanted)
        answer = await self._client.post(
            "/audio/transcriptions", body=form, priority="live", seconds=deadline
        )
        return transcript(answer)

    async def full(self, pcm: Pcm, *, hints: Sequence[str] = ()) -> Transcript:
        """Words with times, for the record. 16 kHz, up to 30 minutes; may wait behind live work."""
        form = self._form(pcm, self._full_model, prompt(hints, ""), "verbose_json")
        form.add_field("timestamp_granularities[]", "word")
        seconds = 60.0 + 2.0 * len(pcm) / SPEECH_RATE
        answer = await self._client.post(
            "/audio/transcriptions", body=form, priority="batch", seconds=seconds
        )
        return transcript(answer)

    def _form(self, pcm: Pcm, model: str, expected: str, wanted: str) -> aiohttp.FormData:
        form = aiohttp.FormData()
        form.add_field("model", model)
        form.add_field("language", self._language)
        form.add_field("response_format", wanted)
        if expected:
            form.add_field("prompt", expected)
        form.add_field("file", wav(pcm), filename="speech.wav", content_type="audio/wav")
        return form


class SparedTranscriber:
    """Somebody else's engine with a spare one of ours, for the words of a live call.

    Asking the same engine again in the middle of a turn would only cost the turn.
    """

    def __init__(self, first: Transcriber, *, spare: Transcriber) -> None:
        self._first = first
        self._spare = spare

    async def live(
        self, pcm: Pcm, *, hints: Sequence[str] = (), previous: str = "", deadline: float = 2.0
    ) -> Transcript:
        within = min(deadline, FIRST_WITHIN)
        try:
            return await self._first.live(pcm, hints=hints, previous=previous, deadline=within)
        except ProviderError as failure:
            logger.warning("transcription fell back", extra={"error": type(failure).__name__})
        return await self._spare.live(
            pcm, hints=hints, previous=previous, deadline=max(0.1, deadline - within)
        )


def prompt(hints: Sequence[str], previous: str) -> str:
    """What Whisper is to believe was said before: the names to expect, then the real words."""
    names = ", ".join(hint.strip() for hint in hints if hint.strip())[:HINT_CHARACTERS]
    return " ".join(
        part for part in (names and names + ".", previous[-PREVIOUS_CHARACTERS:]) if part
    )


def wav(pcm: Pcm, rate: int = SPEECH_RATE) -> bytes:
    """Mono 16-bit WAV."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(pcm, "<i2").tobytes())
    return target.getvalue()


def transcript(answer: Mapping[str, Any]) -> Transcript:
    """OpenAI's verbose_json as ours. Its words carry a probability only where we serve them."""
    try:
        words = tuple(
            Word(
                text=str(word["word"]).strip(),
                start=float(word["start"]),
                end=float(word["end"]),
                probability=float(word.get("probability", 1.0)),
            )
            for word in answer.get("words") or ()
        )
        segments = tuple(
            Segment(
                text=str(segment["text"]).strip(),
                start=float(segment["start"]),
                end=float(segment["end"]),
                log_probability=float(segment["avg_logprob"]),
                no_speech=float(segment.get("no_speech_prob", 0.0)),
            )
            for segment in answer.get("segments") or ()
        )
        scores = [segment.log_probability for segment in segments]
        confidence = sum(scores) / len(scores) if scores else 0.0
        return Transcript(str(answer["text"]).strip(), words, confidence, segments)
    except (KeyError, TypeError, ValueError) as problem:
        raise ProviderUnavailable("The transcription has an unknown form.") from problem
