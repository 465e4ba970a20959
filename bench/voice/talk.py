"""One call of the bench: connect, speak the takes in their time, hang up, judge the recording."""

import asyncio
import re
import time
import wave
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import aiohttp
import numpy as np
from numpy.typing import NDArray

from bench.voice.judge import Said, Verdict, judged
from bench.voice.rep import Rep
from bench.voice.takes import Take

ANSWER_WITHIN = 10.0  # seconds after the rep's last sound; then the end was missed
NOTHING_WITHIN = 3.0  # seconds in which a cough may wrongly be answered
OPENING_WITHIN = 40.0
QUIET = 1.1  # seconds without a sound of the persona: she is done
LONGEST_REPLY = 30.0
METRICS_WITHIN = 30.0  # they are up after the first call may begin


class Line(Protocol):
    """Connects a rep's audio with whatever is judged."""

    def __call__(self, rep: Rep) -> AbstractAsyncContextManager[None]: ...


class Athos:
    """Our product, as the SDK calls it: mint, redeem, signalling socket, offer."""

    def __init__(self, base_url: str, api_key: str, drill: str) -> None:
        self._api = f"{base_url}/api/external/v1"
        self._key = api_key
        self._drill = drill
        address = urlsplit(base_url)
        self._metrics = f"http://127.0.0.1:{(address.port or 80) + 2}/metrics"

    def frames(self) -> tuple[int, int]:
        """Frames sent so far, and those of them that were late by more than 20 ms.

        Raises RuntimeError where the metrics are not up within half a minute.
        """
        told = self._told()
        names = ("athos_frames_sent_total", "athos_frames_late_total")
        sent, late = (re.search(rf"^{name} (\S+)$", told, re.MULTILINE) for name in names)
        return int(float(sent[1])) if sent else 0, int(float(late[1])) if late else 0

    def _told(self) -> str:
        until = time.monotonic() + METRICS_WITHIN
        while time.monotonic() < until:
            try:
                with urlopen(self._metrics, timeout=10) as answer:
                    return str(answer.read().decode())
            except URLError:
                time.sleep(0.5)
        raise RuntimeError(f"nothing answers at {self._metrics}")

    @asynccontextmanager
    async def __call__(self, rep: Rep) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            minted = await self._post(http, "/session", self._key, {"externalUserId": "bench"})
            wanted = {"drillKey": self._drill}
            joined = await self._post(http, "/roleplay/session", minted["token"], wanted)
            async with http.ws_connect(joined["connectionUrl"], timeout=_forever()) as socket:
                await self._connect(socket, joined["connectionTicket"], rep)
                reading = asyncio.create_task(_read_away(socket))
                try:
                    yield
                    await socket.send_json({"type": "end"})
                finally:
                    reading.cancel()
                    await rep.rtc.close()

    async def _post(
        self, http: aiohttp.ClientSession, path: str, token: str, body: dict[str, str]
    ) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token}"}
        async with http.post(self._api + path, json=body, headers=headers) as answer:
            found = await answer.json()
            if answer.status != 200:
                raise RuntimeError(f"{path} answered {answer.status}: {found['error']['code']}")
            return found

    async def _connect(
        self, socket: aiohttp.ClientWebSocketResponse, ticket: str, rep: Rep
    ) -> None:
        await socket.send_json({"type": "join", "ticket": ticket, "version": 1})
        await _until(socket, "joined")
        await socket.send_json({"type": "offer", "sdp": await rep.rtc.offer()})
        answer = await _until(socket, "answer")
        await rep.rtc.set_answer(answer["sdp"])
        await rep.rtc.connected()


class OfferByHttp:
    """A bot that takes an offer by HTTP POST, as pipecat's small WebRTC transport does."""

    def __init__(self, url: str) -> None:
        self._url = url

    @asynccontextmanager
    async def __call__(self, rep: Rep) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            offer = {"sdp": await rep.rtc.offer(), "type": "offer"}
            async with http.post(self._url, json=offer) as answer:
                answer.raise_for_status()
                await rep.rtc.set_answer((await answer.json())["sdp"])
            await rep.rtc.connected()
            try:
                yield
            finally:
                await rep.rtc.close()


@dataclass(frozen=True, slots=True)
class Talk:
    """What was said in a call and recorded of it, both sides at 48 kHz."""

    said: list[Said]
    microphone: NDArray[np.int16] = field(repr=False)
    ear: NDArray[np.int16] = field(repr=False)

    def verdicts(self) -> list[Verdict]:
        """Seconds of work for a processor, so not while others talk. Raises as `judged` does."""
        return judged(self.said, self.microphone, self.ear)

    def keep(self, path: Path) -> None:
        """As a stereo WAV, the rep on the left, to be listened to."""
        _stereo_write(path, self.microphone, self.ear)


async def converse(line: Line, takes: list[Take], prompt: Take, *, seed: int) -> Talk:
    """One call. `prompt` makes the persona speak before a take that goes over her."""
    rep = Rep(seed=seed)
    random = np.random.default_rng(seed)
    said: list[Said] = []
    async with line(rep):
        await _opening(rep)
        speaking = False  # whether she is about to answer
        for take in takes:
            if take.over_persona is not None and not speaking:
                said.append(await _speak(rep, prompt))
            if take.over_persona is None:
                await _quiet(rep)
                await asyncio.sleep(float(random.uniform(0.2, 0.8)))
            else:
                await _over(rep, said[-1], take.over_persona)
            said.append(await _speak(rep, take))
            speaking = take.expected != "nothing" and await _answered(rep, said[-1])
            if take.expected == "nothing":
                await asyncio.sleep(NOTHING_WITHIN)
            if take.echo is not None:
                await _quiet(rep)
            rep.end_take()
        await _quiet(rep)
    return Talk(said, *rep.recording())


def _stereo_write(path: Path, left: NDArray[np.int16], right: NDArray[np.int16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(np.stack((left, right), axis=1).astype("<i2").tobytes())


async def _speak(rep: Rep, take: Take) -> Said:
    begin = rep.say(take)
    said = Said(take, begin)
    await _reach(rep, said.last)
    return said


async def _opening(rep: Rep) -> None:
    try:
        async with asyncio.timeout(OPENING_WITHIN):
            while not rep.onsets:  # noqa: ASYNC110 - a time line is watched, here and below
                await asyncio.sleep(0.02)
    except TimeoutError:
        return  # a bot that waits for us
    await _quiet(rep)


async def _answered(rep: Rep, said: Said) -> bool:
    """Whether she begins, or goes on, after the rep's last sound."""
    while rep.now < said.last + ANSWER_WITHIN:
        if rep.last_sound > said.last + 0.05:
            return True
        await asyncio.sleep(0.02)
    return False


async def _over(rep: Rep, before: Said, delay: float) -> None:
    """Until `delay` seconds into her answer to the take before."""
    if not await _answered(rep, before):
        return
    onset = next((at for at in rep.onsets if at > before.first), rep.now)
    await _reach(rep, max(onset, before.last) + delay)


async def _quiet(rep: Rep) -> None:
    end = rep.now + LONGEST_REPLY
    while rep.now - rep.last_sound < QUIET and rep.now < end:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def _reach(rep: Rep, at: float) -> None:
    while rep.now < at:  # noqa: ASYNC110
        await asyncio.sleep(min(0.05, max(0.005, at - rep.now)))


async def _until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, str]:
    while True:
        message = await socket.receive_json(timeout=20)
        if message["type"] == "error":
            raise RuntimeError(f"the call was refused: {message['code']}")
        if message["type"] == kind:
            return message


async def _read_away(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass


def _forever() -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_receive=None, ws_close=5.0)
