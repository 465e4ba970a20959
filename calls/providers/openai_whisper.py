"""Words with times from OpenAI's own Whisper, in this process: for the record, never live.

An optional extra (`make openai-whisper`), so torch and whisper are imported when first used.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from calls.ports import (
    SPEECH_RATE,
    Pcm,
    ProviderRefused,
    ProviderUnavailable,
    Segment,
    Transcript,
    Word,
)
from calls.providers.transcriber import prompt
from calls.providers.whisper_weights import CONVERTED, EXTRA_MISSING

LONGEST = 30  # seconds of sound in one question: one window of Whisper
ANSWER_SECONDS = 180.0  # a window takes 1 to 10 s; the first one also loads and compiles
WAITING = 4  # questions at a time

_TEMPERATURES = (0.0, 0.4)  # one repeat of a window that looped
_SILENT = 0.003  # nothing above -50 dBFS: Whisper would invent words
_FRAME = SPEECH_RATE // 20

# One thread for the process: the engine computes for one question at a time.
_thread = ThreadPoolExecutor(1, thread_name_prefix="openai-whisper")
_places = threading.BoundedSemaphore(WAITING)


class OpenAIWhisperTranscriber:
    """The converted weights of the models folder, loaded once per process."""

    def __init__(self, models: Path, *, language: str = "en") -> None:
        self._weights = models / CONVERTED
        self._language = language

    async def full(self, pcm: Pcm, *, hints: Sequence[str] = ()) -> Transcript:
        """Words with times, for the record. 16 kHz, up to 30 s; some seconds of one core."""
        if len(pcm) > LONGEST * SPEECH_RATE:
            raise ProviderRefused(f"A piece of speech is longer than {LONGEST} s.")
        if not _places.acquire(blocking=False):
            raise ProviderUnavailable("Too many pieces of speech wait for openai-whisper.")
        try:
            future = _thread.submit(self._transcribe, pcm.copy(), prompt(hints, ""))
        except BaseException:
            _places.release()
            raise
        # Whoever gave up waiting does not stop the thread: the place is free when it is.
        future.add_done_callback(lambda _: _places.release())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asyncio.wrap_future(future)
        except TimeoutError as problem:
            raise ProviderUnavailable("openai-whisper took too long.") from problem

    def _transcribe(self, pcm: Pcm, expected: str) -> Transcript:
        samples = pcm.astype(np.float32) / 32768.0
        model = shared_model(self._weights)
        if _silent(samples):
            return Transcript("")
        answer = model.transcribe(
            samples,
            language=self._language,
            temperature=_TEMPERATURES,
            initial_prompt=expected or None,
            condition_on_previous_text=False,
            word_timestamps=True,
            fp16=False,
            verbose=None,
        )
        return transcript_of(answer, seconds=len(pcm) / SPEECH_RATE)


@lru_cache(maxsize=1)
def shared_model(weights: Path) -> Any:
    """The engine, ready. About a second and 400 MB; refused when the extra is missing."""
    try:
        import torch
        import whisper
    except ImportError as problem:
        raise ProviderRefused(EXTRA_MISSING) from problem
    if not weights.is_file():
        raise ProviderRefused(
            f"{CONVERTED} is not in the models folder: run `manage.py whisper_convert`."
        )
    torch.set_num_threads(1)  # jobs after a call leave the other cores to live ones
    checkpoint = torch.load(weights, map_location="cpu", weights_only=True)
    model = whisper.Whisper(whisper.ModelDimensions(**checkpoint["dims"]))
    model.load_state_dict(checkpoint["model_state_dict"])
    model.set_alignment_heads(checkpoint["alignment_heads"].encode())
    return model.eval()


def transcript_of(answer: Mapping[str, Any], *, seconds: float) -> Transcript:
    """openai-whisper's answer as ours, no time behind the end of the sound."""
    found = [part for part in answer["segments"] if part["text"].strip()]
    words = tuple(
        Word(
            text=word["word"].strip(),
            start=min(float(word["start"]), seconds),
            end=min(float(word["end"]), seconds),
            probability=float(word["probability"]),
        )
        for part in found
        for word in part.get("words", ())
        if word["word"].strip()
    )
    segments = tuple(
        Segment(
            text=part["text"].strip(),
            start=min(float(part["start"]), seconds),
            end=min(float(part["end"]), seconds),
            log_probability=float(part["avg_logprob"]),
            no_speech=float(part["no_speech_prob"]),
        )
        for part in found
    )
    scores = [segment.log_probability for segment in segments]
    confidence = sum(scores) / len(scores) if scores else 0.0
    return Transcript(answer["text"].strip(), words, confidence, segments)


def _silent(samples: np.ndarray[Any, np.dtype[np.float32]]) -> bool:
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    return not len(frames) or float(np.sqrt((frames**2).mean(axis=1)).max()) < _SILENT
