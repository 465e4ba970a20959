"""A rep of the bench: a microphone that is mixed as it goes, and an ear, on one time line.

Built on aiortc, so nothing of a browser: what a browser adds on both ends is `BROWSER_SECONDS`,
added to what is reported. The line counts samples at 48 kHz from the moment at which the first
sound of the microphone was made.
"""

import asyncio

import numpy as np
from numpy.typing import NDArray

from bench.voice import sounds
from bench.voice.replay import FLOOR
from bench.voice.takes import Take
from calls.live.codec import SILENT_PACKET, CodecError, OpusDecoder, OpusEncoder
from calls.live.events import FRAME_SAMPLES, FRAME_SECONDS, WIRE_RATE
from calls.tests.rtc_client import Heard, RtcClient

# Chromium on loopback: capture, its buffer before the ear (32 ms), output. Measured as the rest of
# the floor of an echo through aiortc (154 ms) after aiortc's own buffer (80 ms).
BROWSER_SECONDS = 0.074
LONGEST_CALL = 15 * 60  # seconds
LOUD = 0.004  # RMS, -48 dBFS: the persona sounds
PART_AFTER = 0.5  # seconds of silence that part two utterances


class Rep:
    """Speaks takes into a call and keeps both sides of it."""

    def __init__(self, *, seed: int, loopback_only: bool = True) -> None:
        size = LONGEST_CALL * WIRE_RATE
        self.microphone: NDArray[np.int16] = np.zeros(size, np.int16)
        self.ear: NDArray[np.int16] = np.zeros(size, np.int16)
        self.onsets: list[float] = []  # seconds of the line at which the persona began
        self.last_sound = -1.0  # seconds of the line at which the persona last sounded
        self.echo: tuple[float, float] | None = None  # dB, seconds
        self.room: sounds.Sound | None = None
        self.rtc = RtcClient(
            next_packet=self._frame, on_heard=self._hear, loopback_only=loopback_only
        )
        self._hiss = _hiss(seed)
        self._planned: list[tuple[int, sounds.Sound]] = []  # first sample, sound
        self._encoder, self._decoder = OpusEncoder(), OpusDecoder()
        self._ear_end = 0

    @property
    def now(self) -> float:
        """Seconds of the line. A frame leaves when its last sample was made."""
        started = self.rtc.microphone.started_at
        if started is None:
            return 0.0
        return asyncio.get_running_loop().time() - started + FRAME_SECONDS

    @property
    def sent(self) -> int:
        return self.rtc.microphone.sent * FRAME_SAMPLES

    def say(self, take: Take) -> float:
        """Begin a take with the next frame; seconds of the line at which its sound begins."""
        self.room = take.room
        if take.echo is not None:
            self.echo = take.echo
        begin = self.sent
        self._planned.append((begin, take.sound))
        return begin / WIRE_RATE

    def end_take(self) -> None:
        """Its room and its echo are over."""
        self.room = self.echo = None

    def recording(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Microphone and ear up to now."""
        return self.microphone[: self.sent], self.ear[: self.sent]

    def _frame(self, number: int) -> bytes:
        begin = number * FRAME_SAMPLES
        if begin + FRAME_SAMPLES > len(self.microphone):
            return SILENT_PACKET
        frame = _looped(self._hiss, begin)
        for start, sound in self._planned:
            _mix(frame, sound, begin - start)
        self._planned = [p for p in self._planned if p[0] + len(p[1]) > begin + FRAME_SAMPLES]
        if self.room is not None:
            frame += _looped(self.room, begin)
        if self.echo is not None:
            frame += self._echoed(begin, *self.echo)
        pcm = (np.clip(frame, -1, 1) * 32767).astype(np.int16)
        self.microphone[begin : begin + FRAME_SAMPLES] = pcm
        return self._encoder.encode(pcm)

    def _echoed(self, begin: int, decibels: float, delay: float) -> sounds.Sound:
        start = begin - round(delay * WIRE_RATE)
        if start < 0:
            return np.zeros(FRAME_SAMPLES, np.float32)
        heard = self.ear[start : start + FRAME_SAMPLES].astype(np.float32) / 32768
        return sounds.louder(heard, decibels)

    def _hear(self, heard: Heard) -> None:
        """Play it as it comes, in order; what a delay has piled up is caught up in silence."""
        arrived = round(self.now * WIRE_RATE)
        begin = max(arrived, self._ear_end)
        late = begin - arrived
        pcm = self._decoded(heard.payload)
        loud = float(np.sqrt(np.mean(np.square(pcm / 32768.0)))) > LOUD
        if not loud and late > 2 * FRAME_SAMPLES:
            return
        end = begin + len(pcm)
        if end > len(self.ear):
            return
        self.ear[begin:end] = pcm
        self._ear_end = end
        if loud:
            at = begin / WIRE_RATE
            if at - self.last_sound > PART_AFTER:
                self.onsets.append(at)
            self.last_sound = at

    def _decoded(self, payload: bytes | None) -> NDArray[np.int16]:
        if payload is not None:
            try:
                return self._decoder.decode(payload)
            except CodecError:
                pass
        return np.zeros(FRAME_SAMPLES, np.int16)


def _hiss(seed: int) -> sounds.Sound:
    noise = np.random.default_rng(seed).normal(size=10 * WIRE_RATE).astype(np.float32)
    return sounds.louder(noise, FLOOR)


def _looped(sound: sounds.Sound, begin: int) -> sounds.Sound:
    """A frame of a sound that goes on for ever."""
    start = begin % len(sound)
    frame = sound[start : start + FRAME_SAMPLES].copy()
    if len(frame) == FRAME_SAMPLES:
        return frame
    return np.concatenate((frame, sound[: FRAME_SAMPLES - len(frame)]))


def _mix(frame: sounds.Sound, sound: sounds.Sound, offset: int) -> None:
    """Add the part of `sound` from `offset` on; a negative offset begins within the frame."""
    first = max(0, -offset)
    part = sound[max(0, offset) : offset + len(frame)]
    frame[first : first + len(part)] += part
