"""A worker process with real sessions and no engines: what media alone costs. Run by media.py.

Reads a JSON line per command on stdin, answers with one on stdout: {"offer": sdp} opens a call,
{"begin": true} forgets what was measured, {"end": true} tells it.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from calls.live.codec import encode_clip
from calls.live.conversation import CallBrief, Engines
from calls.live.events import Part, Pcm, Turn
from calls.live.peer import Peer, PeerSettings
from calls.live.session import Session
from calls.live.tts import LineCache, voice_key
from calls.ports import Heard, Line, ProviderUnavailable, Transcript
from calls.tests.media import speechlike

LINE, VOICE = "A long line.", "bench"
LINE_SECONDS = 55


class Brain:
    """Opens with a minute of speech and never says anything else."""

    async def opening(self) -> AsyncIterator[Line]:
        yield Line(LINE)

    async def reply(self, heard: Heard) -> AsyncIterator[Line]:
        return
        yield

    async def silence(self, seconds: float) -> AsyncIterator[Line]:
        return
        yield

    def spoken(self, text: str, *, complete: bool) -> None: ...

    def snapshot(self) -> dict[str, Any]:
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None: ...


class Voice:
    """Never asked: the line is in the cache, as authored lines are."""

    version = VOICE

    async def speak(self, text: str, *, voice: str, speed: float = 1.0) -> AsyncIterator[Pcm]:
        raise ProviderUnavailable
        yield


def made_line() -> list[bytes]:
    piece = encode_clip(speechlike(5))
    return (piece * (LINE_SECONDS // 5))[: LINE_SECONDS * 50]


class Nothing:
    """Neither words nor verdicts."""

    async def live(
        self, pcm: Pcm, *, hints: Sequence[str] = (), previous: str = "", deadline: float = 2.0
    ) -> Transcript:
        raise ProviderUnavailable

    async def complete(self, pcm: Pcm) -> float:
        raise ProviderUnavailable


class Log:
    """Keeps nothing."""

    async def live(self) -> None: ...

    async def turn(self, number: int, turn: Turn, standing: Mapping[str, Any]) -> None: ...

    async def part(self, part: Part) -> None: ...

    async def ended(self, reason: str, seconds: float) -> None: ...


class Measured(Session):
    """Notes how late each frame of the persona was asked for."""

    late: list[float]
    carrier: Peer | None = None

    def _next_packet(self, peer: Peer, due: float) -> bytes | None:
        self.carrier = peer
        self.late.append(asyncio.get_running_loop().time() - due)
        return super()._next_packet(peer, due)


class Worker:
    def __init__(self, lines: Path) -> None:
        self._lines = LineCache(lines)
        self._lines.put(f"{voice_key(VOICE, VOICE, 1.0)}|{LINE}", made_line())
        self._sessions: list[Measured] = []
        self._cpu = self._began = 0.0

    async def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        if "offer" in command:
            return {"answer": await self._open().offer(command["offer"], lambda message: None)}
        if "begin" in command:
            for session in self._sessions:
                session.late.clear()
            self._cpu, self._began = time.process_time(), time.monotonic()
            return {}
        return self._measured()

    def _open(self) -> Measured:
        nothing = Nothing()
        session = Measured(
            brief=CallBrief(f"bench-{len(self._sessions)}", "Bench", VOICE),
            engines=Engines(
                detect=lambda pcm: 0.0,
                turn_detector=nothing,
                sentence_model=nothing,
                transcriber=nothing,
                brain=Brain(),
                voice=Voice(),
                lines=self._lines,
            ),
            log=Log(),
            peers=PeerSettings(loopback=True),
            clock=asyncio.get_running_loop().time,
        )
        session.late = []
        self._sessions.append(session)
        return session

    def _measured(self) -> dict[str, Any]:
        seconds, cpu = time.monotonic() - self._began, time.process_time() - self._cpu
        late = np.array([moment for session in self._sessions for moment in session.late])
        stats = [session.carrier.stats() for session in self._sessions if session.carrier]
        return {
            "calls": len(stats),
            "core": cpu / seconds,
            "cpu_seconds": cpu,
            "late_p50": float(np.percentile(late, 50)),
            "late_p99": float(np.percentile(late, 99)),
            "late_p999": float(np.percentile(late, 99.9)),
            "late_max": float(late.max()),
            "frames": len(late),
            "skipped": sum(one.skipped for one in stats),
            "received": sum(one.received for one in stats),
            "recovered": sum(one.recovered for one in stats),
            "lost": sum(one.lost for one in stats),
            "late_packets": sum(one.late for one in stats),
            "failures": sum(one.failures for one in stats),
        }

    async def close(self) -> None:
        await asyncio.gather(*(session.end("worker_lost") for session in self._sessions))


async def main() -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    with TemporaryDirectory() as folder:
        worker = Worker(Path(folder))
        while command := await commands.readline():
            print(json.dumps(await worker.answer(json.loads(command))), flush=True)
        await worker.close()


if __name__ == "__main__":
    asyncio.run(main())
