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
from calls.providers.kept_vectors import vectors_kept
from calls.providers.registry import FULL_TRANSCRIBERS
from calls.providers.silero import SileroDetector
from calls.providers.speech_client import SpeechClient
from scoring.judges.embedded import EmbeddedJudge, examples
from scoring.judges.openai import OpenAiJudge
from scoring.ports import Judge, JudgeRefused, JudgeUnavailable
from scoring.rubric import rubric_parse
from scoring.selectors import rubrics_shipped
from tenants.isolation import CATALOGUE, tenant_scope


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


@asynccontextmanager
async def _embedder() -> AsyncIterator[OpenAIEmbedder]:
    async with speech_client() as client:
        try:
            yield OpenAIEmbedder(client, priority="batch")
        except ProviderUnavailable as cause:
            raise JudgeUnavailable("vectors_unavailable") from cause
        except ProviderRefused as cause:
            raise JudgeRefused("vectors_refused") from cause


def rubric_examples_shipped() -> list[list[str]]:
    """For each rubric of the catalogue the sentences that the embedded judge compares with."""
    with tenant_scope(CATALOGUE):
        return [examples(rubric_parse(row.content)) for row in rubrics_shipped()]


async def _embed(texts: Sequence[str]) -> Vectors:
    async with _embedder() as embedder:
        return await embedder.embed(texts)


async def _embed_examples(texts: Sequence[str]) -> Vectors:
    async with _embedder() as embedder:
        try:
            return await vectors_kept(texts, embedder, settings.VECTORS_DIR)
        except TimeoutError as cause:
            raise JudgeUnavailable("vectors_unavailable") from cause


# One per process: it keeps the vectors of the rubric used last.
_embedded = EmbeddedJudge(_embed, embed_examples=_embed_examples)
