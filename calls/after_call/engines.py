"""The engines of the work after a call, as the settings name them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from django.conf import settings

from calls.ports import (
    FullTranscriber,
    ProviderRefused,
    ProviderUnavailable,
    SpeechDetector,
    Vectors,
)
from calls.providers.embedder import OpenAIEmbedder
from calls.providers.registry import FULL_TRANSCRIBERS
from calls.providers.silero import SileroDetector
from calls.providers.speech_client import SpeechClient
from scoring.judges.embedded import EmbeddedJudge
from scoring.judges.openai import OpenAiJudge
from scoring.ports import Judge, JudgeRefused, JudgeUnavailable


@asynccontextmanager
async def speech_client() -> AsyncIterator[SpeechClient]:
    """A client of its own for one event loop."""
    client = SpeechClient(settings.SPEECH_URL, settings.SPEECH_API_KEY)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def full_transcriber() -> AsyncIterator[FullTranscriber]:
    async with speech_client() as client:
        yield FULL_TRANSCRIBERS[settings.TRANSCRIBER](client, settings.MODELS_DIR)


def speech_detector() -> SpeechDetector:
    return SileroDetector(settings.MODELS_DIR)


def judge() -> Judge:
    """A chat model where one is configured, else the judge that needs only our own vectors."""
    if settings.JUDGE_URL:
        return OpenAiJudge(
            base_url=settings.JUDGE_URL,
            model=settings.JUDGE_MODEL,
            api_key=settings.JUDGE_API_KEY,
        )
    return _embedded


async def _embed(texts: Sequence[str]) -> Vectors:
    async with speech_client() as client:
        try:
            return await OpenAIEmbedder(client, priority="batch").embed(texts)
        except ProviderUnavailable as cause:
            raise JudgeUnavailable("vectors_unavailable") from cause
        except ProviderRefused as cause:
            raise JudgeRefused("vectors_refused") from cause


_embedded = EmbeddedJudge(_embed)  # one per process: it keeps the vectors of the rubrics' examples
