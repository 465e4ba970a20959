"""A real Chromium on the same machine, with no switch that changes its networking."""

import asyncio
import json
import shutil

import numpy as np
import pytest
from aiohttp import web
from playwright.async_api import async_playwright

from calls.live import codec
from calls.live.peer import Peer, PeerSettings
from calls.tests.media import speechlike

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# A microphone that beeps and nobody to click "allow": nothing about addresses or ports.
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
PAGE = """<!doctype html><script>
async function call() {
  const microphone = await navigator.mediaDevices.getUserMedia({audio: true});
  const pc = new RTCPeerConnection({iceServers: []});
  pc.addTrack(microphone.getAudioTracks()[0], microphone);
  pc.ontrack = (event) => {
    const ear = new Audio();
    ear.srcObject = event.streams[0];
    ear.play();
  };
  const post = (path, body) => fetch(path, {method: "POST", body});
  pc.onicecandidate = ({candidate}) => {
    if (candidate) post("/candidate", JSON.stringify(candidate));
  };
  const settled = new Promise((resolve) => {
    pc.onconnectionstatechange = () => {
      if (["connected", "failed"].includes(pc.connectionState)) resolve(pc.connectionState);
    };
    setTimeout(() => resolve("timeout"), 15000);
  });
  await pc.setLocalDescription(await pc.createOffer());
  const answer = await (await post("/offer", pc.localDescription.sdp)).text();
  await pc.setRemoteDescription({type: "answer", sdp: answer});
  const state = await settled;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const inbound = [...(await pc.getStats()).values()].find((r) => r.type === "inbound-rtp") ?? {};
  pc.close();
  return {state, packets: inbound.packetsReceived, energy: inbound.totalAudioEnergy};
}
</script>"""


async def _serve(peer: Peer) -> tuple[web.AppRunner, str]:
    async def page(request):
        return web.Response(text=PAGE, content_type="text/html")

    async def offer(request):
        return web.Response(text=await peer.answer(await request.text()))

    async def candidate(request):
        await peer.add_candidate(json.loads(await request.text()))
        return web.Response()

    app = web.Application()
    app.add_routes(
        [web.get("/", page), web.post("/offer", offer), web.post("/candidate", candidate)]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://localhost:{runner.addresses[0][1]}/"


@pytest.mark.browser
@pytest.mark.slow
async def test_chromium_speaks_and_hears(tmp_path):
    voice = codec.encode_clip(speechlike(3.0))
    received, frame = [], iter(range(10**6))
    peer = Peer(
        PeerSettings(loopback=True),
        on_packet=received.append,
        next_packet=lambda due: voice[next(frame) % len(voice)],
        on_state=lambda state: None,
    )
    take = peer._inbound.take_redundant  # what Chromium sends where the answer asks for it

    def lose_every_tenth(packet):
        if packet.sequence_number % 10:
            take(packet)

    peer._inbound.take_redundant = lose_every_tenth
    runner, address = await _serve(peer)
    async with asyncio.timeout(60), async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            tmp_path, executable_path=CHROMIUM, headless=True, args=SWITCHES
        )
        page = await browser.new_page()
        await page.goto(address)
        heard = await page.evaluate("call()")
        await browser.close()
    await peer.close()
    await runner.cleanup()
    assert heard["state"] == "connected"
    assert heard["packets"] > 50
    assert heard["energy"] > 0.001
    decoder = codec.OpusDecoder()
    beeps = np.concatenate([decoder.decode(p.payload) for p in received if p.payload])
    assert len(received) > 50
    assert peer.stats().recovered > 5
    assert [packet for packet in received if packet.payload is None] == []
    assert np.abs(beeps).max() > 5000
