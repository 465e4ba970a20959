"""Sound that arrives in blocks of any size, raw or as WAV, made into 48 kHz without its silence."""

import struct

import av
import numpy as np

from calls.ports import Pcm, ProviderRefused, ProviderUnavailable
from calls.providers.resample import Doubler

OUT_RATE = 48_000  # Hz
DOUBLED_RATE = 24_000
QUIET = 104  # of 32768: -50 dBFS
LONGEST_HEADER = 4096  # bytes; a WAV's sound begins after 44, or after a few tags
_RATES = range(8_000, 48_001)


class SoundStream:
    """16 bit, mono. `rate` in Hz is that of raw sound; a WAV brings its own.

    The silence before the first sound is cut: it would only delay the answer.
    """

    def __init__(self, rate: int = DOUBLED_RATE) -> None:
        self._rate = rate
        self._head: bytes | None = b""  # None once the format is known
        self._half = b""
        self._make: Doubler | _Resampler | None = None
        self._sounding = False
        self.received = 0  # bytes

    def feed(self, block: bytes) -> Pcm:
        self.received += len(block)
        if self._head is not None:
            self._head += block
            found = self._begin(self._head)
            if found is None:
                return _NOTHING
            self._head, block = None, found
        data = self._half + block
        whole = len(data) // 2 * 2
        self._half = data[whole:]
        assert self._make is not None
        return self._trimmed(self._make.feed(np.frombuffer(data[:whole], "<i2")))

    def finish(self) -> Pcm:
        """What was held back. Raises ProviderUnavailable when the sound broke off."""
        if self._make is None or self._half:
            raise ProviderUnavailable("The sound broke off.")
        return self._trimmed(self._make.finish())

    def _begin(self, head: bytes) -> bytes | None:
        """The first sound, once it is known how to read it; None while it is not."""
        if len(head) < 4:
            return None
        sound: bytes | None = head
        if head[:4] == b"RIFF":
            self._rate, sound = _wav(head)
            if sound is None:
                return None
        if self._rate not in _RATES:
            raise ProviderRefused("The voice's sample rate is odd.")
        self._make = Doubler() if self._rate == DOUBLED_RATE else _Resampler(self._rate)
        return sound

    def _trimmed(self, pcm: Pcm) -> Pcm:
        if self._sounding or not len(pcm):
            return pcm
        loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > QUIET)
        if not len(loud):
            return _NOTHING
        self._sounding = True
        return pcm[max(0, loud[0] - OUT_RATE // 100) :]  # 10 ms before it: no click


class _Resampler:
    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=OUT_RATE)

    def feed(self, pcm: Pcm) -> Pcm:
        if not len(pcm):
            return _NOTHING
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self._rate
        return self._run(frame)

    def finish(self) -> Pcm:
        return self._run(None)

    def _run(self, frame: av.AudioFrame | None) -> Pcm:
        made = [out.to_ndarray().reshape(-1) for out in self._resampler.resample(frame)]
        return np.concatenate(made).astype(np.int16) if made else _NOTHING


def _wav(head: bytes) -> tuple[int, bytes | None]:
    """A WAV's sample rate and the first of its sound; None while the header is not whole."""
    at, rate = 12, 0
    while at + 8 <= len(head):
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"data":
            return rate, head[at + 8 :]
        if name == b"fmt " and at + 24 <= len(head):
            form, channels, rate = struct.unpack_from("<HHI", head, at + 8)
            (bits,) = struct.unpack_from("<H", head, at + 22)
            if (form, channels, bits) != (1, 1, 16):
                raise ProviderRefused("The voice's sound is not 16 bit, mono.")
        at += 8 + size + size % 2
    if len(head) > LONGEST_HEADER:
        raise ProviderRefused("The voice's sound is no WAV.")
    return 0, None


_NOTHING: Pcm = np.empty(0, np.int16)
