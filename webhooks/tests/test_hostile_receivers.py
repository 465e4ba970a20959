"""Receivers that want to hold us up, fill us up or lead us astray. No database: only the sender."""

import asyncio
import gzip
import json
import resource
import ssl
import subprocess
import sys

import pytest

from webhooks import signing
from webhooks.addresses import networks
from webhooks.outcomes import Outcome, Parcel
from webhooks.sending import DEADLINE_SECONDS, Internet, Sender
from webhooks.tests.receivers import Receiver, peer_serving, serving

HOST = "hooks.example.com"
DEADLINE = 1.0  # seconds, in place of 15
FAR = 40.0  # seconds: long past every deadline, long before a receiver gives up by itself
ENDLESS = 1000  # writes: far more than is read, and asyncio does not always say who is gone
BOMB = gzip.compress(b"\0" * 20_000_000, 1)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def parcel(url: str = f"https://{HOST}/") -> Parcel:
    secret = signing.secret_make()
    return Parcel(event_id="wh_1", url=url, body=b'{"event":"call.scored"}', secrets=(secret,))


async def send(internet: Internet, url: str = f"https://{HOST}/") -> Outcome:
    async with Sender(internet, deadline=DEADLINE) as sender:
        return await sender.send(parcel(url))


async def drip_head(reader, writer):
    for letter in HEAD * 1000:
        writer.write(bytes([letter]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def say_nothing(reader, writer):
    await asyncio.sleep(60)


async def endless_headers(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD)
    for number in range(5000):
        writer.write(b"X-%d: y\r\n" % number)
        await writer.drain()


async def one_endless_header(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"X: ")
    for _ in range(ENDLESS):
        writer.write(b"y" * 65536)
        await writer.drain()


async def continue_for_ever(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(ENDLESS):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()
        await asyncio.sleep(0.01)


async def no_http(reader, writer):
    writer.write(b"220 mail.example.com ESMTP\r\n")
    await writer.drain()


async def hang_up(reader, writer):
    await reader.readuntil(b"\r\n\r\n")


async def lie_about_length(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"Content-Length: -1\r\n\r\n")
    await writer.drain()


async def smuggle(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc")
    await writer.drain()


REFUSING = {
    drip_head: {"TIMEOUT"},
    say_nothing: {"TIMEOUT"},
    endless_headers: {"RESPONSE_INVALID"},
    one_endless_header: {"RESPONSE_INVALID"},
    continue_for_ever: {"RESPONSE_INVALID", "TIMEOUT"},  # after so much, or so long
    no_http: {"RESPONSE_INVALID"},
    hang_up: {"CONNECTION_LOST"},
    lie_about_length: {"RESPONSE_INVALID"},
    smuggle: {"RESPONSE_INVALID"},
}


@pytest.mark.parametrize("peer", REFUSING, ids=lambda peer: peer.__name__)
async def test_without_an_answer_the_attempt_fails_in_time(world, peer):
    async with peer_serving(peer, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        async with asyncio.timeout(FAR):
            outcome = await send(world.internet())
    assert outcome.error in REFUSING[peer]
    assert outcome.status is None


async def test_a_flood_of_interim_answers_is_cut_off_before_the_deadline(world):
    async with peer_serving(continue_for_ever, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        async with asyncio.timeout(FAR), Sender(world.internet(), deadline=2 * FAR) as sender:
            outcome = await sender.send(parcel())
    assert outcome.error == "RESPONSE_INVALID"


async def drip_body(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"\r\n")
    for _ in range(ENDLESS):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_body(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"\r\n")
    for _ in range(ENDLESS):
        writer.write(b"x" * 65536)
        await writer.drain()


async def gzip_bomb(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"Content-Encoding: gzip\r\n\r\n" + BOMB)
    await writer.drain()


async def broken_chunks(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\nabc")
    await writer.drain()


@pytest.mark.parametrize(
    "peer", [drip_body, endless_body, gzip_bomb, broken_chunks], ids=lambda peer: peer.__name__
)
async def test_a_2xx_whose_body_is_a_weapon_arrived_in_time_and_in_little_memory(world, peer):
    async with peer_serving(peer, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        async with asyncio.timeout(FAR):
            outcome = await send(world.internet())
    assert (outcome.error, outcome.status) == ("", 200)
    assert len(outcome.response_body.encode()) <= 3 * 1024  # 1 KiB, unreadable bytes replaced
    assert "\x00" not in outcome.response_body


FLOOD = """
import asyncio, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
async def flood(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
    try:
        for _ in range(1000):
            writer.write(b"x" * 65536)
            await writer.drain()
    except OSError:
        writer.transport.abort()
async def main():
    server = await asyncio.start_server(flood, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_hundred_endless_bodies_at_once_take_little_memory(world):
    """The receiver is a process of its own, so that only the sender's memory is seen."""
    world.authority.server(HOST)
    certificate = str(world.authority.folder / f"{HOST}.pem")
    flood = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FLOOD, certificate), stdout=subprocess.PIPE
    )
    try:
        world.place(HOST, int(await asyncio.wait_for(flood.stdout.readline(), 20)))
        async with Sender(world.internet(), deadline=8.0) as sender:
            await asyncio.gather(*(sender.send(parcel()) for _ in range(5)))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            async with asyncio.timeout(FAR):
                outcomes = await asyncio.gather(*(sender.send(parcel()) for _ in range(100)))
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    finally:
        flood.kill()
        await asyncio.wait_for(flood.wait(), 10)
    print(f"100 endless bodies at once: {grown:.0f} MiB")
    found = {(outcome.status, outcome.error) for outcome in outcomes}
    assert found <= {(200, ""), (None, "TIMEOUT")}  # on a busy machine some get no turn
    assert grown < 50


async def test_a_tls_handshake_that_stalls_ends_in_time(world):
    async with peer_serving(say_nothing) as port:  # takes the connection, no TLS
        world.place(HOST, port)
        async with asyncio.timeout(FAR):
            outcome = await send(world.internet())
    assert (outcome.error, outcome.connect_ms) == ("TIMEOUT", None)


def test_the_real_deadline_is_fifteen_seconds():
    assert DEADLINE_SECONDS == 15.0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(world, status):
    receiver, evil = Receiver([status], {"Location": "https://evil.example.com/"}), Receiver()
    tls = world.authority.server(HOST, "evil.example.com")
    async with serving(receiver.handle, tls) as port, serving(evil.handle, tls) as evil_port:
        world.place(HOST, port)
        world.place("evil.example.com", evil_port)
        outcome = await send(world.internet())
    assert (outcome.status, outcome.error) == (status, "REDIRECT_REFUSED")
    assert evil.got == []


async def test_a_proxy_of_the_environment_is_not_used(world, monkeypatch):
    proxy, receiver = Receiver(), Receiver()
    async with (
        serving(proxy.handle) as proxy_port,
        serving(receiver.handle, world.authority.server(HOST)) as port,
    ):
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy_port}")
        world.place(HOST, port)
        assert (await send(world.internet())).error == ""
    assert (len(receiver.got), proxy.got) == (1, [])


async def test_a_certificate_for_another_name_is_refused(world):
    receiver = Receiver()
    async with serving(receiver.handle, world.authority.server("other.example.com")) as port:
        world.place(HOST, port)
        assert (await send(world.internet())).error == "TLS_FAILED"
    assert receiver.got == []


async def test_an_unknown_authority_and_old_tls_are_refused(world):
    receiver, old = Receiver(), world.authority.server(HOST)
    async with serving(receiver.handle, old) as port:
        world.place(HOST, port)
        strangers = Internet(lookup=world._lookup, route=world._route)
        assert (await send(strangers)).error == "TLS_FAILED"
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(receiver.handle, old) as port:
        world.place(HOST, port)
        assert (await send(world.internet())).error in {"TLS_FAILED", "CONNECT_FAILED"}
    assert receiver.got == []


async def test_the_name_goes_to_the_receiver_and_the_connection_to_the_checked_address(world):
    names: list[str] = []
    tls = world.authority.server(HOST)
    tls.sni_callback = lambda _, name, __: names.append(name)
    receiver = Receiver()
    async with serving(receiver.handle, tls) as port:
        world.place(HOST, port)
        assert (await send(world.internet())).error == ""
    assert names == [HOST]
    assert receiver.got[0].headers["Host"] == HOST
    assert world.looked_up == [HOST]


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["10.0.0.7"], ["169.254.169.254"], ["fd00:ec2::254"],
     ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["fe80::1%lo"], ["93.184.215.1", "127.0.0.1"],
     ["127.0.0.1", "93.184.215.1"], ["93.184.215.1", "2002:7f00:1::"], ["no address"]],
    ids=str,
)  # fmt: skip
async def test_a_name_with_any_refused_address_is_not_contacted(world, addresses):
    routed: list[object] = []
    receiver = Receiver()
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.addresses[HOST] = addresses

        def route(*way):
            routed.append(way)
            return "127.0.0.1", port

        internet = Internet(lookup=world._lookup, tls=world.authority.trusted(), route=route)
        outcome = await send(internet)
    assert (outcome.error, outcome.connect_ms) == ("ADDRESS_REFUSED", None)
    assert (routed, receiver.got) == ([], [])


async def test_a_name_that_turns_inside_is_refused_from_then_on(world):
    """Rebinding: what is checked is what is connected to, so no lookup in between helps."""
    receiver = Receiver()
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        errors = []
        for turn in range(10):
            world.addresses[HOST] = ["127.0.0.1"] if turn % 2 else ["93.184.215.1"]
            errors.append((await send(world.internet())).error)
    assert errors == ["", "ADDRESS_REFUSED"] * 5
    assert (len(receiver.got), len(world.looked_up)) == (5, 10)


async def test_our_own_networks_are_not_contacted(world):
    world.addresses[HOST] = ["93.184.215.1"]
    outcome = await send(world.internet(own=networks(["93.184.215.0/24"])))
    assert outcome.error == "ADDRESS_REFUSED"


async def test_a_name_server_that_never_answers_holds_one_lookup(world):
    asked = []

    async def never(host: str) -> list[str]:
        asked.append(host)
        await asyncio.sleep(60)
        return []

    async with Sender(Internet(lookup=never, tls=world.authority.trusted()), deadline=5) as sender:
        async with asyncio.timeout(FAR):
            outcomes = await asyncio.gather(*(sender.send(parcel()) for _ in range(20)))
    assert {outcome.error for outcome in outcomes} == {"NAME_NOT_FOUND"}
    assert asked == [HOST]


@pytest.mark.parametrize("found", [[], None])
async def test_a_name_without_address_fails(world, found):
    if found is not None:
        world.addresses[HOST] = found
    assert (await send(world.internet())).error == "NAME_NOT_FOUND"


async def test_a_closed_port_fails(world):
    async with serving(Receiver().handle) as port:
        pass
    world.place(HOST, port)
    assert (await send(world.internet())).error == "CONNECT_FAILED"


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "https://127.0.0.1/", "https://db.internal/",
            "http://localhost:9/", "https://hooks.example.com:22/"],
)  # fmt: skip
async def test_a_url_is_checked_again_when_it_is_used(world, url):
    outcome = await send(world.internet(), url)
    assert (outcome.error, world.looked_up) == ("URL_REFUSED", [])


async def test_what_is_kept_of_an_attempt_holds_no_secret(world):
    receiver = Receiver(text="é" * 5000)
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        async with Sender(world.internet(), deadline=5) as sender:
            sent = parcel()
            outcome = await sender.send(sent)
    assert outcome.response_body == "é" * 512
    kept = json.dumps(outcome.request_headers)
    assert "X-Athos-Signature" in kept
    assert sent.secrets[0].removeprefix("whsec_") not in kept
    assert sent.secrets[0] not in repr(sent) + repr(outcome)
