"""From lines to Opus packets, through a cache on disk of lines that were said before."""

import asyncio
import hashlib
import os
import struct
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from calls.live.codec import ClipEncoder
from calls.live.events import Pcm

Speak = Callable[[str], AsyncIterator[Pcm]]
"""Text -> 48 kHz audio in chunks, in the voice of this call."""


class LineCache:
    """Encoded lines by voice, model version and text. Bounded; the least used go first.

    One file a line: packets with their lengths (big-endian uint16). A file appears whole or not
    at all, so any number of workers may share the folder.
    """

    def __init__(self, folder: Path, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.opus-packets"

    def get(self, key: str) -> list[bytes] | None:
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        return unpack(data)

    def put(self, key: str, packets: list[bytes]) -> None:
        path = self._path(key)
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
        part.write_bytes(pack(packets))
        part.replace(path)

    def trim(self) -> int:
        """Delete the least recently used lines beyond the bound; returns how many."""
        files = sorted(self._folder.glob("*/*.opus-packets"), key=lambda file: file.stat().st_mtime)
        excess = sum(file.stat().st_size for file in files) - self._max_bytes
        removed = 0
        for file in files:
            if excess <= 0:
                break
            excess -= file.stat().st_size
            file.unlink(missing_ok=True)
            removed += 1
        return removed


def voice_key(version: str, voice: str, speed: float) -> str:
    """What besides its text makes a line sound as it does."""
    return f"{version}|{voice}|{speed}"


def pack(packets: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)


def unpack(data: bytes) -> list[bytes]:
    packets = []
    at = 0
    while at + 2 <= len(data):
        (length,) = struct.unpack_from(">H", data, at)
        packets.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return packets


class VoiceStage:
    """The persona's voice for one call."""

    def __init__(self, *, speak: Speak, cache: LineCache, voice_key: str) -> None:
        self._speak = speak
        self._cache = cache
        self._voice_key = voice_key  # voice, speed and model version

    async def known(self, text: str) -> list[bytes] | None:
        """The whole line if it was made before."""
        return await asyncio.to_thread(self._cache.get, f"{self._voice_key}|{text}")

    async def packets(self, text: str, *, keep: bool = True) -> AsyncIterator[list[bytes]]:
        """The line as Opus packets: at once when it was said before, else as it is made.

        Only what was authored is to be kept: a line made for one call may name its rep.
        """
        known = await self.known(text) if keep else None
        if known is not None:
            yield known
            return
        made: list[bytes] = []
        encoder = ClipEncoder()
        async for chunk in self._speak(text):
            packets = await encoder.feed(chunk)
            made += packets
            yield packets
        packets = encoder.finish()
        made += packets
        yield packets
        if keep:
            await asyncio.to_thread(self._cache.put, f"{self._voice_key}|{text}", made)

    async def warm(self, text: str) -> None:
        """Make the line now, so that it is there when it is needed."""
        async for _ in self.packets(text):
            pass
