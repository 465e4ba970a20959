"""The SDK in a real browser against a running `make run`, microphone granted, loopback.

    python -m bench.sdk --var var --browser chromium     # or firefox; 20 calls, then one idle

Measured in the page: `connect()` to `ready`, and to the first sound of the persona (10 ms of it
above the threshold of `tests/microphone.js`, at the track). Then the time of a core that all
processes of the browser take in a call in which nobody speaks, beside the same page before the
call. Bundle sizes: `bench/sdk_sizes.mjs`.
"""

import argparse
import statistics
import time
from pathlib import Path

import psutil

from tests.clips import spoken
from tests.conftest import Product
from tests.integrator_page import Site, integrator_site
from tests.tabs import TABS, Tab, until

GOAL_READY_MS, GOAL_SOUND_MS = 400, 1200
IDLE_SECONDS = 20.0


def timed_call(tab: Tab, site: Site) -> tuple[float, float]:
    """Milliseconds from `connect()` to `ready` and to the first sound."""
    tab.open(site.address)
    until(tab, "window.ready")
    tab.run(
        """
        startButton.onclick = async () => {
            const { now } = window.__voice.state(), began = performance.now();
            await session.connect();
            window.took = { ready: performance.now() - began, now };
        };
        """
    )
    tab.click("#startButton")
    ready = until(tab, "window.took")
    until(tab, "window.__voice.state().utterances > 0")
    first = tab.run("return window.__voice.state().firstSound;")
    tab.run("await session.disconnect();")
    return ready["ready"], 1000 * (first - ready["now"])


def cpu_seconds() -> float:
    """Of every process below us: the browser's, and its driver's."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            spent = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += spent.user + spent.system
    return total


def share_of_a_core() -> float:
    before, began = cpu_seconds(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return 100 * (cpu_seconds() - before) / (time.monotonic() - began)


def idle(tab: Tab, site: Site) -> tuple[float, float]:
    """Percent of a core: the page before a call, and in one in which nobody speaks."""
    tab.open(f"{site.address}/plain")
    until(tab, "window.ready")
    before = share_of_a_core()
    tab.click("#startButton")
    until(tab, "heard.some(([name]) => name === 'ready')")
    tab.run("await session.mute();")
    time.sleep(5)  # the persona's first line
    during = share_of_a_core()
    tab.run("await session.disconnect();")
    return before, during


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--var", type=Path, default=Path("var"))
    parser.add_argument("--browser", choices=sorted(TABS), default="chromium")
    parser.add_argument("--calls", type=int, default=20)
    asked = parser.parse_args()
    product = Product(process=None, var=asked.var, port=0, ready_seconds=0)  # type: ignore[arg-type]
    clip = spoken("Hello?", product.speech_socket)
    with integrator_site(product, clip) as site, TABS[asked.browser]() as tab:
        took = [timed_call(tab, site) for _ in range(asked.calls)]
        before, during = idle(tab, site)
    ready, sound = (sorted(values) for values in zip(*took, strict=True))
    for name, values, goal in (("ready", ready, GOAL_READY_MS), ("sound", sound, GOAL_SOUND_MS)):
        print(
            f"connect() to {name}: p50 {statistics.median(values):.0f} ms (goal {goal}),"
            f" longest {values[-1]:.0f} ms, {len(values)} calls"
        )
    print(f"{asked.browser}: idle page {before:.1f} %, idle call {during:.1f} % of a core")


if __name__ == "__main__":
    main()
