"""Read requests: bounded, and refused with a code when something in them is odd."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from speech.errors import BadAudio, BadRequest, TooLarge, UnknownModel
from speech.scheduler import Priority
from speech.sound import HEARD_RATE, Samples, samples_from_pcm, samples_from_wav
from speech.whisper import FULL_SECONDS, LIVE_SECONDS

READ_SECONDS = 30  # for a whole body
JSON_BYTES = 256 * 1024
FIELD_BYTES = 4 * 1024
SPEECH_CHARACTERS = 1000
EMBEDDING_TEXTS = 256
EMBEDDING_CHARACTERS = 2000
COMPLETENESS_CHARACTERS = 2000
PROMPT_CHARACTERS = 1000
SPEEDS = (0.5, 2.0)

_SECONDS = {Priority.LIVE: LIVE_SECONDS, Priority.BATCH: FULL_SECONDS}
_RAW_TYPES = ("audio/l16", "audio/pcm")


@dataclass(frozen=True, slots=True)
class TranscriptionForm:
    samples: Samples = field(repr=False)
    model: str
    language: str
    prompt: str = field(repr=False)
    hotwords: str = field(repr=False)
    verbose: bool

    @property
    def words_to_expect(self) -> str:
        """For the live path both kinds of hint are simply text that went before."""
        return f"{self.hotwords} {self.prompt}".strip()


@dataclass(frozen=True, slots=True)
class SpeechForm:
    model: str
    text: str = field(repr=False)
    voice: str
    speed: float
    wav: bool


@dataclass(frozen=True, slots=True)
class EmbeddingForm:
    texts: list[str] = field(repr=False)
    base64: bool


@dataclass(frozen=True, slots=True)
class TextForm:
    text: str = field(repr=False)
    language: str


def priority_of(request: web.Request) -> Priority:
    """X-Athos-Priority; live when it does not say."""
    value = request.headers.get("X-Athos-Priority", "live").lower()
    try:
        return Priority[value.upper()]
    except KeyError as problem:
        raise BadRequest("X-Athos-Priority is live or batch.") from problem


def deadline_of(request: web.Request) -> float | None:
    """X-Athos-Deadline-Ms, milliseconds from now, as a time of the loop's clock."""
    value = request.headers.get("X-Athos-Deadline-Ms")
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= 3_600_000:
        raise BadRequest("X-Athos-Deadline-Ms is a whole number of milliseconds, up to an hour.")
    return asyncio.get_running_loop().time() + int(value) / 1000


async def transcription_form(request: web.Request, priority: Priority) -> TranscriptionForm:
    """The multipart form of POST /v1/audio/transcriptions."""
    if not request.content_type.startswith("multipart/"):
        raise BadRequest("The body must be multipart/form-data.")
    async with _reading():
        audio, fields = await _parts(request, _SECONDS[priority] * HEARD_RATE * 2)
    if audio is None:
        raise BadRequest("The form has no file.", code="file_missing")
    samples = samples_from_pcm(audio.data) if audio.raw else samples_from_wav(audio.data)
    model = fields.get("model", "whisper-base")
    seconds = LIVE_SECONDS if model == "whisper-base-live" else _SECONDS[priority]
    if len(samples) > seconds * HEARD_RATE:
        raise TooLarge(f"The audio is longer than {seconds} s.", code="audio_too_long")
    if model not in ("whisper-base", "whisper-base-live"):
        raise UnknownModel
    return TranscriptionForm(
        samples=samples,
        model=model,
        language=fields.get("language", "en"),
        prompt=_bounded(fields.get("prompt", "")),
        hotwords=_bounded(fields.get("hotwords", "")),
        verbose=_chosen(fields.get("response_format", "json"), "verbose_json", "json"),
    )


async def speech_form(request: web.Request) -> SpeechForm:
    """The JSON of POST /v1/audio/speech. Whether the voice exists is the engine's to say."""
    body = await _json(request)
    text, speed = body.get("input"), body.get("speed", 1.0)
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("input must be a text.")
    if len(text) > SPEECH_CHARACTERS:
        raise TooLarge(
            f"input is longer than {SPEECH_CHARACTERS} characters.", code="text_too_long"
        )
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not math.isfinite(speed):
        raise BadRequest("speed must be a number.")
    if not SPEEDS[0] <= speed <= SPEEDS[1]:
        raise BadRequest("speed lies between 0.5 and 2.")
    return SpeechForm(
        model=str(body.get("model", "")),
        text=text,
        voice=str(body.get("voice", "")),
        speed=float(speed),
        wav=_chosen(str(body.get("response_format", "pcm")), "wav", "pcm"),
    )


async def embedding_form(request: web.Request) -> EmbeddingForm:
    """The JSON of POST /v1/embeddings."""
    body = await _json(request)
    if body.get("model") != "minilm":
        raise UnknownModel
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadRequest("input must be a text or a list of texts.")
    if len(texts) > EMBEDDING_TEXTS or any(len(text) > EMBEDDING_CHARACTERS for text in texts):
        raise TooLarge("input holds too many or too long texts.", code="text_too_long")
    return EmbeddingForm(
        texts, base64=_chosen(str(body.get("encoding_format", "float")), "base64", "float")
    )


async def text_form(request: web.Request) -> TextForm:
    """The JSON of POST /v1/completeness."""
    body = await _json(request)
    text, language = body.get("text"), body.get("language", "en")
    if not isinstance(text, str) or not text.strip() or not isinstance(language, str):
        raise BadRequest("text must be words, language a code such as en.")
    if len(text) > COMPLETENESS_CHARACTERS:
        raise TooLarge("text is too long.", code="text_too_long")
    return TextForm(text, language)


@dataclass(frozen=True, slots=True)
class _Audio:
    data: bytes
    raw: bool


async def _parts(request: web.Request, most: int) -> tuple[_Audio | None, Mapping[str, str]]:
    audio: _Audio | None = None
    fields: dict[str, str] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or len(fields) > 16:
                raise BadRequest("The form is not a plain one.")
            if part.name == "file":
                audio = _Audio(await _read(part, most + 4096), raw=_is_raw(part))
            else:
                data = await _read(part, FIELD_BYTES)
                fields[(part.name or "").removesuffix("[]")] = data.decode("utf-8")
    except (ValueError, AssertionError) as problem:
        raise BadRequest("The form is broken.") from problem
    return audio, fields


async def _read(part: BodyPartReader, most: int) -> bytes:
    data = bytearray()
    while block := await part.read_chunk(64 * 1024):
        data += block
        if len(data) > most:
            raise TooLarge("A part of the form is too large.", code="audio_too_long")
    return bytes(data)


def _is_raw(part: BodyPartReader) -> bool:
    name = (part.filename or "").lower()
    kind = part.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if name.endswith((".wav", ".wave")) or kind in ("audio/wav", "audio/x-wav", "audio/wave"):
        return False
    if name.endswith((".pcm", ".raw", ".s16")) or kind in _RAW_TYPES:
        return True
    raise BadAudio


async def _json(request: web.Request) -> dict[str, Any]:
    """The body as an object; the application's client_max_size bounds it."""
    try:
        async with _reading():
            body = json.loads(await request.read())
    except ValueError as problem:
        raise BadRequest("The body is not JSON.") from problem
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return body


@asynccontextmanager
async def _reading() -> AsyncIterator[None]:
    """A body that trickles in must not hold its place in the queue for ever."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            yield
    except TimeoutError as problem:
        raise BadRequest("The body did not arrive in time.", code="body_timeout") from problem


def _chosen(value: str, yes: str, no: str) -> bool:
    if value not in (yes, no):
        raise BadRequest(f"The format is {no} or {yes}.", code="response_format")
    return value == yes


def _bounded(text: str) -> str:
    if len(text) > PROMPT_CHARACTERS:
        raise TooLarge(
            f"prompt is longer than {PROMPT_CHARACTERS} characters.", code="text_too_long"
        )
    return text
