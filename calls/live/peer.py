"""One WebRTC connection of a call: Opus packets in, Opus packets out, on the loop's thread.

The only file that knows aiortc and aioice. They are pinned; `check_aiortc` refuses at start, by
name, when a private name we lean on has moved. What stock aiortc does otherwise, and why not here:
its audio jitter buffer delays by 80 to 280 ms and drops 6.6 % of the sound at 1 % loss; it decodes
in a thread per call; it waits a second for each mDNS candidate; its queues are unbounded.
"""

import asyncio
import contextlib
import inspect
import ipaddress
import logging
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
from aioice import Connection
from aioice import ice as aioice
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
    rtp,
    sdp,
)
from aiortc.exceptions import InternalError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS, RTCDtlsTransport
from aiortc.rtcicetransport import (
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceTransport,
    connection_kwargs,
)
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics

from calls.live import codec
from calls.live.events import FRAME_SAMPLES, FRAME_SECONDS, WIRE_RATE
from calls.live.jitter import JitterBuffer, Piece, SenderClock, unpack_redundant

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 15.0  # from the answer to the end of the handshake
ANSWER_SECONDS = 8.0  # gathering candidates; a silent STUN server takes 5
CLOSE_SECONDS = 5.0
MAX_OFFER_BYTES = 32 * 1024
MAX_CANDIDATES = 32
MAX_CANDIDATE_CHARACTERS = 512
MAX_ADDRESSES = 8  # of this machine, one socket each
MAX_DATAGRAMS = 256  # waiting to be read; 5 s of sound
PACE_GRID = 0.005  # seconds; frames of many calls that fall due together wake the loop once
MAX_CATCH_UP_FRAMES = 4  # sent at once after the loop hung; what is older is skipped

_TIME_BASE = Fraction(1, WIRE_RATE)
_LOOPBACK = "127.0.0.1"
_MAX_SOURCES = 4  # of one browser; it has one, and another after it changed its device
_LOGGED_FAILURES = 5
_STATES = ("new", "connecting", "connected", "failed", "closed")
_RECEIVER_ATTRIBUTE = "_RTCRtpTransceiver__receiver"
_CONNECT_METHOD = "_RTCPeerConnection__connect"
# What the parser and aiortc let through on a malformed description.
_DESCRIPTION_ERRORS = (
    ValueError,
    AssertionError,
    LookupError,
    AttributeError,
    TypeError,
    StopIteration,
    InternalError,
    InvalidStateError,
    OperationError,
)


class PeerError(Exception):
    """No connection can come of this. `code` is OFFER_INVALID, PEER_CLOSED or ANSWER_TIMEOUT."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """`ice_servers` as browsers write them: {"urls", "username", "credential"}; may be empty.

    `public_address` stands in the answer instead of our private ones when we sit behind address
    translation. `loopback` offers 127.0.0.1 too, for a browser on the same machine.
    """

    ice_servers: Sequence[Mapping[str, Any]] = ()
    public_address: str = ""
    loopback: bool = False

    def __post_init__(self) -> None:
        if self.public_address:
            ipaddress.ip_address(self.public_address)
        connection_kwargs(self._rtc_servers())  # refuses malformed addresses at start

    def _rtc_servers(self) -> list[RTCIceServer]:
        return [RTCIceServer(**server) for server in self.ice_servers]


@dataclass(frozen=True, slots=True)
class InboundPacket:
    """One packet of the microphone, in order; `payload` is None where it was lost.

    `position` and `samples` count at 48 kHz from the first packet. `arrived_at` is loop time.
    `captured_at`, loop time too, is where its first sample belongs on our clock, free of jitter
    and of the drift of the rep's clock. A hole is told in pieces of at most 960 samples.
    """

    payload: bytes | None = field(repr=False)
    samples: int
    position: int
    arrived_at: float
    captured_at: float


@dataclass(slots=True)
class PeerStats:
    """Counters of one connection, in packets."""

    received: int = 0
    lost: int = 0
    late: int = 0  # came after their turn, or twice
    recovered: int = 0  # lost, and found again inside the packet after
    invalid: int = 0  # no Opus
    sent: int = 0
    skipped: int = 0  # frames of ours never sent because the loop hung
    failures: int = 0  # callbacks that raised


class Peer:
    """One connection, for one offer; used up by `close`, which is due after a PeerError too.

    Callbacks come on the loop and must not wait. `on_packet` gets the microphone in order.
    `next_packet` is given the loop time for which the frame is due and gives what to send, None
    for silence. `on_state` hears "connecting", "connected", "failed" and "closed", each once at
    most and never backwards.
    """

    def __init__(
        self,
        settings: PeerSettings,
        *,
        on_packet: Callable[[InboundPacket], None],
        next_packet: Callable[[float], bytes | None],
        on_state: Callable[[str], None],
    ) -> None:
        self.state = "new"  # then one of those `on_state` hears
        self._settings = settings
        self._on_state = on_state
        self._stats = PeerStats()
        self._outbound = _Outbound(next_packet, self._stats)
        self._inbound = _Inbound(on_packet, self._stats)
        self._candidates = 0
        self._waiting: list[RTCIceCandidate] = []
        self._ice: RTCIceTransport | None = None
        self._answering: asyncio.Task[str] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._pc = TrackedConnection(settings._rtc_servers())
        self._pc.on("connectionstatechange", self._pc_changed)

    @property
    def last_packet_at(self) -> float | None:
        """Loop time of the last good packet of the microphone."""
        return self._inbound.last_packet_at

    def stats(self) -> PeerStats:
        """A copy of the counters."""
        return replace(self._stats, lost=self._inbound.lost, late=self._inbound.late)

    async def answer(self, offer_sdp: str) -> str:
        """The answer to a browser's offer, all our candidates inside. Once only."""
        if self._answering or self._closing:
            raise PeerError("PEER_CLOSED", "a peer answers one offer")
        self._answering = asyncio.create_task(self._answer(offer_sdp))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._answering
        except TimeoutError as cause:
            raise PeerError("ANSWER_TIMEOUT", "gathering candidates took too long") from cause
        except asyncio.CancelledError as cause:
            caller = asyncio.current_task()
            if self._closing and caller and not caller.cancelling():
                raise PeerError("PEER_CLOSED", "closed while answering") from cause
            raise

    async def add_candidate(self, candidate: Mapping[str, Any]) -> bool:
        """Take a trickled candidate: {"candidate": ...}. Whether it was of use; never raises."""
        parsed = _candidate(candidate.get("candidate"), loopback=self._settings.loopback)
        if parsed is None or self._closing or self._candidates >= MAX_CANDIDATES:
            return False
        self._candidates += 1
        if self._ice is None:
            self._waiting.append(parsed)
        else:
            await self._ice.addRemoteCandidate(parsed)  # an address, so nothing is looked up
        return True

    async def close(self) -> None:
        """End it and leave nothing behind. At any time, any number of times."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _answer(self, offer_sdp: str) -> str:
        offer, candidates = _checked_offer(offer_sdp)
        redundancy = _redundancy(offer)
        transceiver = self._transceiver(redundancy)
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        except _DESCRIPTION_ERRORS as cause:
            raise PeerError("OFFER_INVALID", "the offer was refused") from cause
        ice = transceiver.receiver.transport.transport
        _bound(ice, self._settings)
        self._ice = ice
        for parsed in self._waiting:
            await ice.addRemoteCandidate(parsed)
        self._waiting.clear()
        for text in candidates:
            await self.add_candidate({"candidate": text})
        self._deadline = asyncio.get_running_loop().call_later(CONNECT_SECONDS, self._too_late)
        self._enter("connecting")
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        answer = _with_public_address(self._pc.localDescription.sdp, self._settings)
        return _with_redundancy(answer, redundancy)

    def _transceiver(self, redundancy: "_Redundancy | None") -> RTCRtpTransceiver:
        """Both directions, Opus alone, and our own receiver in the place of aiortc's."""
        transceiver = self._pc.addTransceiver(self._outbound, direction="sendrecv")
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([c for c in codecs if c.mimeType == "audio/opus"])
        receiver = _Receiver(transceiver.receiver.transport, self._inbound)
        receiver._set_rtcp_ssrc(transceiver.sender._ssrc)
        receiver.redundant_type = redundancy.payload_type if redundancy else None
        setattr(transceiver, _RECEIVER_ATTRIBUTE, receiver)
        return transceiver

    def _pc_changed(self) -> None:
        state = self._pc.connectionState
        if state == "connected":
            self._cancel_deadline()
        if state in ("connected", "failed", "closed"):
            self._enter(state)

    def _too_late(self) -> None:
        self._deadline = None
        self._enter("failed")

    def _enter(self, state: str) -> None:
        if _STATES.index(state) <= _STATES.index(self.state):
            return
        self.state = state
        try:
            self._on_state(state)
        except Exception:  # the rim: aiortc would stop half way
            self._stats.failures += 1
            logger.exception("peer state callback failed")

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    async def _close(self) -> None:
        self._cancel_deadline()
        self._inbound.stop()
        self._outbound.stop()
        if self._answering is not None and not self._answering.done():
            self._answering.cancel()
            await asyncio.wait([self._answering])
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pc.close()
        except TimeoutError:
            logger.error("a peer connection did not close in time")
        self._enter("closed")


class TrackedConnection(RTCPeerConnection):
    """aiortc's connection, but its connecting can be ended.

    aiortc starts it in tasks that nobody holds. Closed in the middle of it, stock aiortc goes on,
    and leaves senders and consent checks that run for ever.
    """

    def __init__(self, ice_servers: list[RTCIceServer]) -> None:
        super().__init__(RTCConfiguration(iceServers=ice_servers))
        self._connecting: set[asyncio.Task[None]] = set()

    def _RTCPeerConnection__connect(self) -> asyncio.Task[None]:  # noqa: N802 - aiortc's name
        task = asyncio.create_task(getattr(super(), _CONNECT_METHOD)())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return task

    async def close(self) -> None:
        connecting = set(self._connecting)
        for task in connecting:
            task.cancel()
        if connecting:
            await asyncio.wait(connecting)
        tasks = [t.receiver.transport._task for t in self.getTransceivers()]
        pumps = [task for task in tasks if task is not None]
        await super().close()
        if pumps:
            await asyncio.wait(pumps)  # aiortc cancels it and walks away


class _Outbound(MediaStreamTrack):
    """Ready packets, one every 20 ms on an absolute schedule, so that nothing drifts."""

    kind = "audio"

    def __init__(self, next_packet: Callable[[float], bytes | None], stats: PeerStats) -> None:
        super().__init__()
        self._next_packet = next_packet
        self._stats = stats
        self._start: float | None = None
        self._frame = 0

    async def recv(self) -> "av.Packet[Any]":
        """The next packet when it is due. aiortc asks again as soon as it is sent."""
        due = self._due()
        delay = due - asyncio.get_running_loop().time()
        if delay > 0:
            await asyncio.sleep(delay)
        if self.readyState != "live":
            raise MediaStreamError
        packet = av.Packet(self._take(due))
        packet.pts = self._frame * FRAME_SAMPLES
        packet.time_base = _TIME_BASE
        self._frame += 1
        self._stats.sent += 1
        return packet

    def _due(self) -> float:
        """When the next frame is due. A few late ones go out at once; more are skipped."""
        now = asyncio.get_running_loop().time()
        if self._start is None:
            self._start = math.ceil(now / PACE_GRID) * PACE_GRID
        behind = int((now - self._start) / FRAME_SECONDS) - self._frame
        if behind > MAX_CATCH_UP_FRAMES:
            self._stats.skipped += behind
            self._frame += behind
        return self._start + self._frame * FRAME_SECONDS

    def _take(self, due: float) -> bytes:
        try:
            return self._next_packet(due) or codec.SILENT_PACKET
        except Exception:  # the rim: the line goes on, and the error is seen
            self._stats.failures += 1
            if self._stats.failures <= _LOGGED_FAILURES:
                logger.exception("next packet callback failed")
            return codec.SILENT_PACKET


class _Inbound:
    """From RTP to packets in order, on our clock."""

    def __init__(self, on_packet: Callable[[InboundPacket], None], stats: PeerStats) -> None:
        self.last_packet_at: float | None = None
        self._on_packet: Callable[[InboundPacket], None] | None = on_packet
        self._stats = stats
        self._buffer = JitterBuffer()
        self._clock = SenderClock()
        self._source: int | None = None

    @property
    def lost(self) -> int:
        return self._buffer.lost

    @property
    def late(self) -> int:
        return self._buffer.late

    def stop(self) -> None:
        """Nobody hears of packets from now on."""
        self._on_packet = None

    def take(self, packet: rtp.RtpPacket) -> None:
        """One packet off the wire."""
        if packet.ssrc != self._source:
            self._buffer.restart()
            self._source = packet.ssrc
        if self._push(packet.sequence_number, packet.timestamp, packet.payload):
            self._stats.received += 1

    def take_redundant(self, packet: rtp.RtpPacket) -> None:
        """One packet with those before it inside: what was lost of them is found again."""
        try:
            *before, (_, payload) = unpack_redundant(packet.payload)
        except ValueError:
            self._stats.invalid += 1
            return
        if packet.ssrc == self._source:
            for number, (samples, lost) in enumerate(reversed(before), start=1):
                sequence = (packet.sequence_number - number) % (1 << 16)
                timestamp = (packet.timestamp - samples) % (1 << 32)
                if lost and self._buffer.misses(sequence) and self._push(sequence, timestamp, lost):
                    self._stats.recovered += 1
        packet.payload = payload
        self.take(packet)

    def _push(self, sequence: int, timestamp: int, payload: bytes) -> bool:
        """Into the buffer, and what is ready then to the callback. False when it is no Opus."""
        try:
            samples = codec.packet_samples(payload)
        except codec.CodecError:
            self._stats.invalid += 1
            return False
        arrived_at = asyncio.get_running_loop().time()
        self.last_packet_at = arrived_at
        pieces = self._buffer.push(sequence, timestamp, payload, samples, arrived_at)
        if pieces:
            self._clock.observe(pieces[-1].position + pieces[-1].samples, arrived_at)
        for piece in pieces:
            self._hand_over(piece, arrived_at)
        return True

    def _hand_over(self, piece: Piece, arrived_at: float) -> None:
        if self._on_packet is None:
            return
        at = self._clock.at(piece.position)
        try:
            self._on_packet(
                InboundPacket(piece.payload, piece.samples, piece.position, arrived_at, at)
            )
        except Exception:  # the rim: aiortc would tear the connection down
            self._stats.failures += 1
            if self._stats.failures <= _LOGGED_FAILURES:
                logger.exception("packet callback failed")


class _Receiver(RTCRtpReceiver):
    """aiortc's receiver without its thread, decoder and jitter buffer.

    Reports its reception about once a second, so that the browser knows losses and round trip.
    """

    def __init__(self, transport: RTCDtlsTransport, inbound: _Inbound) -> None:
        super().__init__("audio", transport)
        self.redundant_type: int | None = None  # payload type of packets with others inside
        self._inbound = inbound
        self._payload_type: int | None = None
        self._own_source = 0
        self._streams: dict[int, StreamStatistics] = {}
        self._sender_reports: dict[int, tuple[int, float]] = {}  # its stamp, when it came
        self._reporting: asyncio.Task[None] | None = None

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self._own_source = ssrc

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        if self._reporting is None:
            opus = parameters.codecs[0]
            self._payload_type = opus.payloadType
            if self.redundant_type is not None:  # the router drops payload types it does not know
                redundant = replace(opus, payloadType=self.redundant_type)
                parameters = replace(parameters, codecs=[*parameters.codecs, redundant])
            self.transport._register_rtp_receiver(self, parameters)
            self._reporting = asyncio.create_task(self._report())

    async def stop(self) -> None:
        if self._reporting is not None:
            self.transport._unregister_rtp_receiver(self)
            self._reporting.cancel()
            await asyncio.wait([self._reporting])

    def _handle_disconnect(self) -> None:
        """Nothing of ours to end: the state of the connection tells."""

    async def _handle_rtcp_packet(self, packet: rtp.AnyRtcpPacket) -> None:
        if isinstance(packet, rtp.RtcpSrPacket) and packet.ssrc in self._streams:
            stamp = (packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
            self._sender_reports[packet.ssrc] = (stamp, time.monotonic())

    async def _handle_rtp_packet(self, packet: rtp.RtpPacket, arrival_time_ms: int) -> None:
        redundant = packet.payload_type == self.redundant_type
        if not self._enabled or not (redundant or packet.payload_type == self._payload_type):
            return
        stream = self._streams.get(packet.ssrc)
        if stream is None:
            if len(self._streams) >= _MAX_SOURCES:
                return
            stream = self._streams[packet.ssrc] = StreamStatistics(WIRE_RATE)
        stream.add(packet)
        if redundant:
            self._inbound.take_redundant(packet)
        else:
            self._inbound.take(packet)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(0.5 + random.random())  # noqa: S311 - RFC 3550 wants it uneven
            reports = [self._report_on(ssrc) for ssrc in self._streams]
            if reports:
                report = rtp.RtcpRrPacket(ssrc=self._own_source, reports=reports)
                with contextlib.suppress(ConnectionError):
                    await self.transport._send_rtp(bytes(report))

    def _report_on(self, ssrc: int) -> rtp.RtcpReceiverInfo:
        stream = self._streams[ssrc]
        stamp, came_at = self._sender_reports.get(ssrc, (0, 0.0))
        delay = min(time.monotonic() - came_at, 65_535.0) if stamp else 0.0
        return rtp.RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=stream.fraction_lost,
            packets_lost=stream.packets_lost,
            highest_sequence=stream.max_seq or 0,
            jitter=stream.jitter,
            lsr=stamp,
            dlsr=int(delay * 65_536),
        )


class _DatagramQueue(asyncio.Queue[Any]):
    """A queue that drops when full: anyone who finds our port can send before the handshake."""

    def put_nowait(self, item: Any) -> None:
        if item is None or self.qsize() < MAX_DATAGRAMS:  # None ends the reader
            super().put_nowait(item)


def _bound(transport: RTCIceTransport, settings: PeerSettings) -> None:
    """Say which addresses are offered and how much may wait, before candidates are gathered."""
    connection = transport.iceGatherer._connection
    connection._queue = _DatagramQueue()
    gather = connection.get_component_candidates

    async def gather_on_ours(*, component: int, addresses: list[str]) -> Any:
        return await gather(component=component, addresses=_local_addresses(settings))

    connection.get_component_candidates = gather_on_ours  # type: ignore[method-assign, assignment]


def _local_addresses(settings: PeerSettings) -> list[str]:
    """Where to listen: IPv4 first, at most eight. aioice leaves 127.0.0.1 out."""
    found = aioice.get_host_addresses(use_ipv4=True, use_ipv6=True)
    addresses = sorted(set(found), key=lambda address: (":" in address, address))
    if settings.loopback:
        return [*addresses[: MAX_ADDRESSES - 1], _LOOPBACK]
    return addresses[:MAX_ADDRESSES]


def _checked_offer(text: str) -> tuple[str, list[str]]:
    """The offer without its candidates, and those. Refuses what is not one microphone line.

    The candidates pass the same sieve as trickled ones; an end of candidates would let aioice fail
    before the browser's own checks, which also count, have arrived.
    """
    if len(text) > MAX_OFFER_BYTES:
        raise PeerError("OFFER_INVALID", "the offer is too long")
    lines = text.splitlines()
    candidates = [line[2:] for line in lines if line.startswith("a=candidate:")]
    kept = [x for x in lines if not x.startswith(("a=candidate:", "a=end-of-candidates"))]
    offer = "\r\n".join(kept) + "\r\n"
    try:
        fault = _fault(sdp.SessionDescription.parse(offer))
    except _DESCRIPTION_ERRORS as cause:
        raise PeerError("OFFER_INVALID", "the offer cannot be parsed") from cause
    if fault:
        raise PeerError("OFFER_INVALID", fault)
    return offer, candidates[:MAX_CANDIDATES]


def _fault(offer: sdp.SessionDescription) -> str:
    """What is wrong with an offer; empty when it will do."""
    if [media.kind for media in offer.media] != ["audio"]:
        return "one audio line is expected"
    (media,) = offer.media
    if media.direction != "sendrecv":
        return "the audio must go both ways"
    if not any(c.mimeType.lower() == "audio/opus" for c in media.rtp.codecs):
        return "Opus is missing"
    ice = media.ice
    if not (ice and ice.usernameFragment and ice.password and media.rtcp_mux):
        return "transport parameters are missing"
    if any(group.items != [media.rtp.muxId] for group in offer.group):
        return "the bundle names other lines"
    if media.dtls is None or media.dtls.role not in ("auto", "client", "server"):
        return "the role in the handshake is missing"
    if not any(f.algorithm.lower() in X509_DIGEST_ALGORITHMS for f in media.dtls.fingerprints):
        return "a fingerprint is missing"
    return ""


@dataclass(frozen=True, slots=True)
class _Redundancy:
    """A browser can put the packet before into each packet (RFC 2198, "audio/red")."""

    payload_type: int
    opus: int  # payload type of what is inside


def _redundancy(offer: str) -> _Redundancy | None:
    """What a checked offer says of it. aiortc does not know it, so the lines are read here."""
    codecs = sdp.SessionDescription.parse(offer).media[0].rtp.codecs
    types = {each.mimeType.lower(): each.payloadType for each in reversed(codecs)}
    red, opus = types.get("audio/red"), types.get("audio/opus")
    if red is None or opus is None or red == opus:
        return None
    inside = f"a=fmtp:{red} {opus}/{opus}"
    return _Redundancy(red, opus) if inside in offer.splitlines() else None


def _with_redundancy(answer: str, redundancy: _Redundancy | None) -> str:
    """The answer that asks for it, before plain Opus: a lost packet then comes 20 ms later."""
    if redundancy is None:
        return answer
    red, opus = redundancy.payload_type, redundancy.opus
    lines = []
    for line in answer.splitlines():
        if line.startswith("m=audio "):
            media, port, protocol, *types = line.split(" ")
            line = " ".join([media, port, protocol, str(red), *types])
        lines.append(line)
        if line.startswith(f"a=rtpmap:{opus} "):
            lines += [f"a=rtpmap:{red} red/48000/2", f"a=fmtp:{red} {opus}/{opus}"]
    return "\r\n".join(lines) + "\r\n"


def _candidate(text: object, *, loopback: bool) -> RTCIceCandidate | None:
    """A candidate we can use: UDP, a real unicast address, nothing that must be looked up."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_CANDIDATE_CHARACTERS:
        return None
    try:
        candidate = sdp.candidate_from_sdp(text.removeprefix("candidate:"))
        address = ipaddress.ip_address(candidate.ip)
    except (ValueError, AssertionError, IndexError):
        return None
    usable = (
        candidate.protocol.lower() == "udp"
        and candidate.component == 1
        and candidate.type in ("host", "srflx", "relay")
        and 0 < candidate.port < 65_536
        and 0 < candidate.priority < 2**31
        and (loopback or not address.is_loopback)
        and not (address.is_multicast or address.is_unspecified or address.is_link_local)
    )
    return candidate if usable else None


def _with_public_address(answer: str, settings: PeerSettings) -> str:
    """The answer with our public address where the private ones of its family stood."""
    if not settings.public_address:
        return answer
    public = ipaddress.ip_address(settings.public_address)
    lines = []
    for line in answer.splitlines():
        if line.startswith("a=candidate:"):
            candidate = sdp.candidate_from_sdp(line.removeprefix("a=candidate:"))
            if candidate.type == "host" and candidate.ip != _LOOPBACK:
                if ipaddress.ip_address(candidate.ip).version != public.version:
                    continue
                candidate.ip = str(public)
            line = f"a=candidate:{sdp.candidate_to_sdp(candidate)}"
        elif line.startswith("c="):
            line = f"c={sdp.ipaddress_to_sdp(str(public))}"
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"


_SIGNATURES: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
    (Connection, "get_component_candidates", ("self", "component", "addresses", "timeout")),
    (Connection, "data_received", ("self", "data", "component")),
    (aioice, "get_host_addresses", ("use_ipv4", "use_ipv6")),
    (RTCPeerConnection, _CONNECT_METHOD, ("self",)),
    (RTCDtlsTransport, "_register_rtp_receiver", ("self", "receiver", "parameters")),
    (RTCDtlsTransport, "_unregister_rtp_receiver", ("self", "receiver")),
    (RTCDtlsTransport, "_send_rtp", ("self", "data")),
    (RTCRtpReceiver, "__init__", ("self", "kind", "transport")),
    (RTCRtpReceiver, "receive", ("self", "parameters")),
    (RTCRtpReceiver, "stop", ("self",)),
    (RTCRtpReceiver, "_set_rtcp_ssrc", ("self", "ssrc")),
    (RTCRtpReceiver, "_handle_disconnect", ("self",)),
    (RTCRtpReceiver, "_handle_rtcp_packet", ("self", "packet")),
    (RTCRtpReceiver, "_handle_rtp_packet", ("self", "packet", "arrival_time_ms")),
    (StreamStatistics, "__init__", ("self", "clockrate")),
    (StreamStatistics, "add", ("self", "packet")),
    (sdp, "candidate_from_sdp", ("sdp",)),
    (sdp, "candidate_to_sdp", ("candidate",)),
    (sdp, "ipaddress_to_sdp", ("addr",)),
    (sdp.SessionDescription, "parse", ("sdp",)),
)


# Set by the constructor of each.
_ATTRIBUTES: tuple[tuple[Any, str], ...] = (
    (RTCIceGatherer, "_connection"),
    (Connection, "_queue"),
    (RTCDtlsTransport, "_task"),
    (RTCRtpSender, "_ssrc"),
    (RTCRtpReceiver, "_enabled"),
    (RTCRtpReceiver, "_track"),
    (RTCRtpTransceiver, _RECEIVER_ATTRIBUTE),
)


def check_aiortc() -> None:
    """Refuse to start on an aiortc or aioice whose private parts have moved, naming the part."""
    for owner, name, parameters in _SIGNATURES:
        function = getattr(owner, name, None)
        found = tuple(inspect.signature(function).parameters) if function else None
        if found != parameters:
            raise RuntimeError(f"aiortc changed: {owner.__name__}.{name} has {found}")
    for owner, name in _ATTRIBUTES:
        if name not in owner.__init__.__code__.co_names:
            raise RuntimeError(f"aiortc changed: {owner.__name__} sets no {name}")
