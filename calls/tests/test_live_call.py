"""A call through the real worker: database, channel layer, signalling socket, WebRTC, recording.

Only the engines are fakes; the browser is an aiortc client in the same loop.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import ClassVar

import numpy as np
import pytest
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.core.files.storage import default_storage
from django.db import connections
from django.test import Client

from athos.asgi import application
from calls.live.codec import encode_clip, read_part
from calls.live.conversation import Engines
from calls.live.peer import PeerSettings
from calls.live.tts import LineCache
from calls.live.worker import Worker
from calls.models import Call, Drill, LiveSlot, LiveWorker
from calls.services.live import CallNotOurs, call_end, call_take, turn_add
from calls.tests.rtc_client import RtcClient
from calls.tests.test_conversation import FakeBrain, FakeEars, FakeVoice
from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.services import api_key_create, tenant_create, user_create

pytestmark = pytest.mark.django_db(transaction=True)
PACK = {"persona": {"name": "Dana Whitfield", "voice": "af_bella"}, "hints": ["Dana"]}
API = "/api/external/v1"


def tenant_with_drill(name):
    user, _ = user_create(email=f"{name}@example.com")
    tenant = tenant_create(name=name, owner=user)
    _, key = api_key_create(tenant=tenant, name="test")
    with tenant_scope(tenant.pk):
        Drill.objects.create(
            tenant=tenant, key="talk", version=1, digest="0" * 64, title="Talk", pack=PACK
        )
    return tenant, key


def redeem(key):
    """What an integrator's backend and then a rep's browser do."""
    minted = Client().post(
        f"{API}/session",
        {"externalUserId": "rep_1"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert minted.status_code == 200, minted.content
    answer = Client().post(
        f"{API}/roleplay/session",
        {"drillKey": "talk"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {minted.json()['token']}"},
    )
    assert answer.status_code == 200, answer.content
    return answer.json()


async def in_thread(function, *args, **kwargs):
    """Database work beside the loop, its connection given back."""

    def run():
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


@pytest.fixture
def setting(transactional_db, settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "recordings")
    settings.CHANNEL_PREFIX = "live-call-test"
    return tenant_with_drill("alice")


def fake_engines(folder, *, texts, replies):
    ears = FakeEars(texts)
    return Engines(
        detect=lambda pcm: 0.95 if np.abs(pcm).max() > 1000 else 0.02,
        turn_detector=ears,
        sentence_model=ears,
        transcriber=ears,
        brain=FakeBrain(replies),
        voice=FakeVoice(),
        lines=LineCache(folder / "lines"),
    )


@asynccontextmanager
async def live_worker(tmp_path, *, texts=("Do you like your plan?",), replies=(["I do."],)):
    async def engines(call):
        return fake_engines(tmp_path, texts=texts, replies=replies)

    worker = Worker(
        host="test",
        slots=1,
        layer=get_channel_layer(),
        peers=PeerSettings(loopback=True),
        make_engines=engines,
    )
    running = asyncio.create_task(worker.run())
    while worker.id is None:
        await asyncio.sleep(0.01)
        assert not running.done(), running.exception()
    try:
        yield worker
    finally:
        await worker.drain(0)
        await asyncio.wait_for(running, 10)


class Browser:
    """The socket and the audio of one browser. The fixture `browsers_close` closes what is left."""

    made: ClassVar[list["Browser"]] = []

    def __init__(self, joined, origin=b"https://app.example.com"):
        self.ticket = joined["connectionTicket"]
        self.socket = WebsocketCommunicator(application, "/live/v1", headers=[(b"origin", origin)])
        self.rtc = RtcClient()
        self.messages = []
        Browser.made.append(self)

    async def join(self):
        assert (await self.socket.connect())[0]
        await self.say(type="join", ticket=self.ticket, version=1)
        return await self.next()

    async def call(self):
        assert (await self.join())["type"] == "joined"
        await self.say(type="offer", sdp=await self.rtc.offer())
        answer = await self.until("answer")
        await self.rtc.set_answer(answer["sdp"])
        await self.rtc.connected()
        return await self.until("ready")

    async def say(self, **message):
        await self.socket.send_to(text_data=json.dumps(message))

    async def next(self, timeout=10):
        message = await self.socket.receive_output(timeout)
        if message["type"] == "websocket.close":
            return {"type": "close", "code": message["code"]}
        self.messages.append(json.loads(message["text"]))
        return self.messages[-1]

    async def until(self, kind, timeout=15):
        async with asyncio.timeout(timeout):
            while (message := await self.next())["type"] != kind:
                assert message["type"] != "error", message
        return message

    async def close(self):
        await self.rtc.close()
        await self.socket.disconnect()


@pytest.fixture(autouse=True)
async def browsers_close():
    """Nothing is left waiting when the loop ends, which cancels a task once and waits for it.

    redis-py takes a cancellation that comes while it connects for the end of connecting
    (`Connection.connect`), so a consumer that is refused at once must be cancelled again.
    """
    yield
    made = list(Browser.made)
    Browser.made.clear()
    for browser in made:
        await browser.rtc.close()
        await browser.socket.send_input({"type": "websocket.disconnect", "code": 1001})
    for _ in range(20):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        _, pending = await asyncio.wait(left, timeout=0.3)
        for task in pending:
            task.cancel()


def the_call(tenant):
    with tenant_scope(tenant.pk):
        call = Call.objects.get()
        return call, list(call.turns.all()), list(call.recording_parts.all())


async def test_a_call_is_heard_kept_recorded_and_ended(setting, tmp_path):
    tenant, key = setting
    async with live_worker(tmp_path):
        joined = await in_thread(redeem, key)
        browser = Browser(joined)
        ready = await browser.call()
        assert ready["persona"] == {"name": "Dana Whitfield"}
        await browser.until("personaSpeaking")
        await asyncio.sleep(1.0)
        tone = (9000 * np.sin(np.arange(48_000) * 0.06)).astype(np.int16)
        browser.rtc.microphone.say(encode_clip(tone))
        while (
            browser.messages[-1] != {"type": "personaSpeaking", "speaking": True}
            or len([m for m in browser.messages if m["type"] == "userSpeaking"]) < 2
        ):
            await browser.next()
        await asyncio.sleep(1.0)
        await browser.say(type="end")
        ended = await browser.until("ended")
        assert ended["callId"] == joined["callId"] and ended["durationSec"] >= 3
        heard, _ = browser.rtc.heard_pcm()
        assert np.abs(heard).max() > 4000
        await browser.close()

    call, turns, parts = await in_thread(the_call, tenant)
    assert call.stage == "ended" and call.end_reason == "rep_ended" and call.due_at is not None
    assert [(t.role, t.text) for t in turns] == [
        ("assistant", "Hello?"),
        ("user", "Do you like your plan?"),
        ("assistant", "I do."),
    ]
    assert turns[2].latency["total"] > 0
    seconds = (call.ended_at - call.started_at).total_seconds()
    for channel in ("rep", "persona"):
        mine = [part for part in parts if part.channel == channel]
        assert sum(part.duration for part in mine) == pytest.approx(seconds, abs=0.5)
    with default_storage.open(parts[0].file.name) as file:
        pcm, samples = read_part(file.read())
    assert samples == len(pcm) > 48_000
    assert await in_thread(LiveSlot.objects.filter(call_id__isnull=False).count) == 0
    assert await in_thread(LiveWorker.objects.count) == 0


async def test_with_press_to_talk_only_what_is_said_while_pressed_is_heard(setting, tmp_path):
    tenant, key = setting
    async with live_worker(tmp_path, texts=["While pressed."]):
        browser = Browser(await in_thread(redeem, key))
        await browser.call()
        await browser.until("personaSpeaking")
        await asyncio.sleep(0.8)
        await browser.say(type="talk", pressed="yes")  # no truth value: ignored
        await browser.say(type="talk", pressed=False)
        await asyncio.sleep(0.3)
        tone = (9000 * np.sin(np.arange(24_000) * 0.06)).astype(np.int16)
        browser.rtc.microphone.say(encode_clip(tone))
        await asyncio.sleep(2.0)  # heard, it would be a turn by now
        await browser.say(type="talk", pressed=True)
        assert (await browser.until("userSpeaking"))["speaking"] is True
        await browser.say(type="talk", pressed=False)
        while browser.messages[-1] != {"type": "personaSpeaking", "speaking": True}:
            await browser.next()
        await asyncio.sleep(0.6)
        await browser.say(type="end")
        await browser.until("ended")
        await browser.close()
    _, turns, _ = await in_thread(the_call, tenant)
    assert [t.text for t in turns if t.role == "user"] == ["While pressed."]


async def test_a_paused_call_stands_still(setting, tmp_path):
    """Nothing is heard, said or recorded; then the sentence that was cut is said again."""
    tenant, key = setting
    async with live_worker(tmp_path, texts=["Back again."]):
        browser = Browser(await in_thread(redeem, key))
        await browser.call()
        await browser.until("personaSpeaking")
        await asyncio.sleep(0.8)
        await browser.say(type="pause", paused="yes")  # no truth value: ignored
        await browser.say(type="pause", paused=True)
        assert (await browser.until("paused"))["paused"] is True
        tone = (9000 * np.sin(np.arange(24_000) * 0.06)).astype(np.int16)
        browser.rtc.microphone.say(encode_clip(tone))
        before = len(browser.messages)
        await asyncio.sleep(3.0)  # longer than a line may be silent, or a turn takes to end
        await browser.say(type="pause", paused=False)
        assert (await browser.until("paused"))["paused"] is False
        since = [m for m in browser.messages[before:] if m["type"] != "paused"]
        assert since == []
        browser.rtc.microphone.say(encode_clip(tone))
        while [m["type"] for m in browser.messages].count("personaSpeaking") < 3:
            await browser.next()
        await asyncio.sleep(0.6)
        await browser.say(type="pause", paused=True)
        await browser.until("paused")
        await asyncio.sleep(1.0)
        await browser.say(type="end")
        ended = await browser.until("ended")
        await browser.close()
    call, turns, parts = await in_thread(the_call, tenant)
    assert [t.text for t in turns if t.role == "user"] == ["Back again."]
    assert sum(t.latency.get("paused", 0.0) for t in turns) >= 2_900
    answer = turns[-1]
    assert answer.role == "assistant" and answer.latency["total"] < 2_900
    seconds = (call.ended_at - call.started_at).total_seconds()
    assert ended["durationSec"] == round(seconds) >= 5
    for channel in ("rep", "persona"):
        mine = [part for part in parts if part.channel == channel]
        assert sum(part.duration for part in mine) <= seconds + 0.5
        assert max(part.offset + part.duration for part in mine) <= seconds + 0.5


async def test_a_second_connection_takes_the_call_over_and_tells_the_first(setting, tmp_path):
    tenant, key = setting
    async with live_worker(tmp_path) as worker:
        joined = await in_thread(redeem, key)
        first, second = Browser(joined), Browser(joined)
        await first.call()
        await first.say(type="pause", paused=True)
        await first.until("paused")
        await second.call()
        for who in ("userSpeaking", "personaSpeaking", "paused"):  # it knows how things stand
            await second.until(who)
        assert second.messages[-1]["paused"] is True
        await first.until("taken_over")
        assert await first.next() == {"type": "close", "code": 4409}
        call, _, _ = await in_thread(the_call, tenant)
        late = {"type": "pause", "call": str(call.pk), "tenant": str(tenant.pk)}
        late |= {"reply": "specific.gone!socket", "body": {"paused": False}}
        await get_channel_layer().send(f"live.{worker.id.hex}", late)
        await second.say(type="pause", paused=True)
        assert (await second.until("paused"))["paused"] is True, "told by a socket that is gone"
        await second.say(type="end")
        await second.until("ended")
        await first.rtc.close()
        await second.close()
    call, _, _ = await in_thread(the_call, tenant)
    assert call.stage == "ended"


async def test_an_offer_need_not_wait_for_the_ticket_to_be_taken(setting, tmp_path):
    _, key = setting
    async with live_worker(tmp_path):
        browser = Browser(await in_thread(redeem, key))
        await browser.socket.connect()
        await browser.say(type="join", ticket=browser.ticket, version=1)
        await browser.say(type="offer", sdp=await browser.rtc.offer())
        assert (await browser.next())["type"] == "joined"
        await browser.rtc.set_answer((await browser.until("answer"))["sdp"])
        await browser.until("ready")
        await browser.say(type="end")
        await browser.until("ended")
        await browser.close()


async def test_a_bad_ticket_is_refused_with_a_code(setting, tmp_path):
    browser = Browser({"connectionTicket": "junk"})
    assert (await browser.join())["code"] == "INVALID_TOKEN"
    assert await browser.next() == {"type": "close", "code": 4401}
    await browser.say(type="offer", sdp="right behind the ticket")
    assert await browser.socket.receive_nothing()
    await browser.rtc.close()


async def test_only_the_tenants_web_sites_join_where_it_named_some(setting, tmp_path):
    tenant, key = setting

    def restrict():
        with tenant_scope(tenant.pk):
            Tenant.objects.update(browser_origins=["https://reps.example.com"])

    async with live_worker(tmp_path):
        joined = await in_thread(redeem, key)
        await in_thread(restrict)
        refused, allowed = Browser(joined), Browser(joined, origin=b"https://reps.example.com")
        assert (await refused.join())["code"] == "INVALID_TOKEN"
        assert (await allowed.join())["type"] == "joined"
        for browser in (refused, allowed):
            await browser.rtc.close()
        await allowed.socket.disconnect()


async def test_a_call_without_a_worker_can_be_tried_again(setting, tmp_path):
    _, key = setting
    async with live_worker(tmp_path):
        joined = await in_thread(redeem, key)
        await in_thread(LiveSlot.objects.update, call_id=None, lease_until=None)
        await in_thread(LiveWorker.objects.update, draining=True)
        browser = Browser(joined)
        assert (await browser.join())["code"] == "SERVICE_UNAVAILABLE"
        assert await browser.next() == {"type": "close", "code": 4503}
        await browser.rtc.close()


@pytest.mark.parametrize("first", ['{"type": "offer"}', "junk", "[1]", '{"type": 7}'])
async def test_anything_but_a_join_first_closes_the_socket(setting, first):
    socket = WebsocketCommunicator(application, "/live/v1")
    assert (await socket.connect())[0]
    await socket.send_to(text_data=first)
    assert (await socket.receive_output(5))["code"] == 4400
    await socket.disconnect()


async def test_a_ticket_of_a_call_that_is_over_says_so(setting, tmp_path):
    _, key = setting
    async with live_worker(tmp_path):
        joined = await in_thread(redeem, key)
        browser = Browser(joined)
        await browser.call()
        await browser.say(type="end")
        await browser.until("ended")
        await browser.close()
        late = Browser(joined)
        assert (await late.join())["code"] == "CALL_NOT_FOUND"
        await late.rtc.close()


async def test_a_bad_offer_is_an_error_and_the_call_can_still_be_made(setting, tmp_path):
    _, key = setting
    async with live_worker(tmp_path):
        joined = await in_thread(redeem, key)
        browser = Browser(joined)
        await browser.join()
        await browser.say(type="offer", sdp="nonsense")
        assert (await browser.next())["code"] == "INVALID_REQUEST"
        again = Browser(joined)
        await again.call()
        await again.close()
        await browser.rtc.close()


def test_a_worker_that_lost_its_call_cannot_write(setting):
    tenant, key = setting
    with tenant_scope(tenant.pk):
        pass
    from calls.services import live

    worker = live.worker_register(host="one", slots=1)
    redeem(key)
    with tenant_scope(tenant.pk):
        call_id = Call.objects.get().pk
    mine = call_take(tenant_id=tenant.pk, call_id=call_id, worker_id=worker.pk)
    live.call_live(call=mine)
    theirs = call_take(tenant_id=tenant.pk, call_id=call_id, worker_id=worker.pk)
    values = {"role": "user", "text": "hi", "start_time": 0.0, "end_time": 1.0}
    with pytest.raises(CallNotOurs):
        turn_add(call=mine, number=0, values=values)
    turn_add(call=theirs, number=0, values=values)
    call_end(call=mine, reason="rep_ended", seconds=1)
    assert the_call(tenant)[0].stage == "live"


def test_a_stranger_cannot_take_the_call(setting):
    tenant, key = setting
    stranger, _ = tenant_with_drill("mallory")
    from calls.services import live

    worker = live.worker_register(host="one", slots=1)
    redeem(key)
    with tenant_scope(tenant.pk):
        call_id = Call.objects.get().pk
    with pytest.raises(CallNotOurs):
        call_take(tenant_id=stranger.pk, call_id=call_id, worker_id=worker.pk)
