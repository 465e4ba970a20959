"""The HTTP face: OpenAI's audio and embeddings API, plus priority and deadline headers."""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np
from aiohttp import web

from speech import forms
from speech.clauses import clauses
from speech.engines import Engines, Queues
from speech.errors import BadRequest, NotReady, Overloaded, Refusal, TooLarge, UnknownModel
from speech.forms import SpeechForm, TranscriptionForm
from speech.metrics import request_answered
from speech.reading import readable
from speech.scheduler import Job, Scheduler
from speech.sound import HEARD_RATE, SPOKEN_RATE, pcm_from_samples, wav_from_pcm
from speech.voices import HibariVoice, Kokoro
from speech.whisper import Segment

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LEFT = 499  # as a status in the metrics: who asked went away
REQUESTS = 64  # at a time, whatever they want
MODELS = ("whisper-base", "whisper-base-live", "kokoro", "hibari", "minilm")
_EMBEDDINGS_PER_TURN = 16


class SpeechServer:
    """The routes. Not ready, and saying so, until `engines` is set."""

    def __init__(self, queues: Queues) -> None:
        self.engines: Engines | None = None
        self.queues = queues
        self.requests = 0

    def application(self) -> web.Application:
        app = web.Application(
            middlewares=[self._counted, self._guarded], client_max_size=forms.JSON_BYTES
        )
        app.router.add_post("/v1/audio/transcriptions", self.transcribe)
        app.router.add_post("/v1/audio/speech", self.speak)
        app.router.add_post("/v1/embeddings", self.embed)
        app.router.add_post("/v1/completeness", self.complete)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        return app

    async def healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.Response:
        self._ready()
        return web.json_response({"status": "ready"})

    async def models(self, request: web.Request) -> web.Response:
        """OpenAI's list, with the voices of those that speak."""
        engines = self._ready()
        voices = {"kokoro": engines.kokoro.voices, "hibari": engines.hibari.voices}
        data = [
            {"id": name, "object": "model", "owned_by": "local", "voices": voices.get(name, [])}
            for name in MODELS
        ]
        return web.json_response({"object": "list", "data": data})

    async def transcribe(self, request: web.Request) -> web.Response:
        """POST /v1/audio/transcriptions. Admitted before the body is read: that bounds them."""
        engines, priority = self._ready(), forms.priority_of(request)
        deadline = forms.deadline_of(request)
        with self.queues.whisper.job(priority, deadline) as job:
            form = await forms.transcription_form(request, priority)
            if form.model == "whisper-base-live":
                segments = [
                    await job.run(
                        partial(
                            engines.whisper.live,
                            form.samples,
                            language=form.language,
                            prompt=form.words_to_expect,
                        )
                    )
                ]
            else:
                segments = await _full(job, engines, form)
        return web.json_response(_transcription(form, segments))

    async def speak(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/audio/speech: raw samples clause by clause, or a WAV file at once."""
        engines, priority = self._ready(), forms.priority_of(request)
        deadline = forms.deadline_of(request)
        form = await forms.speech_form(request)
        engine, queue = self._voice(engines, form)
        with queue.job(priority, deadline) as job:
            sound = _spoken(job, engine, form)
            if form.wav:
                pcm = b"".join([chunk async for chunk in sound])
                return web.Response(body=wav_from_pcm(pcm), content_type="audio/wav")
            return await _streamed(request, sound)

    async def embed(self, request: web.Request) -> web.Response:
        """POST /v1/embeddings: numbers, or base64 of little-endian float32."""
        engines, priority = self._ready(), forms.priority_of(request)
        deadline = forms.deadline_of(request)
        with self.queues.minilm.job(priority, deadline) as job:
            form = await forms.embedding_form(request)
            found = []
            for start in range(0, len(form.texts), _EMBEDDINGS_PER_TURN):
                texts = form.texts[start : start + _EMBEDDINGS_PER_TURN]
                found.append(await job.run(partial(engines.minilm.embed, texts)))
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(row, form.base64)}
            for index, row in enumerate(np.concatenate(found))
        ]
        return web.json_response({"object": "list", "model": "minilm", "data": data})

    async def complete(self, request: web.Request) -> web.Response:
        """POST /v1/completeness: how likely a sentence is over behind a text."""
        engines, priority = self._ready(), forms.priority_of(request)
        deadline = forms.deadline_of(request)
        with self.queues.whisper.job(priority, deadline) as job:
            form = await forms.text_form(request)
            chance = await job.run(partial(engines.whisper.complete, form.text, form.language))
        return web.json_response({"complete": chance})

    def _voice(self, engines: Engines, form: SpeechForm) -> tuple[Kokoro | HibariVoice, Scheduler]:
        choices: dict[str, tuple[Kokoro | HibariVoice, Scheduler]] = {
            "kokoro": (engines.kokoro, self.queues.kokoro),
            "hibari": (engines.hibari, self.queues.hibari),
        }
        if form.model not in choices:
            raise UnknownModel
        if form.voice not in choices[form.model][0].voices:
            raise BadRequest("There is no such voice.", code="voice_not_found")
        return choices[form.model]

    def _ready(self) -> Engines:
        if self.engines is None:
            raise NotReady
        return self.engines

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began, status = time.monotonic(), LEFT
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            route = request.match_info.route.resource
            path = route.canonical if route is not None else "unknown"
            request_answered(path=path, status=status, seconds=time.monotonic() - began)

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Bound the requests at work, and answer every refusal in one shape."""
        self.requests += 1
        try:
            if self.requests > REQUESTS:
                raise Overloaded
            return await handler(request)
        except Refusal as refusal:
            return _refused(refusal)
        except web.HTTPRequestEntityTooLarge:
            return _refused(TooLarge())
        except web.HTTPException as refusal:  # no such path or method
            unknown = Refusal("There is no such endpoint.", code="not_found")
            unknown.status = refusal.status
            return _refused(unknown)
        except Exception:  # the rim: one bad request must not look like a dead server
            log.exception("request failed", extra={"path": request.path})
            return _refused(Refusal())
        finally:
            self.requests -= 1


async def _full(job: Job, engines: Engines, form: TranscriptionForm) -> list[Segment]:
    """Window by window, so that a live piece may come between."""
    windows = engines.whisper.full(
        form.samples, language=form.language, prompt=form.prompt, hotwords=form.hotwords
    )
    segments: list[Segment] = []
    while (segment := await job.run(lambda: next(windows, None))) is not None:
        segments.append(segment)
    return segments


async def _spoken(job: Job, engine: Kokoro | HibariVoice, form: SpeechForm) -> AsyncIterator[bytes]:
    for clause in clauses(readable(form.text)):
        say = partial(engine.say, clause, voice=form.voice, speed=form.speed)
        yield pcm_from_samples(await job.run(say))


async def _streamed(request: web.Request, sound: AsyncIterator[bytes]) -> web.StreamResponse:
    """Headers go out with the first chunk: until then a refusal can still be a refusal."""
    first = await anext(sound, b"")
    response = web.StreamResponse(
        headers={"Content-Type": "audio/pcm", "X-Sample-Rate": str(SPOKEN_RATE)}
    )
    await response.prepare(request)
    try:
        await response.write(first)
        async for chunk in sound:
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        log.info("listener left")  # barge-in: nobody waits for the rest
    except asyncio.CancelledError:
        raise
    except Exception:
        # Half a sentence must not look like a whole one: break the connection.
        log.exception("speech failed midway")
        if request.transport is not None:
            request.transport.abort()
    return response


def _transcription(form: TranscriptionForm, segments: list[Segment]) -> dict[str, Any]:
    text = " ".join(segment.text for segment in segments if segment.text)
    if not form.verbose:
        return {"text": text}
    return {
        "task": "transcribe",
        "language": form.language,
        "duration": len(form.samples) / HEARD_RATE,
        "text": text,
        "segments": [_segment(number, segment) for number, segment in enumerate(segments)],
        "words": [
            {"word": w.text, "start": w.start, "end": w.end, "probability": w.probability}
            for segment in segments
            for w in segment.words
        ],
    }


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": number,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "avg_logprob": segment.log_probability,
        "no_speech_prob": segment.no_speech,
    }


def _vector(row: np.ndarray, as_base64: bool) -> list[float] | str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode() if as_base64 else row.tolist()


def _refused(refusal: Refusal) -> web.Response:
    headers = {"Retry-After": "1"} if refusal.status == 503 else {}
    return web.json_response(refusal.body(), status=refusal.status, headers=headers)
