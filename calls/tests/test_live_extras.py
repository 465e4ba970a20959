"""What the signalling socket gives to those who ask for it: captions, and a look before a call."""

from django.test import Client

from calls.models import SessionToken
from calls.tests.test_live_call import (  # noqa: F401 - two are fixtures
    API,
    Browser,
    browsers_close,
    in_thread,
    live_worker,
    pytestmark,
    redeem,
    setting,
)
from tenants.isolation import tenant_scope

SERVERS = [{"urls": "stun:stun.example.com"}]


def mint(key):
    return (
        Client()
        .post(
            f"{API}/session",
            {"externalUserId": "rep_1"},
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        .json()["token"]
    )


def spent(tenant):
    with tenant_scope(tenant.pk):
        return [row.consumed_at for row in SessionToken.objects.all()]


async def test_a_check_tells_the_servers_of_a_call_and_spends_nothing(setting, settings):  # noqa: F811
    settings.ICE_SERVERS = SERVERS
    tenant, key = setting
    browser = Browser({"connectionTicket": ""})
    await browser.socket.connect()
    await browser.say(type="check", token=await in_thread(mint, key), version=1)
    assert await browser.next() == {"type": "checked", "iceServers": SERVERS}
    assert await browser.next() == {"type": "close", "code": 1000}
    assert await in_thread(spent, tenant) == [None]


async def test_a_check_needs_a_token(setting):  # noqa: F811
    for token in ("", "nonsense", 7, None):
        browser = Browser({"connectionTicket": ""})
        await browser.socket.connect()
        await browser.say(type="check", token=token, version=1)
        assert (await browser.next())["code"] == "INVALID_TOKEN"
        assert await browser.next() == {"type": "close", "code": 4401}


async def test_captions_come_to_those_who_asked(setting, tmp_path):  # noqa: F811
    _, key = setting
    async with live_worker(tmp_path):
        browser = Browser(await in_thread(redeem, key))
        await browser.socket.connect()
        await browser.say(type="join", ticket=browser.ticket, version=1, captions=True)
        await browser.until("joined")
        await browser.say(type="offer", sdp=await browser.rtc.offer())
        await browser.rtc.set_answer((await browser.until("answer"))["sdp"])
        caption = await browser.until("caption")
        assert caption["text"].strip()
        await browser.say(type="end")
        await browser.until("ended")


async def test_captions_come_to_nobody_else(setting, tmp_path):  # noqa: F811
    _, key = setting
    async with live_worker(tmp_path):
        browser = Browser(await in_thread(redeem, key))
        await browser.call()
        await browser.until("personaSpeaking")
        await browser.say(type="end")
        await browser.until("ended")
        assert {message["type"] for message in browser.messages}.isdisjoint({"caption"})
