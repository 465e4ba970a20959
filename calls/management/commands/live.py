"""`manage.py live`: a process that carries calls."""

import asyncio
import gc
import logging
import signal
import socket
import sys
import uuid
from argparse import ArgumentParser
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from calls.after_call.engines import rubric_examples_shipped
from calls.live.measuring import Measuring
from calls.live.peer import PeerSettings, check_aiortc
from calls.live.wiring import LiveEngines
from calls.live.worker import Worker
from calls.ports import Embedder, ProviderError
from calls.providers.choices import ProviderChoice
from calls.providers.director import AuthoredLine, prepare
from calls.providers.registry import Choices, EngineChoice, open_providers
from calls.providers.speech_client import SpeechClient, wait_ready
from calls.sandbox.ahead import lines_tried_first
from calls.selectors import drill_packs_shipped
from calls.services.providers import provider_choices
from webhooks.addresses import networks

logger = logging.getLogger(__name__)

GIL_SECONDS = 0.0005  # until a thread that computes lets the audio go on; Python's own 5 ms add up
SPEECH_WITHIN = 120.0  # seconds for the speech server to load its models


class Command(BaseCommand):
    help = "Carry live calls until stopped. SIGTERM drains, SIGINT stops at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--slots", type=int, default=settings.LIVE_SLOTS, help="calls at once; 0: measured"
        )
        parser.add_argument(
            "--drain", type=float, default=3600.0, help="seconds that SIGTERM leaves live calls"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        check_aiortc()
        sys.setswitchinterval(GIL_SECONDS)
        asyncio.run(_serve(slots=options["slots"], drain=options["drain"]))


async def _serve(*, slots: int, drain: float) -> None:
    async with open_providers(_engine_choice()) as providers:
        packs = await asyncio.to_thread(drill_packs_shipped)
        examples = await asyncio.to_thread(rubric_examples_shipped)
        for pack in packs:  # all but the vectors, while the speech process loads its models
            await prepare(pack, None)
        client = SpeechClient(settings.SPEECH_URL, settings.SPEECH_API_KEY)
        await wait_ready(client, seconds=SPEECH_WITHIN)
        await client.close()
        lines = settings.VAR_DIR / "live" / "lines"
        engines = LiveEngines(
            providers, vectors=settings.VECTORS_DIR, lines=lines, choices=_choices_of
        )
        await engines.prepare(packs)
        own_speech = settings.SPEECH_URL.startswith("http+unix:") and not settings.TRANSCRIPTION
        measuring = Measuring(
            providers, kept=settings.VAR_DIR / "live" / "capacity.json", own_speech=own_speech
        )
        carried = slots or await measuring.slots(packs)
        warming = asyncio.create_task(
            _warm(engines, measuring, providers.background_embedder, packs, examples)
        )
        warming.add_done_callback(_log_failure)
        gc.collect()
        gc.freeze()  # what was imported and made ready: walking it would hold up every call's sound
        try:
            await _carry_calls(engines, carried, drain)
        finally:
            warming.cancel()
            await asyncio.gather(warming, return_exceptions=True)
            await engines.close()


def _engine_choice() -> EngineChoice:
    """Our speech process, and the engines that the operator set."""
    own = {"chat": settings.CHAT, "transcription": settings.TRANSCRIPTION, "speech": settings.VOICE}
    return EngineChoice(
        models=settings.MODELS_DIR,
        local_url=settings.SPEECH_URL,
        local_key=settings.SPEECH_API_KEY,
        choices={
            kind: ProviderChoice(kind, **engine, voices=settings.VOICE_NAMES, checked=False)
            for kind, engine in own.items()
            if engine
        },
        refused=networks(settings.WEBHOOK_REFUSED_NETWORKS),
    )


async def _choices_of(tenant_id: uuid.UUID) -> Choices:
    def read() -> Choices:
        try:
            return provider_choices(tenant_id=tenant_id)
        finally:
            connections.close_all()

    return await asyncio.to_thread(read)


async def _warm(
    engines: LiveEngines,
    measuring: Measuring,
    embedder: Embedder,
    packs: list[dict[str, Any]],
    examples: list[list[str]],
) -> None:
    await engines.warm_vectors(examples)
    if settings.LINES_AHEAD:
        await engines.warm_lines(packs, first=await _tried_first(packs, embedder))
    if not engines.busy():  # now nothing disturbs: the next start goes by this
        await measuring.measured(packs)


async def _tried_first(packs: list[dict[str, Any]], embedder: Embedder) -> list[AuthoredLine]:
    """Of the sandbox's first call; without them it only takes longer."""
    try:
        return await lines_tried_first(packs, embedder, folder=settings.VECTORS_DIR)
    except ProviderError as failure:
        logger.warning("lines tried first not found", extra={"error": type(failure).__name__})
        return []


async def _carry_calls(engines: LiveEngines, slots: int, drain: float) -> None:
    worker = Worker(
        host=socket.gethostname(),
        slots=slots,
        layer=get_channel_layer(),
        peers=PeerSettings(
            ice_servers=settings.ICE_SERVERS,
            public_address=settings.LIVE_PUBLIC_ADDRESS,
            loopback=settings.LIVE_LOOPBACK,
        ),
        make_engines=engines.for_call,
    )
    engines.busy = lambda: worker.calls > 0
    loop = asyncio.get_running_loop()
    stops: set[asyncio.Task[None]] = set()
    for number, limit in ((signal.SIGTERM, drain), (signal.SIGINT, 0.0)):
        loop.add_signal_handler(number, _start, stops, worker, limit)
    await worker.run()


def _start(stops: set[asyncio.Task[None]], worker: Worker, limit: float) -> None:
    stops.add(asyncio.create_task(worker.drain(limit)))


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("warming failed", exc_info=task.exception())
