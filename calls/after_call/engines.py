"""The engines of the work after a call, as the settings name them. One of each per use."""

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
from calls.providers.silero import SileroDetector
from calls.providers.speech_client import SpeechClient
from calls.providers.transcriber import OpenAITranscriber
from scoring.judges.embedded import EmbeddedJudge
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
        yield OpenAITranscriber(client)


def speech_detector() -> SpeechDetector:
    return SileroDetector(settings.MODELS_DIR)


@asynccontextmanager
async def judge() -> AsyncIterator[Judge]:
    """The judge that needs nothing but our own vectors."""
    async with speech_client() as client:
        embedder = OpenAIEmbedder(client, priority="batch")

        async def embed(texts: Sequence[str]) -> Vectors:
            try:
                return await embedder.embed(texts)
            except ProviderUnavailable as cause:
                raise JudgeUnavailable("vectors_unavailable") from cause
            except ProviderRefused as cause:
                raise JudgeRefused("vectors_refused") from cause

        yield EmbeddedJudge(embed)
