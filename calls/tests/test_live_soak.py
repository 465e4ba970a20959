"""Many short calls through one worker: nothing of a call stays behind.

Worker, database, channel layer, signalling and WebRTC are the real ones, engines are fakes. The
browsers live in this process too and have to be as clean. SOAK_CALLS says how many calls.
"""

import asyncio
import ctypes
import gc
import os
import threading
from collections import Counter
from dataclasses import dataclass

import numpy as np
import psutil
import pytest

from calls.tests.test_live_call import (  # noqa: F401 - fixtures
    Browser,
    browsers_close,
    in_thread,
    live_worker,
    redeem,
    setting,
)

pytestmark = pytest.mark.django_db(transaction=True)
CALLS = int(os.environ.get("SOAK_CALLS", "1000"))
LOOK_EVERY = 25  # calls
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


async def short_call(key):
    """Join, hear the persona begin, hang up."""
    browser = Browser(await in_thread(redeem, key))
    await browser.call()
    await browser.until("personaSpeaking")
    await browser.say(type="end")
    await browser.until("ended")
    await browser.close()
    Browser.made.remove(browser)


async def soak(key, calls, looks_from):
    looks = []
    for number in range(1, calls + 1):
        await short_call(key)
        if number >= looks_from and number % LOOK_EVERY == 0:
            await asyncio.sleep(1.0)  # what was closed last is gone by then
            looks.append(look(number))
    return looks


def grown(looks):
    """The kinds of things of which there are more at the end, for whoever must find a leak."""
    return (looks[-1].kinds - looks[0].kinds).most_common(12)


def slope(looks):
    """KiB a call."""
    return float(np.polyfit([x.calls for x in looks], [x.memory for x in looks], 1)[0])


@pytest.mark.prove
@pytest.mark.timeout(7200)
async def test_a_thousand_calls_leave_nothing_behind(setting, tmp_path):  # noqa: F811
    _, key = setting
    async with live_worker(tmp_path) as worker:
        looks = await soak(key, CALLS, CALLS // 2)
        assert worker.calls == 0
    first, last = looks[0], looks[-1]
    print(f"{slope(looks):.2f} KiB a call from call {first.calls} to {last.calls}")
    print(*(f"{x.calls}: {x.memory:.0f} KiB, {x.tasks} {x.threads} {x.files}" for x in looks))
    assert slope(looks) < MOST_GROWTH, grown(looks)
    assert (last.tasks, last.threads) == (first.tasks, first.threads)
    assert last.files <= first.files
