"""A call outlives its worker: two real workers on one database and channel layer, fake engines.

A frozen worker is one whose process was stopped: it holds its place until its lease is too old.
"""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
from django.db.models import F
from django.db.models.functions import Now

from calls.live.codec import encode_clip
from calls.live.events import Turn
from calls.live.persona import EXCUSE, GO_AHEAD
from calls.models import Call, LiveSlot, LiveWorker
from calls.selectors import minutes_used
from calls.services import live
from calls.services.slots import slot_ensure, slot_holder
from calls.tests.making import make_drill, make_integrator, make_worker
from calls.tests.making import redeem as redeem_token
from calls.tests.test_live_call import (
    Browser,
    browsers_close,
    in_thread,
    live_worker,
    redeem,
    setting,
    the_call,
)
from tenants.isolation import tenant_scope

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["browsers_close", "setting"]  # fixtures
TONE = (9000 * np.sin(np.arange(48_000) * 0.06)).astype(np.int16)


def freeze(worker):
    """Stopped: renews nothing, hears nothing, and knows when it wakes up that time has passed."""

    async def nothing():
        await asyncio.sleep(0)

    worker._renew = nothing
    worker._renewed = -1e9


def grow_old(worker_id):
    """As much time passes for the database as it takes to call the worker dead."""
    ago = Now() - timedelta(seconds=7)
    LiveWorker.objects.filter(pk=worker_id).update(heartbeat_at=ago)
    LiveSlot.objects.filter(worker_id=worker_id).update(lease_until=ago)


async def until_said(tenant, text):
    async with asyncio.timeout(30):
        while True:
            _, turns, _ = await in_thread(the_call, tenant)
            if text in [turn.text for turn in turns]:
                return
            await asyncio.sleep(0.1)


async def test_another_worker_goes_on_where_a_stopped_one_left_off(setting, tmp_path):
    tenant, key = setting
    async with live_worker(tmp_path) as first:
        joined = await in_thread(redeem, key)
        one, two = Browser(joined), Browser(joined)
        await one.call()
        await until_said(tenant, "Hello?")
        one.rtc.microphone.say(encode_clip(TONE))
        await until_said(tenant, "I do.")
        [stale] = first._sessions.values()
        freeze(first)
        async with live_worker(tmp_path) as second:
            calling = asyncio.create_task(two.call())
            await asyncio.sleep(0.3)  # its offer went to the first, who will not answer
            await in_thread(grow_old, first.id)
            await calling
            assert len(second._sessions) == 1
            await until_said(tenant, f"{EXCUSE} {GO_AHEAD}")
            before = await in_thread(the_call, tenant)
            first._renewed = asyncio.get_running_loop().time()  # it believes that it holds the call
            stale._store(Turn("user", "I was never said.", 90.0, 91.0))
            await asyncio.wait_for(stale.ended, 10)
            await two.say(type="end")
            await two.until("ended")
    call, turns, parts = await in_thread(the_call, tenant)
    assert stale.ended.result() == "fenced"
    assert [t.text for t in turns] == [t.text for t in before[1]]
    assert [t.number for t in turns] == list(range(len(turns)))
    assert [t.epoch for t in turns] == [1, 1, 1, 2]
    assert [t.start_time for t in turns] == sorted(t.start_time for t in turns)
    assert (call.stage, call.end_reason, call.standing) == ("ended", "rep_ended", None)
    assert {part.epoch for part in parts} == {2}  # the first was frozen within its first part
    began_again = min(part.offset for part in parts)
    assert began_again > max(t.end_time for t in turns if t.epoch == 1)
    seconds = (call.ended_at - call.started_at).total_seconds()
    assert seconds >= max(part.offset + part.duration for part in parts) - 0.5


@pytest.mark.prove
async def test_a_worker_that_leaves_hands_its_calls_over(setting, tmp_path):
    """The reply that it cut short is given again, to the very turn of the rep."""
    tenant, key = setting
    long = "I would say it is quite a good plan, yes."
    async with live_worker(tmp_path, replies=([long],)) as first:
        joined = await in_thread(redeem, key)
        one, two = Browser(joined), Browser(joined)
        await one.call()
        await until_said(tenant, "Hello?")
        one.rtc.microphone.say(encode_clip(TONE))
        await until_said(tenant, "Do you like your plan?")
        await one.until("personaSpeaking")
        async with live_worker(tmp_path, replies=([long],)) as second:
            await asyncio.sleep(0.8)
            await first.drain(0)
            assert (await one.until("close"))["code"] == 4503
            await two.call()
            await until_said(tenant, f"{EXCUSE} {long}")
            await two.say(type="end")
            await two.until("ended")
            assert second.calls == 0
    _, turns, _ = await in_thread(the_call, tenant)
    asked, cut, again = turns[1:]
    assert (asked.role, cut.interrupted, again.epoch) == ("user", True, 2)
    assert long.startswith(cut.text)


async def test_a_line_that_broke_makes_the_persona_say_it_again_on_the_next(setting, tmp_path):
    tenant, key = setting
    long = "I would say it is quite a good plan, yes."
    async with live_worker(tmp_path, replies=([long],)):
        joined = await in_thread(redeem, key)
        one, two = Browser(joined), Browser(joined)
        await one.call()
        await until_said(tenant, "Hello?")
        one.rtc.microphone.say(encode_clip(TONE))
        await until_said(tenant, "Do you like your plan?")
        await one.until("personaSpeaking")
        await asyncio.sleep(0.6)
        await one.rtc.close()  # nothing comes any more, and nobody says so
        await asyncio.sleep(2)
        await two.call()
        back_at = asyncio.get_running_loop().time()
        await one.until("taken_over")
        await until_said(tenant, long)
        assert asyncio.get_running_loop().time() - back_at > 0.055 * len(long)  # from its start
        await two.say(type="end")
        await two.until("ended")
    call, turns, parts = await in_thread(the_call, tenant)
    assert [t.text for t in turns] == ["Hello?", "Do you like your plan?", long]
    assert not turns[2].interrupted and {t.epoch for t in turns} == {1}
    seconds = (call.ended_at - call.started_at).total_seconds()
    rep = [part for part in parts if part.channel == "rep"]
    assert rep[-1].offset + rep[-1].duration == pytest.approx(seconds, abs=0.5)
    assert sum(part.duration for part in rep) <= seconds + 0.1


async def test_draining_waits_for_a_browser_on_its_way_and_for_its_call(setting, tmp_path):
    tenant, key = setting
    async with live_worker(tmp_path) as worker:
        joined = await in_thread(redeem, key)
        draining = asyncio.create_task(worker.drain(60))
        await until_draining()
        browser = Browser(joined)
        await browser.call()
        assert not draining.done()
        await browser.say(type="end")
        await browser.until("ended")
        await asyncio.wait_for(draining, 10)
    assert (await in_thread(the_call, tenant))[0].end_reason == "rep_ended"


async def until_draining():
    async with asyncio.timeout(10):
        while not await in_thread(lambda: LiveWorker.objects.get().draining):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


# --- processes -----------------------------------------------------------------------------------


@contextmanager
def live_processes(folder, settings, count=2):
    """Workers as processes of their own, on our database and channel layer."""
    environment = os.environ | {
        "CHANNEL_PREFIX": settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"],
        "RECORDINGS_DIR": settings.MEDIA_ROOT,
        "ATHOS_EMBEDDED": "1",
    }
    command = [sys.executable, "-m", "calls.tests.live_process", str(folder)]
    started = [subprocess.Popen(command, env=environment) for _ in range(count)]
    try:
        yield {f"process {process.pid}": process for process in started}
    finally:
        for process in started:
            process.kill()
            process.wait(10)


async def until_true(look, seconds=60):
    async with asyncio.timeout(seconds):
        while not (found := await in_thread(look)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


def carrier(tenant):
    with tenant_scope(tenant.pk):
        call = Call.objects.get()
    held = LiveSlot.objects.filter(call_id=call.pk).values_list("worker__host", flat=True).first()
    return held, call.epoch


def parts_of(tenant):
    return the_call(tenant)[2]


@pytest.mark.prove
@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_another_process_goes_on_within_ten_seconds(setting, settings, tmp_path, number):
    """A stopped one that wakes up, its call long another's, writes and says nothing."""
    tenant, key = setting
    with live_processes(tmp_path, settings) as processes:
        await until_true(lambda: LiveWorker.objects.count() == 2)
        joined = await in_thread(redeem, key)
        one, two = Browser(joined), Browser(joined)
        await one.call()
        await until_said(tenant, "Hello?")
        one.rtc.microphone.say(encode_clip(TONE))
        await until_said(tenant, "I do.")
        await until_true(lambda: parts_of(tenant))
        host, epoch = await in_thread(carrier, tenant)
        processes[host].send_signal(number)
        died_at = asyncio.get_running_loop().time()
        await asyncio.sleep(1.5)  # when the SDK gives the line up
        await two.call()
        back_after = asyncio.get_running_loop().time() - died_at
        await until_said(tenant, f"{EXCUSE} {GO_AHEAD}")
        other, next_epoch = await in_thread(carrier, tenant)
        assert other != host and next_epoch == epoch + 1
        written = await in_thread(the_call, tenant)
        if number == signal.SIGSTOP:
            asleep = await in_thread(LiveWorker.objects.get, host=host)
            processes[host].send_signal(signal.SIGCONT)
            ago = asleep.heartbeat_at
            await until_true(lambda: LiveWorker.objects.get(host=host).heartbeat_at > ago)
            await asyncio.sleep(3)  # a beat and a part longer
        await two.say(type="end")
        await two.until("ended")
        print(f"sound again {back_after:.1f} s after the end, load {os.getloadavg()[0]:.1f}")
    call, turns, parts = await in_thread(the_call, tenant)
    assert [t.text for t in turns] == [t.text for t in written[1]]
    assert [t.epoch for t in turns] == [epoch] * 3 + [next_epoch]
    old = [part.pk for part in parts if part.epoch == epoch]
    assert old == [part.pk for part in written[2] if part.epoch == epoch]
    files = {path.name for path in (tmp_path / "recordings").rglob("*.ogg")}
    assert files == {part.file.name.rpartition("/")[2] for part in parts}
    assert (call.stage, call.end_reason) == ("ended", "rep_ended")


# --- placement -----------------------------------------------------------------------------------


@pytest.fixture
def placed():
    """A live call on one of two workers."""
    make_drill()
    workers = [make_worker(slots=1), make_worker(slots=1)]
    integrator = make_integrator()
    assert redeem_token(integrator.token()).status_code == 200
    with tenant_scope(integrator.tenant.pk):
        call = Call.objects.get()
    holder = slot_holder(call.pk)
    owned = live.call_take(tenant_id=call.tenant_id, call_id=call.pk, worker_id=holder)
    live.call_live(call=owned)
    return owned, holder, next(worker.pk for worker in workers if worker.pk != holder)


def ensure(owned):
    return slot_ensure(tenant_id=owned.tenant_id, call_id=owned.id)


def test_a_call_stays_with_its_worker_while_that_lives(placed):
    owned, holder, _ = placed
    assert ensure(owned) == holder
    LiveSlot.objects.filter(call_id=owned.id).update(lease_until=Now() + timedelta(seconds=1))
    assert ensure(owned) == holder


def test_a_call_moves_when_its_worker_is_dead_or_gone(placed):
    owned, holder, other = placed
    grow_old(holder)
    assert ensure(owned) == other
    assert ensure(owned) == other
    assert live.worker_beat(worker_id=holder, calls=[owned.id]) == set()


def test_a_call_without_room_elsewhere_stays_its_workers_who_may_come_back(placed):
    owned, holder, other = placed
    live.worker_drain(worker_id=other)
    LiveWorker.objects.filter(pk=holder).update(heartbeat_at=Now() - timedelta(seconds=7))
    assert ensure(owned) is None
    assert live.worker_beat(worker_id=holder, calls=[owned.id]) == {owned.id}
    assert ensure(owned) == holder


def test_the_next_owner_knows_how_far_the_call_is_and_the_former_writes_nothing(placed):
    owned, holder, other = placed
    said = {"role": "user", "text": "Hi", "start_time": 1.0, "end_time": 2.0}
    live.turn_add(call=owned, number=0, values=said, standing={"brain": {}, "heard": None})
    with tenant_scope(owned.tenant_id):
        Call.objects.update(started_at=F("started_at") - timedelta(minutes=10))
    grow_old(holder)
    ensure(owned)
    taken = live.call_take(tenant_id=owned.tenant_id, call_id=owned.id, worker_id=other)
    assert (taken.epoch, taken.turns) == (owned.epoch + 1, 1)
    assert taken.standing == {"brain": {}, "heard": None}
    assert taken.elapsed == pytest.approx(600, abs=60)
    with pytest.raises(live.CallNotOurs):
        live.turn_add(call=owned, number=1, values=said)
    with pytest.raises(live.CallNotOurs):
        live.recording_part_add(
            call=owned, channel="rep", number=9, offset=0.0, duration=1.0, data=b"x"
        )
    with pytest.raises(live.CallNotOurs):
        live.call_take(tenant_id=owned.tenant_id, call_id=owned.id, worker_id=holder)
    live.call_end(call=owned, reason="rep_ended", seconds=1.0)
    with tenant_scope(owned.tenant_id):
        call = Call.objects.select_related("tenant").get()
        assert (call.stage, call.turns.count()) == ("live", 1)
        assert minutes_used(tenant=call.tenant) == pytest.approx(10, abs=1)  # runs on, once
    assert slot_holder(owned.id) == other


def test_a_call_that_is_over_is_placed_nowhere_and_taken_by_nobody(placed):
    owned, holder, _ = placed
    live.call_end(call=owned, reason="rep_ended", seconds=1.0)
    assert ensure(owned) is None
    with pytest.raises(live.CallOver):
        live.call_take(tenant_id=owned.tenant_id, call_id=owned.id, worker_id=holder)


def test_a_worker_that_is_late_takes_fewer_calls_and_the_token_stays_good():
    make_drill()
    worker = make_worker(slots=2)
    integrator = make_integrator()
    assert redeem_token(integrator.token()).status_code == 200
    live.worker_beat(worker_id=worker.pk, calls=[], slots=1)
    token = integrator.token()
    refused = redeem_token(token)
    assert (refused.status_code, refused["Retry-After"]) == (503, "10")
    assert refused.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    live.worker_beat(worker_id=worker.pk, calls=[], slots=2)
    assert redeem_token(token).status_code == 200
