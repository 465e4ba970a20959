"""The libopus that PyAV ships, asked directly for what FFmpeg's wrapper of it leaves out.

FFmpeg always decodes Opus at 48 kHz. The library itself decodes at 16 kHz, which is all that speech
models hear, in less than half the time of a decoder and a resampler. Linux wheels of PyAV keep the
library beside the package; where it is not there, `decoder` says so.
"""

import ctypes
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import numpy as np

from calls.ports import Pcm

LONGEST = 0.12  # seconds of a packet (RFC 6716, 3.2.5)


class Refused(ValueError):
    """libopus could not decode a packet."""


def decoder(rate: int) -> Callable[[bytes], Pcm] | None:
    """One mono stream at `rate`, 8, 12, 16, 24 or 48 kHz: packets to sound. None: no library.

    What it returns raises Refused.
    """
    library = _library()
    if library is None:
        return None
    failure = ctypes.c_int()
    state = library.opus_decoder_create(rate, 1, ctypes.byref(failure))
    if failure.value:
        raise MemoryError("libopus gave no decoder")
    most = round(LONGEST * rate)
    sound = np.empty(most, np.int16)
    place = sound.ctypes.data

    def decode(packet: bytes) -> Pcm:
        count = library.opus_decode(state, packet, len(packet), place, most, 0)
        if count <= 0:
            raise Refused
        return sound[:count].copy()

    weakref.finalize(decode, library.opus_decoder_destroy, state)
    return decode


@cache
def _library() -> ctypes.CDLL | None:
    shipped = sorted((Path(av.__file__).parents[1] / "av.libs").glob("libopus-*.so*"))
    if not shipped:
        return None
    library = ctypes.CDLL(str(shipped[0]))
    state, number, sound = ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p
    library.opus_decoder_create.restype = state
    library.opus_decoder_create.argtypes = [number, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    library.opus_decode.restype = ctypes.c_int
    library.opus_decode.argtypes = [
        state, ctypes.c_char_p, number, sound, ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    library.opus_decoder_destroy.restype = None
    library.opus_decoder_destroy.argtypes = [state]
    return library
