"""Many short calls through one worker: nothing of a call stays behind.

Worker, database, channel layer, signalling and WebRTC are the real ones, engines are fakes. The
browsers live in this process too and have to be as clean. SOAK_CALLS says how many calls; from half
of them on nothing may grow.
"""

import asyncio
import ctypes
import gc
import logging
import os
import threading
from collections import Counter
from dataclasses import dataclass

import numpy as np
import psutil
import pytest

from calls.models import Call
from calls.services.tokens import (
    RedeemRequest,
    session_mint,
    session_redeem,
    session_token_read,
)
from calls.tests.test_live_call import (  # noqa: F401 - fixtures
    Browser,
    browsers_close,
    in_thread,
    live_worker,
    setting,
)
from tenants.auth import Caller
from tenants.isolation import tenant_scope
from tenants.models import ApiKey

pytestmark = pytest.mark.django_db(transaction=True)
CALLS = int(os.environ.get("SOAK_CALLS", "1000"))
LOOK_EVERY = max(CALLS // 10, 1)  # calls
SETTLED_AFTER = 16.0  # seconds: timers that a call cancelled wait in the loop until they are due
LONG_ENOUGH = 500  # calls, for memory to be told from the allocator's moods
MOST_GROWTH = 2.0  # KiB a call, over the second half; a call's own audio is about 100


@dataclass(frozen=True)
class Look:
    """What the process holds when no call is live."""

    calls: int
    memory: float  # KiB
    tasks: int
    threads: int
    files: int
    kinds: Counter


def look(calls):
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    process = psutil.Process()
    return Look(
        calls,
        process.memory_info().rss / 1024,
        len(asyncio.all_tasks()),
        threading.active_count(),
        process.num_fds(),
        Counter(type(thing).__name__ for thing in gc.get_objects()),
    )


def joined(tenant):
    """Mint and redeem, without Django's test client: it leaves four objects behind a request."""
    with tenant_scope(tenant.pk):
        key = ApiKey.objects.get()
    caller = Caller(tenant, key.pk, key.public_id, "live", frozenset(), (), (), None)
    minted = session_mint(caller=caller, external_user_id="rep_1", external_agency_id=None)
    tenant_id, claims = session_token_read(minted.token)
    wish = RedeemRequest("talk", Call.Difficulty.ADVANCED, {}, "")
    redeemed = session_redeem(tenant_id=tenant_id, claims=claims, wish=wish)
    return {"connectionTicket": redeemed.connection_ticket}


async def short_call(tenant):
    """Join, hear the persona begin, hang up."""
    browser = Browser(await in_thread(joined, tenant))
    await browser.call()
    await browser.until("personaSpeaking")
    await browser.say(type="end")
    await browser.until("ended")
    await browser.close()
    Browser.made.remove(browser)


async def soak(tenant, calls, looks_from):
    looks = []
    for number in range(1, calls + 1):
        await short_call(tenant)
        if number >= looks_from and number % LOOK_EVERY == 0:
            await asyncio.sleep(SETTLED_AFTER)
            looks.append(look(number))
    return looks


def grown(looks):
    """Kinds of things of which one stayed for each call."""
    calls = looks[-1].calls - looks[0].calls
    more = looks[-1].kinds - looks[0].kinds
    return {kind: count for kind, count in more.items() if count >= 0.9 * calls}


def slope(looks):
    """KiB a call."""
    return float(np.polyfit([x.calls for x in looks], [x.memory for x in looks], 1)[0])


@pytest.mark.prove
@pytest.mark.timeout(7200)
async def test_a_thousand_calls_leave_nothing_behind(setting, tmp_path, caplog):  # noqa: F811
    tenant, _ = setting
    caplog.set_level(logging.WARNING, logger="calls")  # pytest keeps every record
    async with live_worker(tmp_path) as worker:
        looks = await soak(tenant, CALLS, CALLS // 2)
        assert worker.calls == 0
    first, last = looks[0], looks[-1]
    print(f"{slope(looks):.2f} KiB a call from call {first.calls} to {last.calls}")
    print(*(f"{x.calls}: {x.memory:.0f} KiB, {x.tasks} {x.threads} {x.files}" for x in looks))
    assert grown(looks) == {}
    assert (last.tasks, last.threads) == (first.tasks, first.threads)
    assert last.files <= first.files
    if CALLS >= LONG_ENOUGH:
        assert slope(looks) < MOST_GROWTH
