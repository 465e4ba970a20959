"""The work `transcribe`: an ended call becomes a transcript and one stereo file."""

import asyncio
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage

from calls.after_call import engines
from calls.after_call.belief import CONFIDENT
from calls.after_call.hearing import ChunkSound, Heard, chunk_listen, chunk_recognise
from calls.after_call.lines import Line, Said, lines_make
from calls.after_call.material import Material, StorageUnavailable, material_read
from calls.after_call.speech import Stretch
from calls.after_call.stereo import Peaks, stereo_write
from calls.models import Call
from calls.ports import ProviderRefused, ProviderUnavailable, Word
from calls.services.transcripts import RecordingFile, call_transcribed, heard_chunk_add
from work.claims import Claim

logger = logging.getLogger(__name__)

RECORDED_SHARE = 0.5  # of a turn; of what was recorded less, the live words are kept
SHORTEST_CALL = 0.1  # seconds; nothing to hear in less


def call_transcribe(claim: Claim[Call]) -> None:
    """Chunk by chunk, each kept as soon as it is done: a kill costs five minutes of sound."""
    material = material_read(tenant_id=claim.tenant_id, call_id=claim.pk)
    try:
        with _recording_beside(claim, material) as making:
            _hear_all(claim, material)
            _keep(claim, making.result())
    except ProviderUnavailable:
        claim.release(error="SPEECH_UNAVAILABLE")
    except ProviderRefused:
        claim.park(error="SPEECH_REFUSED")
    except StorageUnavailable:
        claim.release(error="STORAGE_UNAVAILABLE")


def _keep(claim: Claim[Call], recording: RecordingFile | None) -> None:
    material = material_read(tenant_id=claim.tenant_id, call_id=claim.pk)
    rep = [word for chunk in material.chunks for word in words_read(chunk.rep_words)]
    unrecorded = _unrecorded(material)
    lines = lines_make(
        rep=rep,
        rep_unrecorded=unrecorded,
        persona=material.persona_said,
        persona_voiced=[Stretch(*s) for chunk in material.chunks for s in chunk.persona_voiced],
        persona_untold=[w for chunk in material.chunks for w in words_read(chunk.persona_words)],
    )
    spoke = bool(unrecorded) or any(word.probability >= CONFIDENT for word in rep)
    call_transcribed(
        claim=claim,
        lines=[line_values(line) for line in lines],
        recording=recording,
        rep_spoke=spoke and any(line.role == "user" for line in lines),
    )
    logger.info("call_transcribed", extra={"call_id": material.public_id, "lines": len(lines)})


def _hear_all(claim: Claim[Call], material: Material) -> None:
    """Recognise what is not recognised yet."""
    done = len(material.chunks)
    position = material.chunks[-1].end if material.chunks else 0.0
    while material.seconds - position >= SHORTEST_CALL:
        sound = chunk_listen(
            material.rep,
            material.persona,
            start=position,
            total=material.seconds,
            detector=engines.speech_detector(),
            between=claim.check,
        )
        heard = asyncio.run(_recognise(sound, material, claim))
        heard_chunk_add(claim=claim, number=done, values=_chunk_values(sound, heard))
        done, position = done + 1, sound.end


async def _recognise(sound: ChunkSound, material: Material, claim: Claim[Call]) -> Heard:
    async with engines.full_transcriber() as transcriber:
        return await chunk_recognise(
            sound,
            transcriber,
            told=material.persona_said,
            hints=material.hints,
            between=claim.check,
        )


class _Stopped(Exception):
    """The transcript failed: the recording is not wanted now."""


@contextmanager
def _recording_beside(
    claim: Claim[Call], material: Material
) -> Iterator["Future[RecordingFile | None]"]:
    """Make the stereo file in a thread while the recogniser, another process, has the work.

    When the block fails the making ends too, and its file is gone.
    """
    stopped = threading.Event()

    def between() -> None:
        claim.check()
        if stopped.is_set():
            raise _Stopped

    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(_recording_make, claim, material, between)
        try:
            yield making
        except BaseException:
            stopped.set()
            made = making.result() if making.exception() is None else None
            if made is not None:
                default_storage.delete(made.name)
            raise


def _recording_make(
    claim: Claim[Call], material: Material, between: Callable[[], None]
) -> RecordingFile | None:
    """The stereo file, in the storage. None for a call without any sound. No database here."""
    if not material.rep.parts and not material.persona.parts:
        return None
    with tempfile.TemporaryFile() as file:
        rep = material.rep.sound(0.0, material.seconds)
        persona = material.persona.sound(0.0, material.seconds)
        peaks = Peaks()
        duration = stereo_write(rep, persona, file, between=between, peaks=peaks)
        size = file.tell()
        file.seek(0)
        # The token tells the files of two tries apart; the one without a row goes with the folder.
        name = f"{claim.tenant_id}/{claim.pk}/call-{claim.token.hex[:12]}.mp3"
        try:
            kept = default_storage.save(name, File(file))
        except OSError as problem:
            raise StorageUnavailable from problem
    return RecordingFile(kept, duration, size, peaks.bytes())


def _unrecorded(material: Material) -> list[Said]:
    """Turns of the rep whose sound is lost: what was understood live is all there is."""
    return [
        said
        for said in material.rep_said
        if said.text.strip() and material.rep.covered(said.start, said.end) < RECORDED_SHARE
    ]


def _chunk_values(sound: ChunkSound, heard: Heard) -> dict[str, Any]:
    return {
        "start": sound.start,
        "end": sound.end,
        "rep_words": words_values(heard.rep),
        "persona_words": words_values(heard.persona),
        "persona_voiced": [[s.start, s.end] for s in sound.persona_voiced],
    }


def line_values(line: Line) -> dict[str, Any]:
    """The columns of TranscriptLine."""
    return {
        "role": line.role,
        "text": line.text,
        "start_time": round(line.start, 3),
        "end_time": round(line.end, 3),
        "interrupted": line.interrupted,
        "words": words_values(line.words),
        "lag": round(line.lag, 3),
    }


def words_values(words: Sequence[Word]) -> list[dict[str, Any]]:
    return [
        {
            "w": word.text,
            "s": round(word.start, 3),
            "e": round(word.end, 3),
            "p": round(word.probability, 3),
        }
        for word in words
    ]


def words_read(values: Sequence[Mapping[str, Any]]) -> Iterator[Word]:
    return (Word(value["w"], value["s"], value["e"], value["p"]) for value in values)
