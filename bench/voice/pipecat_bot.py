"""The rival of the bench: pipecat-ai with its defaults, on the same models, over its own WebRTC.

    python pipecat_bot.py --speech var/run/speech.sock --port 8332

Runs in a virtualenv of its own (README.md). Whisper and Kokoro are those of a running product, by
its speech socket; replies are lines made before, as most of the product's are; what is compared is
the loop: transport, jitter, detector, turn strategy, interruption. Listens on loopback only.
"""

import argparse
import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
from aiohttp import web
from aioice import ice
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.request_handler import (
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

VOICE, RATE = "af_bella", 24_000
REPLIES = (
    "I have had the same plan for years, and nobody has ever called me about it before today.",
    "My doctor is over on the east side, and I see her about four times a year for my sugar.",
    "To be honest, I get so many of these calls that I don't know whom to believe any more.",
    "It costs me around forty dollars a month, and then there is what I pay at the pharmacy.",
)
CHUNK = RATE // 50 * 2 * 5  # bytes, 100 ms


class Speech:
    """The product's speech server, and every line it has made."""

    def __init__(self, socket: Path) -> None:
        self._http = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)))
        self._lines: dict[str, bytes] = {}

    async def words(self, wav: bytes) -> str:
        form = aiohttp.FormData()
        form.add_field("model", "whisper-base-live")
        form.add_field("language", "en")
        form.add_field("response_format", "json")
        form.add_field("file", wav, filename="speech.wav", content_type="audio/wav")
        address = "http://speech/v1/audio/transcriptions"
        async with self._http.post(address, data=form, headers=_LIVE) as answer:
            answer.raise_for_status()
            return str((await answer.json())["text"])

    async def line(self, text: str) -> bytes:
        if text not in self._lines:
            body = {"model": "kokoro", "voice": VOICE, "input": text, "response_format": "pcm"}
            address = "http://speech/v1/audio/speech"
            async with self._http.post(address, json=body, headers=_LIVE) as answer:
                answer.raise_for_status()
                self._lines[text] = await answer.read()
        return self._lines[text]


_LIVE = {"X-Athos-Priority": "live"}


class WhisperStt(SegmentedSTTService):
    def __init__(self, speech: Speech, p99: float) -> None:
        super().__init__(sample_rate=16_000, ttfs_p99_latency=p99)
        self._speech = speech

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        text = (await self._speech.words(audio)).strip()
        if text:
            yield TranscriptionFrame(text, "rep", time_now_iso8601(), finalized=True)


class KokoroTts(TTSService):
    def __init__(self, speech: Speech) -> None:
        super().__init__(sample_rate=RATE, push_start_frame=True, push_stop_frames=True)
        self._speech = speech

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        pcm = await self._speech.line(text.strip())
        for start in range(0, len(pcm), CHUNK):
            yield TTSAudioRawFrame(pcm[start : start + CHUNK], RATE, 1, context_id=context_id)


class Replies(FrameProcessor):
    """In the place of a language model: the next line, at once."""

    def __init__(self) -> None:
        super().__init__()
        self._replies = itertools.cycle(REPLIES)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(next(self._replies)))
        await self.push_frame(LLMFullResponseEndFrame())


async def converse(connection, speech: Speech, p99: float) -> None:
    """One call with pipecat's default turn strategies: VAD start, smart-turn v3 stop."""
    transport = SmallWebRTCTransport(
        connection, TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    )
    pair = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    pipeline = Pipeline(
        [
            transport.input(),
            WhisperStt(speech, p99),
            pair.user(),
            Replies(),
            KokoroTts(speech),
            transport.output(),
            pair.assistant(),
        ]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=RATE),
    )

    @transport.event_handler("on_client_connected")
    async def begin(transport, client) -> None:
        await worker.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")
    async def end(transport, client) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def serve(socket: Path, port: int, p99: float) -> None:
    speech = Speech(socket)
    for text in REPLIES:
        await speech.line(text)
    handler = SmallWebRTCRequestHandler()
    calls: set[asyncio.Task[None]] = set()

    async def connected(connection) -> None:
        call = asyncio.create_task(converse(connection, speech, p99))
        calls.add(call)
        call.add_done_callback(calls.discard)

    async def offer(request: web.Request) -> web.Response:
        body = SmallWebRTCRequest.from_dict(json.loads(await request.text()))
        return web.json_response(await handler.handle_web_request(body, connected))

    app = web.Application()
    app.router.add_post("/api/offer", offer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("Ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, required=True, help="socket of the speech server")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--stt-p99", type=float, default=0.4, help="seconds, of our Whisper")
    options = parser.parse_args()
    ice.get_host_addresses = lambda **_: ["127.0.0.1"]  # both ends are on this machine
    asyncio.run(serve(options.speech, options.port, options.stt_p99))


if __name__ == "__main__":
    main()
