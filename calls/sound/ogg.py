"""A minimal Ogg Opus container (RFC 3533, RFC 7845): mono, packets as they are, nothing re-encoded.

The pre-skip is 0, so the n-th decoded sample lies exactly n / 48 000 s after the first packet's
time. What was spoken sounds one encoder look-ahead later (6.5 ms), as it did live.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence

MAX_SEGMENTS = 255
MAX_PACKETS = 100_000  # a part holds 250, a whole call of half an hour 90 000

_FIRST, _LAST = 2, 4  # page flags
_HEADER = struct.Struct("<4sBBqIIIB")
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_HEAD = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
_TAGS = b"OpusTags" + struct.pack("<I5sI", 5, b"athos", 0)


class OggError(ValueError):
    """These bytes are no Ogg Opus file of ours."""


def write(packets: Sequence[bytes], samples: Sequence[int], *, serial: int) -> bytes:
    """One complete file. `samples` is the length of each packet at 48 kHz."""
    pages = [_page(0, 0, _FIRST, serial, [_HEAD]), _page(1, 0, 0, serial, [_TAGS])]
    granule = 0
    groups = list(_groups(packets))
    for number, (start, end) in enumerate(groups, start=2):
        granule += sum(samples[start:end])
        flags = _LAST if end == len(packets) else 0
        pages.append(_page(number, granule, flags, serial, packets[start:end]))
    return b"".join(pages)


def read(data: bytes) -> list[bytes]:
    """The Opus packets of a file. Refuses what is damaged or not ours."""
    packets: list[bytes] = []
    position = 0
    while position < len(data):
        position = _read_page(data, position, packets)
        if len(packets) > MAX_PACKETS:
            raise OggError("too many packets")
    if len(packets) < 2 or not packets[0].startswith(b"OpusHead"):
        raise OggError("no Opus header")
    return packets[2:]


def _groups(packets: Sequence[bytes]) -> Iterable[tuple[int, int]]:
    """Ranges of packets that fit one page each."""
    start, segments = 0, 0
    for index, packet in enumerate(packets):
        needed = len(packet) // 255 + 1
        if segments + needed > MAX_SEGMENTS:
            yield start, index
            start, segments = index, 0
        segments += needed
    yield start, len(packets)


def _page(number: int, granule: int, flags: int, serial: int, packets: Sequence[bytes]) -> bytes:
    lacing = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    body = lacing + b"".join(packets)
    head = (b"OggS", 0, flags, granule, serial, number)
    blank = _HEADER.pack(*head, 0, len(lacing)) + body
    return _HEADER.pack(*head, _checksum(blank), len(lacing)) + body


def _checksum(page: bytes) -> int:
    """Ogg's CRC is zlib's polynomial read from the other end; so is ours, at C speed."""
    mirrored = zlib.crc32(page.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRROR), "big")


def _read_page(data: bytes, position: int, packets: list[bytes]) -> int:
    """Append the page's packets; return where the next page starts."""
    try:
        magic, _, _, _, _, _, checksum, segments = _HEADER.unpack_from(data, position)
    except struct.error as cause:
        raise OggError("the file ends within a page") from cause
    body = position + _HEADER.size + segments
    lacing = data[position + _HEADER.size : body]
    end: int = body + sum(lacing)
    if magic != b"OggS" or end > len(data) or (lacing and lacing[-1] == 255):
        raise OggError("a page is damaged")
    if _checksum(data[position : position + 22] + bytes(4) + data[position + 26 : end]) != checksum:
        raise OggError("a page fails its checksum")
    length = 0
    for segment in lacing:
        length += segment
        if segment < 255:
            packets.append(data[body : body + length])
            body += length
            length = 0
    return end
