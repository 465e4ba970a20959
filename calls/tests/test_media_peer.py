"""The peer against a real WebRTC client on loopback, and against whatever a stranger sends."""

import asyncio
import gc
import threading
from itertools import pairwise
from pathlib import Path
from unittest import mock

import aioice
import numpy as np
import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calls.live import codec, peer
from calls.live.peer import Peer, PeerError, PeerSettings, check_aiortc
from calls.tests.media import best_match, speechlike
from calls.tests.rtc_client import RtcClient

LOOPBACK = PeerSettings(loopback=True)


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch):
    """No test depends on the addresses of this machine."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [])


# As Chromium makes it, shortened.
CHROMIUM_OFFER = """v=0
o=- 5477624786753595787 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS 66704c5b-2c06-4409-89c7-b6d6172503f2
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1143532553 1 udp 2122194687 127.0.0.1 42279 typ host generation 0 network-id 1
a=ice-ufrag:3Db0
a=ice-pwd:rtWVi7AUAmVtREsfjDKUfmVW
a=ice-options:trickle
a=fingerprint:sha-256 73:A0:40:53:1B:C2:B2:07:1E:70:9A:D5:72:CD:19:72:\
5A:89:CE:A0:8E:1B:9F:5A:64:34:8E:AC:AD:D0:B2:25
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:66704c5b-2c06-4409-89c7-b6d6172503f2 b92e6c22-35d7-4b0c-8037-8ba7d2c079a7
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=ssrc:4202226994 cname:c7vUOqvBQ2hGA11Z
a=ssrc:4202226994 msid:66704c5b-2c06-4409-89c7-b6d6172503f2 b92e6c22-35d7-4b0c-8037-8ba7d2c079a7
"""

# As Firefox makes it: fingerprint for the session, formats described before they are named.
FIREFOX_OFFER = """v=0
o=mozilla...THIS_IS_SDPARTA-99.0 5461022530312520044 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 73:A0:40:53:1B:C2:B2:07:1E:70:9A:D5:72:CD:19:72:\
5A:89:CE:A0:8E:1B:9F:5A:64:34:8E:AC:AD:D0:B2:25
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:9dd1b6d2fb8ba0b7c4de06f5d6cf4c8d
a=ice-ufrag:0a4b6f3c
a=mid:0
a=msid:{5ec6a5e0-6f0e-4f6e-9a1c-6d4e1ab0a7ff} {b0a5a3f5-0c39-4c0b-8d1b-58c27f0c6c0e}
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000/1
a=setup:actpass
a=ssrc:2655508255 cname:{735484ea-4f6c-f74a-bd66-7425f8476c2e}
"""


class Line:
    """A peer with everything it told us."""

    def __init__(self, packets=(), settings=LOOPBACK):
        self.received = []
        self.states = []
        self.due = []
        self._packets = iter(packets)
        self.peer = Peer(
            settings,
            on_packet=self.received.append,
            next_packet=self._next,
            on_state=self.states.append,
        )

    def _next(self, due):
        self.due.append(due)
        return next(self._packets, None)

    def pcm(self):
        decoder = codec.OpusDecoder()
        return np.concatenate(
            [
                np.zeros(p.samples, np.int16) if p.payload is None else decoder.decode(p.payload)
                for p in self.received
            ]
        )


async def connect(line: Line, client: RtcClient) -> None:
    await client.set_answer(await line.peer.answer(await client.offer()))
    await client.connected()


async def eventually(condition, seconds: float = 5.0) -> None:
    for _ in range(round(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def hang_up(line: Line, client: RtcClient) -> None:
    await line.peer.close()
    await client.close()


async def valid_offer() -> str:
    client = RtcClient()
    offer = await client.offer()
    await client.close()
    return offer


async def test_speech_goes_both_ways():
    microphone, voice = speechlike(1.5, seed=1), speechlike(1.5, seed=2)
    line, client = Line(codec.encode_clip(voice)), RtcClient(microphone)
    await connect(line, client)
    await asyncio.sleep(2.0)
    await hang_up(line, client)
    heard, _ = client.heard_pcm()
    for said, arrived in ((microphone, line.pcm()), (voice, heard)):
        place, likeness = best_match(said[9600:62_400], arrived)
        assert likeness > 0.9
        # Not a sample lost; on a busy machine the voice may pause for whole frames.
        pause, error = divmod(place - 9600 - codec.ENCODER_DELAY + 2, 960)
        assert error <= 4
        assert pause <= line.peer.stats().skipped
    assert line.states == ["connecting", "connected", "closed"]
    assert line.peer.stats().lost == 0


async def test_trickled_candidates_connect():
    line, client = Line(), RtcClient()
    offer = await client.offer(candidates=False)
    for candidate in client.candidates():
        assert await line.peer.add_candidate(candidate)  # earlier than the offer
    await client.set_answer(await line.peer.answer(offer))
    await client.connected()
    await hang_up(line, client)


async def test_a_page_without_usable_candidates_connects_by_its_own_checks():
    """Firefox hides its addresses behind .local names; its checks reach us all the same."""
    line, client = Line(), RtcClient()
    await client.set_answer(await line.peer.answer(await client.offer(candidates=False)))
    await client.connected()
    await hang_up(line, client)


async def test_frames_leave_every_20_ms_without_drift():
    line, client = Line(), RtcClient()
    await connect(line, client)
    await asyncio.sleep(2.0)
    asked_at = asyncio.get_running_loop().time()
    await hang_up(line, client)
    skipped = line.peer.stats().skipped  # by a busy machine
    places = [(due - line.due[0]) / 0.02 for due in line.due]
    assert places == pytest.approx([round(place) for place in places])  # the schedule is absolute
    assert round(places[-1]) == len(places) - 1 + skipped
    assert asked_at - line.due[-1] < 0.02 * (peer.MAX_CATCH_UP_FRAMES + 2)
    heard = client.heard()
    assert [h.position for h in heard] == [n * 960 for n in range(len(heard))]
    assert len(heard) == pytest.approx(len(places) + skipped, abs=2)


async def test_a_hung_loop_catches_up_a_little_and_skips_the_rest():
    import time

    line, client = Line(), RtcClient()
    await connect(line, client)
    await asyncio.sleep(0.2)
    time.sleep(0.5)  # noqa: ASYNC251 - the fault itself
    await asyncio.sleep(0.3)
    await hang_up(line, client)
    stats = line.peer.stats()
    assert 15 <= stats.skipped <= 30
    assert len(line.due) == stats.sent
    steps = [round((b - a) / 0.02) for a, b in pairwise(line.due)]
    assert sorted(set(steps))[0] == 1  # never twice the same moment
    assert max(steps) - 1 == stats.skipped


async def test_lost_packets_are_told_in_their_place():
    microphone = speechlike(1.5)
    line = Line()
    client = RtcClient(microphone, drop=lambda n: n % 25 == 10)
    await connect(line, client)
    await asyncio.sleep(1.6)
    await hang_up(line, client)
    holes = [p.position // 960 for p in line.received if p.payload is None]
    assert holes == [n for n in range(len(line.received)) if n % 25 == 10]
    assert all(p.samples == 960 for p in line.received)
    assert [p.position for p in line.received] == [n * 960 for n in range(len(line.received))]
    place, likeness = best_match(microphone[9600:48_000], line.pcm())
    assert place - 9600 == pytest.approx(codec.ENCODER_DELAY, abs=2)
    assert likeness > 0.8


async def test_capture_times_are_steady():
    line, client = Line(), RtcClient()
    await connect(line, client)
    await asyncio.sleep(1.0)
    await hang_up(line, client)
    steady = [p.captured_at - p.position / 48_000 for p in line.received[10:]]
    assert max(steady) - min(steady) < 0.005
    assert all(p.captured_at <= p.arrived_at - 0.0199 for p in line.received)
    assert line.peer.last_packet_at == line.received[-1].arrived_at


async def test_the_browser_gets_reception_reports():
    line, client = Line(), RtcClient(drop=lambda n: n % 10 == 5)
    await connect(line, client)
    await asyncio.sleep(2.2)
    stats = await client._pc.getStats()
    await hang_up(line, client)
    (report,) = [s for s in stats.values() if s.type == "remote-inbound-rtp"]
    assert report.packetsLost > 0


@pytest.mark.parametrize(
    ("offer", "types"),
    [
        (CHROMIUM_OFFER, ["63 red", "111 opus"]),
        (CHROMIUM_OFFER.replace("111 63 9 0 8 13 110", "0 8 9 63 111"), ["63 red", "111 opus"]),
        (CHROMIUM_OFFER.replace("63 111/111", "63 0/0"), ["111 opus"]),
        (FIREFOX_OFFER, ["109 opus"]),
    ],
    ids=["chromium", "prefers others", "redundancy of another codec", "firefox"],
)
async def test_every_browser_is_answered_with_opus_alone(offer, types):
    """And, where it can, with each packet carried twice."""
    line = Line()
    answer = (await line.peer.answer(offer)).splitlines()
    await line.peer.close()
    maps = {x.removeprefix("a=rtpmap:") for x in answer if x.startswith("a=rtpmap")}
    assert maps == {f"{x}/48000/2" for x in types}
    (media,) = (x for x in answer if x.startswith("m="))
    assert media.split(" ")[3:] == [x.split(" ")[0] for x in types]
    assert ("a=fmtp:63 111/111" in answer) == (len(types) == 2)
    assert "a=sendrecv" in answer


async def test_a_lost_packet_is_found_in_the_next_one():
    microphone = speechlike(1.5)
    line = Line()
    client = RtcClient(microphone, drop=lambda n: n % 10 == 5, redundant=True)
    await connect(line, client)
    await asyncio.sleep(1.6)
    stats = line.peer.stats()
    await hang_up(line, client)
    assert client.sends_redundant
    assert [p for p in line.received if p.payload is None] == []
    assert [p.position for p in line.received] == [n * 960 for n in range(len(line.received))]
    assert stats.recovered >= 6 and stats.lost == 0 and stats.late == 0
    place, likeness = best_match(microphone[9600:48_000], line.pcm())
    assert place - 9600 == pytest.approx(codec.ENCODER_DELAY, abs=2)
    assert likeness > 0.9


async def test_of_two_packets_lost_in_a_row_one_is_found():
    line = Line()
    client = RtcClient(speechlike(1.5), drop=lambda n: n % 25 in (10, 11), redundant=True)
    await connect(line, client)
    await asyncio.sleep(1.6)
    await hang_up(line, client)
    holes = [p.position // 960 for p in line.received if p.payload is None]
    assert holes == [n for n in range(len(line.received)) if n % 25 == 10]


async def test_the_peer_tells_when_the_browser_leaves():
    line, client = Line(), RtcClient()
    await connect(line, client)
    await client.close()
    await eventually(lambda: line.states[-1] == "closed")
    await line.peer.close()
    assert line.states == ["connecting", "connected", "closed"]


async def test_no_browser_means_failed_in_time(monkeypatch):
    monkeypatch.setattr(peer, "CONNECT_SECONDS", 0.2)
    line = Line()
    await line.peer.answer(await valid_offer())
    await asyncio.sleep(0.4)
    assert line.states == ["connecting", "failed"]
    await line.peer.close()
    assert line.states[-1] == "closed"


async def test_a_callback_that_fails_does_not_end_the_call():
    def broken(*_):
        raise RuntimeError("ours")

    line_peer = Peer(LOOPBACK, on_packet=broken, next_packet=broken, on_state=broken)
    client = RtcClient()
    await client.set_answer(await line_peer.answer(await client.offer()))
    await client.connected()
    await asyncio.sleep(0.3)
    assert line_peer.state == "connected"
    assert line_peer.stats().failures > 10
    assert len(client.heard()) > 5
    await line_peer.close()
    await client.close()


def left_behind() -> tuple[int, int, int]:
    gc.collect()
    return (
        len([t for t in asyncio.all_tasks() if not t.done()]),
        len(list(Path("/proc/self/fd").iterdir())),
        threading.active_count(),
    )


async def test_fifty_calls_leave_nothing_behind():
    line, client = Line(), RtcClient()
    await connect(line, client)
    await hang_up(line, client)
    await asyncio.sleep(0.1)
    before = left_behind()
    for _ in range(50):
        line, client = Line(), RtcClient()
        await connect(line, client)
        await asyncio.gather(line.peer.close(), client.close())
    await asyncio.sleep(0.1)
    assert left_behind() == before


@pytest.mark.parametrize("moment", [0.0, 0.001, 0.005, 0.02, 0.04])
async def test_closing_while_connecting_leaves_nothing_behind(moment):
    before = left_behind()
    line, client = Line(), RtcClient()
    offer = await client.offer()
    answering = asyncio.create_task(line.peer.answer(offer))
    connecting = asyncio.create_task(_set_answer_when_there(client, answering))
    await asyncio.sleep(moment)
    await asyncio.gather(line.peer.close(), line.peer.close())
    await asyncio.wait([answering, connecting])
    if answering.exception():
        assert answering.exception().code == "PEER_CLOSED"
    await client.close()
    await asyncio.sleep(0.1)
    assert left_behind() == before
    assert line.peer.state == "closed"


async def _set_answer_when_there(client, answering):
    await asyncio.wait([answering])
    if not answering.exception():
        await client.set_answer(answering.result())


async def test_a_closed_peer_answers_nothing_and_hears_nothing():
    line, client = Line(), RtcClient()
    await connect(line, client)
    await line.peer.close()
    count = len(line.received)
    assert not await line.peer.add_candidate(
        {"candidate": "candidate:1 1 udp 1 10.0.0.1 9 typ host"}
    )
    with pytest.raises(PeerError) as refusal:
        await line.peer.answer(await valid_offer())
    assert refusal.value.code == "PEER_CLOSED"
    await asyncio.sleep(0.1)
    assert len(line.received) == count
    await client.close()


def without(prefix):
    return lambda sdp: "".join(f"{x}\r\n" for x in sdp.splitlines() if not x.startswith(prefix))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sdp: "",
        lambda sdp: "hello",
        lambda sdp: sdp[: sdp.index("a=rtpmap")],
        lambda sdp: sdp + "a=x\r\n" * 10_000,
        lambda sdp: sdp + sdp[sdp.index("m=") :],  # two microphones
        lambda sdp: sdp.replace("m=audio", "m=video"),
        lambda sdp: sdp.replace("opus/48000/2", "speex/8000"),
        lambda sdp: sdp.replace("a=sendrecv", "a=recvonly"),
        lambda sdp: sdp.replace("a=group:BUNDLE 0", "a=group:BUNDLE 7 0"),
        lambda sdp: sdp.replace("a=setup:actpass", "a=setup:nobody"),
        lambda sdp: sdp.replace("a=fingerprint:sha-", "a=fingerprint:md-"),
        lambda sdp: sdp.replace("m=audio", "m=audio x"),
        lambda sdp: sdp.replace("a=rtpmap:96", "a=fmtp:97 x\r\na=rtpmap:96"),
        without("a=ice-ufrag"),
        without("a=ice-pwd"),
        without("a=setup"),
        without("a=fingerprint"),
        without("a=rtcp-mux"),
    ],
)
async def test_a_malformed_offer_is_refused_with_a_code(spoil):
    line = Line()
    with pytest.raises(PeerError) as refusal:
        await line.peer.answer(spoil(await valid_offer()))
    assert refusal.value.code == "OFFER_INVALID"
    await line.peer.close()
    assert line.states[-1] == "closed"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_offer_breaks_more_than_itself(data):
    """Lines of a good offer removed, doubled, swapped or garbled: an answer or a PeerError."""

    async def offer_once() -> None:
        lines = CHROMIUM_OFFER.splitlines()
        for _ in range(data.draw(st.integers(1, 4))):
            index = data.draw(st.integers(0, len(lines) - 1))
            line = lines[index]
            cut = data.draw(st.integers(0, len(line)))
            change = data.draw(
                st.sampled_from(([], [line, line], [line[:cut]], [line[:cut] + " 99999 x"]))
            )
            lines[index : index + 1] = change
            if not lines:
                return
        line = Line()
        try:
            await line.peer.answer("\r\n".join(lines) + "\r\n")
        except PeerError as refusal:
            assert refusal.code == "OFFER_INVALID"
        await line.peer.close()

    asyncio.run(offer_once())


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "candidate:",
        "x" * 600,
        "candidate:1 1 udp 2122194687 4f0a-11.local 42279 typ host",
        "candidate:1 1 tcp 1518280447 192.0.2.2 9 typ host tcptype active",
        "candidate:1 2 udp 2122194687 192.0.2.2 42279 typ host",
        "candidate:1 1 udp 2122194687 192.0.2.2 0 typ host",
        "candidate:1 1 udp 2122194687 192.0.2.2 70000 typ host",
        "candidate:1 1 udp 2122194687 192.0.2.2 42279 typ prflx",
        "candidate:1 1 udp 99999999999 192.0.2.2 42279 typ host",
        "candidate:1 1 udp 2122194687 224.0.0.1 42279 typ host",
        "candidate:1 1 udp 2122194687 0.0.0.0 42279 typ host",
        "candidate:1 1 udp 2122194687 169.254.169.254 80 typ host",
        "candidate:1 1 udp 2122194687 127.0.0.1 42279 typ host",
        "candidate:1 1 udp two 192.0.2.2 42279 typ host",
        "candidate:1 1 udp 2122194687 example.com 42279 typ host",
    ],
)
async def test_candidates_of_no_use_are_dropped_at_once(text):
    public = Peer(
        PeerSettings(), on_packet=print, next_packet=lambda due: None, on_state=lambda state: None
    )
    async with asyncio.timeout(0.1):
        assert await public.add_candidate({"candidate": text}) is False
    await public.close()


async def test_the_number_of_candidates_is_bounded():
    line = Line()
    taken = [
        await line.peer.add_candidate(
            {"candidate": f"candidate:1 1 udp 2122194687 10.0.0.1 {port} typ host"}
        )
        for port in range(1000, 1100)
    ]
    assert sum(taken) == peer.MAX_CANDIDATES
    await line.peer.close()


async def test_what_arrives_before_the_handshake_is_bounded():
    line = Line()
    await line.peer.answer(await valid_offer())
    connection = line.peer._ice.iceGatherer._connection
    for _ in range(peer.MAX_DATAGRAMS * 2):
        connection.data_received(b"x" * 100, 1)
    assert connection._queue.qsize() == peer.MAX_DATAGRAMS
    await line.peer.close()


async def test_the_answer_carries_the_public_address(monkeypatch):
    monkeypatch.setattr(peer, "_local_addresses", lambda settings: ["127.0.0.1", "127.0.0.2"])
    line = Line(settings=PeerSettings(public_address="203.0.113.9", loopback=True))
    answer = await line.peer.answer(await valid_offer())
    await line.peer.close()
    addresses = [x.split()[4] for x in answer.splitlines() if x.startswith("a=candidate:")]
    assert addresses == ["127.0.0.1", "203.0.113.9"]
    assert "c=IN IP4 203.0.113.9" in answer
    assert "127.0.0.2" not in answer


async def test_loopback_is_offered_only_when_asked(monkeypatch):
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["192.0.2.1"] * 3)
    assert peer._local_addresses(PeerSettings()) == ["192.0.2.1"]
    assert peer._local_addresses(LOOPBACK) == ["192.0.2.1", "127.0.0.1"]
    many = [f"192.0.2.{n}" for n in range(100)]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: many)
    assert len(peer._local_addresses(LOOPBACK)) == peer.MAX_ADDRESSES


@pytest.mark.parametrize(
    "wrong",
    [
        {"public_address": "example.com"},
        {"ice_servers": [{"urls": "http://example.com"}]},
        {"ice_servers": [{"uri": "stun:example.com"}]},
    ],
)
def test_odd_settings_are_refused_at_start(wrong):
    with pytest.raises((ValueError, TypeError)):
        PeerSettings(**wrong)


def test_the_pinned_aiortc_is_accepted():
    check_aiortc()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (RTCRtpReceiver, "_handle_rtp_packet"),
        (RTCDtlsTransport, "_send_rtp"),
        (aioice.Connection, "get_component_candidates"),
    ],
)
def test_an_aiortc_that_moved_is_refused_by_name(owner, name):
    def moved(self, something_else):
        pass

    with mock.patch.object(owner, name, moved), pytest.raises(RuntimeError, match=name):
        check_aiortc()


def test_an_aiortc_without_our_attribute_is_refused_by_name():
    class Moved:
        def __init__(self):
            self._renamed = None

    with (
        mock.patch.object(peer, "_ATTRIBUTES", ((Moved, "_queue"),)),
        pytest.raises(RuntimeError, match="Moved sets no _queue"),
    ):
        check_aiortc()
