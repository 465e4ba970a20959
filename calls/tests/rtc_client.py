"""A browser's side of a call for tests and benches: a microphone, an ear and no browser.

    client = RtcClient(send_pcm48k=speech)
    offer = await client.offer()
    ... hand the offer to a Peer or through signalling, get its answer ...
    await client.set_answer(answer)
    await client.connected()
    ...
    heard = client.heard()      # every sound with its loop time
    await client.close()

It uses our own codec and paces by the loop's clock, so that a bench can run many of them. It is
built on aiortc, in the same process or another; it needs no network but loopback.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from unittest import mock

import av
import numpy as np
from aioice import ice as aioice
from aiortc import (
    MediaStreamTrack,
    RTCIceServer,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import is_rtcp

from calls.live import codec
from calls.live.events import FRAME_SAMPLES, FRAME_SECONDS, WIRE_RATE, Pcm
from calls.live.jitter import JitterBuffer, Piece
from calls.live.peer import TrackedConnection

_RED = 63  # payload type, Chromium's
_RED_LINES = f"a=rtpmap:{_RED} red/48000/2\r\na=fmtp:{_RED} 96/96\r\n"
MAX_HEARD = 50 * 60 * 10  # packets kept: ten minutes


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet as it came: loop time, place in the stream (samples), payload."""

    at: float
    position: int
    payload: bytes | None


class RtcClient:
    """Sends `send_pcm48k` once (silence after it) or again and again, and keeps what it hears.

    `next_packet` gives packet after packet instead, for a microphone that is mixed as it goes.
    `drop` is asked for each packet number whether to lose it on the way out. `on_heard` gets
    packets as they come, too. `redundant` offers "audio/red", as Chromium does, and sends it when
    the answer asks for it.
    """

    def __init__(
        self,
        send_pcm48k: Pcm | None = None,
        *,
        loop_sound: bool = False,
        packets: list[bytes] | None = None,
        next_packet: Callable[[int], bytes] | None = None,
        drop: Callable[[int], bool] = lambda number: False,
        on_heard: Callable[[Heard], None] | None = None,
        loopback_only: bool = True,
        ice_servers: Sequence[RTCIceServer] = (),
        redundant: bool = False,
    ) -> None:
        if packets is None:
            packets = [] if send_pcm48k is None else codec.encode_clip(send_pcm48k)
        self.microphone = _Microphone(packets, loop_sound, next_packet)
        self._heard: list[Heard] = []
        self._buffer = JitterBuffer()
        self._on_heard = on_heard
        self._loopback_only = loopback_only
        self._pc = TrackedConnection(list(ice_servers))
        self._state = asyncio.Event()
        self._pc.on("connectionstatechange", self._state.set)
        transceiver = self._pc.addTransceiver(self.microphone, direction="sendrecv")
        opus = [
            c for c in RTCRtpSender.getCapabilities("audio").codecs if c.mimeType == "audio/opus"
        ]
        transceiver.setCodecPreferences(opus)
        transceiver.receiver._handle_rtp_packet = self._take
        self._drop = drop
        self._redundant = redundant
        self.sends_redundant = False
        self._payload_before = b""
        self._send = transceiver.sender.transport._send_rtp
        transceiver.sender.transport._send_rtp = self._lossy_send

    @property
    def state(self) -> str:
        return self._pc.connectionState

    async def offer(self, *, candidates: bool = True) -> str:
        """The offer with all candidates inside, or without any, as a page that trickles."""
        with _only_loopback() if self._loopback_only else contextlib.nullcontext():
            await self._pc.setLocalDescription(await self._pc.createOffer())
        text = self._pc.localDescription.sdp
        if self._redundant:
            text = text.replace("a=rtpmap:96 ", _RED_LINES + "a=rtpmap:96 ")
            text = text.replace("SAVPF 96", f"SAVPF 96 {_RED}")
        return text if candidates else _without_candidates(text)

    def candidates(self) -> list[dict[str, Any]]:
        """The candidates to trickle, in the form in which a browser gives them."""
        lines = self._pc.localDescription.sdp.splitlines()
        return [
            {"candidate": line[2:], "sdpMid": "0", "sdpMLineIndex": 0}
            for line in lines
            if line.startswith("a=candidate:")
        ]

    async def set_answer(self, sdp: str) -> None:
        if f"SAVPF {_RED} " in sdp:
            self.sends_redundant = True
            sdp = sdp.replace(f"SAVPF {_RED} ", "SAVPF ").replace(_RED_LINES, "")
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def connected(self, timeout: float = 10.0) -> None:
        """Wait until sound can flow."""
        await self.reached("connected", timeout=timeout)

    async def reached(self, *states: str, timeout: float = 10.0) -> str:
        """Wait for one of these states; raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while self._pc.connectionState not in states:
                self._state.clear()
                await self._state.wait()
        return self._pc.connectionState

    def heard(self) -> list[Heard]:
        """All that came so far, in order, holes included."""
        return list(self._heard)

    def heard_pcm(self) -> tuple[Pcm, float]:
        """The sound heard at 48 kHz, holes as silence, and the loop time of its first packet."""
        decoder = codec.OpusDecoder()
        silence = np.zeros(FRAME_SAMPLES, np.int16)
        sound = [decoder.decode(h.payload) if h.payload else silence for h in self._heard]
        if not sound:
            return silence[:0], 0.0
        return np.concatenate(sound), self._heard[0].at

    async def close(self) -> None:
        self.microphone.stop()
        await self._pc.close()

    async def _lossy_send(self, data: bytes) -> None:
        """The wire: `drop` decides by the number of the microphone packet just sent."""
        if not is_rtcp(data):
            if self.sends_redundant:
                data = self._with_payload_before(data)
            if self._drop(self.microphone.sent - 1):
                return
        await self._send(data)

    def _with_payload_before(self, data: bytes) -> bytes:
        """The packet as one of RFC 2198, the one before it inside."""
        size = 12 + 4 * (data[0] & 15)
        if data[0] & 0x10:
            size += 4 + 4 * int.from_bytes(data[size + 2 : size + 4])
        head, payload, before = data[:size], data[size:], self._payload_before
        opus = head[1] & 0x7F
        self._payload_before = payload
        first = b""
        if before:
            first = bytes([0x80 | opus]) + (FRAME_SAMPLES << 10 | len(before)).to_bytes(3)
        marked = head[:1] + bytes([head[1] & 0x80 | _RED]) + head[2:]
        return marked + first + bytes([opus]) + before + payload

    async def _take(self, packet: Any, arrival_time_ms: int) -> None:
        now = asyncio.get_running_loop().time()
        pieces: list[Piece] = self._buffer.push(
            packet.sequence_number,
            packet.timestamp,
            packet.payload,
            codec.packet_samples(packet.payload),
            now,
        )
        for piece in pieces:
            heard = Heard(now, piece.position, piece.payload)
            if len(self._heard) < MAX_HEARD:
                self._heard.append(heard)
            if self._on_heard:
                self._on_heard(heard)


class _Microphone(MediaStreamTrack):
    kind = "audio"

    def __init__(
        self, packets: list[bytes], again: bool, next_packet: Callable[[int], bytes] | None
    ) -> None:
        super().__init__()
        self._next_packet = next_packet
        self.sent = 0
        self.started_at: float | None = None  # loop time of the first packet
        self._packets = packets
        self._again = again

    def say(self, packets: list[bytes]) -> None:
        """Speak now: these packets follow the last one sent."""
        self._packets = [codec.SILENT_PACKET] * self.sent + packets
        self._again = False

    async def recv(self) -> av.Packet:
        loop = asyncio.get_running_loop()
        if self.started_at is None:
            self.started_at = loop.time()
        due = self.started_at + self.sent * FRAME_SECONDS
        await asyncio.sleep(max(0.0, due - loop.time()))
        if self.readyState != "live":
            raise MediaStreamError
        number = self.sent
        self.sent += 1
        packet = av.Packet((self._next_packet or self._payload)(number))
        packet.pts = number * FRAME_SAMPLES
        packet.time_base = Fraction(1, WIRE_RATE)
        return packet

    def _payload(self, number: int) -> bytes:
        if self._again and self._packets:
            return self._packets[number % len(self._packets)]
        return self._packets[number] if number < len(self._packets) else codec.SILENT_PACKET


def _only_loopback() -> Any:
    return mock.patch.object(aioice, "get_host_addresses", lambda **_: ["127.0.0.1"])


def _without_candidates(text: str) -> str:
    dropped = ("a=candidate:", "a=end-of-candidates")
    return "".join(f"{x}\r\n" for x in text.splitlines() if not x.startswith(dropped))
