"""Measures how many calls this machine carries, and keeps the number for the next start."""

import asyncio
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calls.live.capacity import MOST, slots_measured
from calls.live.codec import Resampler48to16, SpeechDecoder, encode_clip
from calls.live.events import FRAME_SAMPLES, FRAME_SECONDS, Pcm
from calls.live.vad import SpeechStage
from calls.ports import ProviderError
from calls.providers.registry import Providers

logger = logging.getLogger(__name__)

SAYING = "I would like to know what it costs, and what I get for it."
PASSES = 3  # the best counts: the machine is busy with its own start
WITHIN = 10.0  # seconds for one pass
TRIES, PAUSE = 3, 2.0
UNMEASURED = 4  # calls
DEFAULT_VOICE = "af_heart"


class Measuring:
    """One worker's measure of its machine. `kept` is the file between starts.

    Without `own_speech` recognition runs on machines of somebody else and is no limit.
    """

    def __init__(self, providers: Providers, *, kept: Path, own_speech: bool) -> None:
        self._providers = providers
        self._file = kept
        self._own_speech = own_speech

    async def slots(self, packs: Sequence[Mapping[str, Any]]) -> int:
        """What the last start on this machine measured, else what is measured now (seconds)."""
        kept = await asyncio.to_thread(self._kept)
        return kept or await self.measured(packs)

    async def measured(self, packs: Sequence[Mapping[str, Any]]) -> int:
        """Speak a sentence and recognise it as in a call; the number stays for the next start.

        Where the engines fail, what the product is specified for stands: the worker lowers it when
        late.
        """
        for _ in range(TRIES):
            try:
                sound = await self._sentence(packs)
                words = [await self._words_seconds(sound) for _ in range(PASSES)]
            except ProviderError as failure:
                logger.warning("capacity not measured", extra={"error": type(failure).__name__})
                await asyncio.sleep(PAUSE)
            else:
                slots = await self._slots(sound, min(words))
                await asyncio.to_thread(self._keep, slots)
                return slots
        return UNMEASURED

    async def _sentence(self, packs: Sequence[Mapping[str, Any]]) -> Pcm:
        persona = packs[0]["persona"]["voice"] if packs else DEFAULT_VOICE
        voice = self._providers.default.background_voice
        return np.concatenate([pcm async for pcm in voice.speak(SAYING, voice=persona)])

    async def _words_seconds(self, sound: Pcm) -> float:
        heard = Resampler48to16().resample(sound)
        began = time.monotonic()
        await self._providers.default.transcriber.live(heard, deadline=WITHIN)
        await self._providers.sentence_model.complete(SAYING)
        return time.monotonic() - began

    async def _slots(self, sound: Pcm, words: float) -> int:
        detect = self._providers.speech_detector().probability
        share = await asyncio.to_thread(media_share, sound, detect)
        slots = slots_measured(words_seconds=words if self._own_speech else None, media_share=share)
        facts = {"slots": slots, "words_ms": round(1000 * words), "media": round(share, 4)}
        logger.info("capacity measured", extra=facts)
        return slots

    def _kept(self) -> int | None:
        """None unless the file is of this machine and holds a number that may be."""
        try:
            found = json.loads(self._file.read_text("utf-8"))
            slots = found["slots"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        mine = found.get("machine") == machine(own_speech=self._own_speech)
        return slots if mine and type(slots) is int and 1 <= slots <= MOST else None

    def _keep(self, slots: int) -> None:
        written = {"machine": machine(own_speech=self._own_speech), "slots": slots}
        beside = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(written), "utf-8")
            beside.replace(self._file)
        except OSError as problem:  # it is measured again at the next start
            logger.warning("capacity not kept", extra={"error": type(problem).__name__})


def machine(*, own_speech: bool) -> str:
    """What the number depends on: another processor or count of cores is another machine."""
    model = ""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    except OSError:
        pass
    whose = "own" if own_speech else "other"
    return (
        f"{platform.machine()}, {model}, {os.cpu_count()} cores, {whose} recognition and sentences"
    )


def media_share(sound: Pcm, detect: Callable[[Pcm], float]) -> float:
    """The share of a core that the audio of one call costs: both directions, and the detector."""
    packets, decode = encode_clip(sound), SpeechDecoder().decode
    speech = SpeechStage(detect)
    began = time.thread_time()
    for number, packet in enumerate(packets):
        speech.push((number + 1) * FRAME_SECONDS, decode(packet, FRAME_SAMPLES))
    return (time.thread_time() - began) / (len(packets) * FRAME_SECONDS)
