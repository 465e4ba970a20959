"""Five minutes of a call: who spoke when, and the words that nobody knows yet.

A chunk ends in a pause, so that no word is cut in two.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from calls.after_call.belief import believed
from calls.after_call.lines import Said, clipped
from calls.after_call.speech import (
    WINDOW,
    Piece,
    Stretch,
    loud_stretches,
    pieces,
    quiet_moment,
    speech_stretches,
)
from calls.after_call.stitching import ChannelTape
from calls.ports import FullTranscriber, Pcm, SpeechDetector, Word
from calls.sound.opus import WIRE_RATE, Resampler48to16

CHUNK_SECONDS = 300.0
CUT_SEARCH = 30.0  # seconds at the end of a chunk in which a pause is looked for
UNTOLD_SECONDS = 0.5  # of the persona's sound without a turn that are worth recognising
PIECES_AT_ONCE = 2  # the recogniser's threads; it works on one while a call is live
_TOLD_AROUND = 0.5  # seconds around a turn of the persona that belong to it

Between = Callable[[], None]  # runs about once a second; raises when the work is not ours any more


@dataclass(frozen=True)
class ChunkSound:
    """One chunk, listened to but not yet recognised. Times in seconds of the call."""

    start: float
    end: float
    rep: Pcm  # 16 kHz
    rep_speech: tuple[Stretch, ...]
    persona: Pcm  # 16 kHz
    persona_voiced: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """What was recognised in a chunk."""

    rep: tuple[Word, ...]
    persona: tuple[Word, ...]


def chunk_listen(
    rep: ChannelTape,
    persona: ChannelTape,
    *,
    start: float,
    total: float,
    detector: SpeechDetector,
    between: Between,
) -> ChunkSound:
    """The chunk that begins at `start` of a call of `total` seconds. Holds both channels once."""
    end = start + CHUNK_SECONDS
    last = end + CUT_SEARCH >= total
    end = total if last else end
    heard = _hearable(rep, start, end, between)
    speech = speech_stretches(_chances(heard, detector, between), start=start)
    cut = end if last else quiet_moment(speech, start=end - CUT_SEARCH, end=end)
    sounding = _hearable(persona, start, cut, between)
    return ChunkSound(
        start,
        cut,
        heard[: _samples(cut - start)],
        tuple(clipped(speech, start, cut)),
        sounding,
        tuple(loud_stretches(sounding, rate=16_000, start=start)),
    )


async def chunk_recognise(
    sound: ChunkSound,
    transcriber: FullTranscriber,
    *,
    told: Sequence[Said],
    hints: Sequence[str],
    between: Between,
) -> Heard:
    """The rep's words, and the persona's where no turn in `told` says what it said."""
    rep = await _words(sound.rep, sound.rep_speech, sound.start, transcriber, hints, between)
    untold = untold_stretches(sound.persona_voiced, told)
    persona = await _words(sound.persona, untold, sound.start, transcriber, hints, between)
    return Heard(tuple(rep), tuple(persona))


def untold_stretches(voiced: Iterable[Stretch], told: Sequence[Said]) -> list[Stretch]:
    """Where the persona sounds outside of all its turns: its worker died before it wrote them."""
    return [
        stretch
        for stretch in voiced
        if stretch.end - stretch.start >= UNTOLD_SECONDS
        and not any(
            turn.start - _TOLD_AROUND < stretch.end and turn.end + _TOLD_AROUND > stretch.start
            for turn in told
        )
    ]


async def _words(
    pcm: Pcm,
    speech: Sequence[Stretch],
    start: float,
    transcriber: FullTranscriber,
    hints: Sequence[str],
    between: Between,
) -> list[Word]:
    room = asyncio.Semaphore(PIECES_AT_ONCE)

    async def hear(piece: Piece) -> list[Word]:
        async with room:
            between()
            transcript = await transcriber.full(piece.pcm, hints=hints)
        return believed(transcript, piece, hints=hints)

    tasks = [asyncio.create_task(hear(piece)) for piece in pieces(pcm, speech, start=start)]
    try:
        heard = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [word for words in heard for word in words]


def _hearable(tape: ChannelTape, start: float, end: float, between: Between) -> Pcm:
    """A stretch of a channel at 16 kHz."""
    resampler = Resampler48to16()
    sounds = [np.zeros(0, np.int16)]
    for pcm in tape.sound(start, end):
        between()
        sounds.append(resampler.resample(pcm))
    return np.concatenate(sounds)


def _chances(pcm: Pcm, detector: SpeechDetector, between: Between) -> list[float]:
    chances = []
    for number, at in enumerate(range(0, len(pcm) - WINDOW + 1, WINDOW)):
        chances.append(detector.probability(pcm[at : at + WINDOW]))
        if number % 300 == 0:
            between()
    return chances


def _samples(seconds: float) -> int:
    return round(seconds * WIRE_RATE) // 3
