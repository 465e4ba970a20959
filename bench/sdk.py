"""The SDK in real browsers against a running `make run`, microphone granted, loopback.

    python -m bench.sdk --var var                  # Chromium and Firefox, then the bundles' sizes
    python -m bench.sdk --var var --browsers firefox --calls 5 --outages 8 --no-sizes

Measured in the page: `connect()` to `ready`, and to the first sound of the persona: in Chromium
10 ms of it above the threshold of `tests/microphone.js`, in Firefox by statistics that are read
every 100 ms. Then outages of the network (`tests/cable.py`), from its return to `reconnected`,
which is when sound flows again. Then the time of a core that all processes of the browser take in a
call in which nobody speaks, beside the same page before the call. The sizes are of
`bench/sdk_sizes.mjs`, beside packages that are installed from npm into a folder of their own.
"""

import argparse
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.clips import spoken
from tests.conftest import ROOT, Product
from tests.integrator_page import Site, integrator_site
from tests.tabs import TABS, Tab, until

GOAL_READY_MS, GOAL_SOUND_MS, GOAL_BACK_MS = 400, 1200, 2000
IDLE_SECONDS = 20.0
OTHERS = ("livekit-client", "retell-client-js-sdk", "@vapi-ai/web")
BACK = "heard.find(([name, , at]) => name === 'reconnected' && at)?.[2]"


def start(tab: Tab, address: str) -> None:
    """The page's own button, until the call is live."""
    tab.open(address)
    until(tab, "window.ready")
    tab.click("#startButton")
    until(tab, "heard.some(([name]) => name === 'ready')")


def timed_call(tab: Tab, site: Site) -> tuple[float, float]:
    """Milliseconds from `connect()` to `ready` and to the first sound."""
    tab.open(site.address)
    until(tab, "window.ready")
    tab.run(
        """
        const create = AthosRoleplay.create;
        AthosRoleplay.create = (options) => {
            const made = create(options), connect = made.connect.bind(made);
            made.connect = async () => {
                const { now } = window.__voice.state(), began = performance.now();
                await connect();
                window.took = { ready: performance.now() - began, now };
            };
            return made;
        };
        """
    )
    tab.click("#startButton")
    ready = until(tab, "window.took")
    until(tab, "window.__voice.state().utterances > 0")
    first = tab.run("return window.__voice.state().firstSound;")
    tab.run("await session.disconnect();")
    return ready["ready"], 1000 * (first - ready["now"])


def back_after(tab: Tab, site: Site, seconds: float) -> float:
    """Milliseconds from the network's return until the SDK says that sound flows."""
    start(tab, f"{site.address}/cable")
    tab.run("session.on('reconnected', () => heard.push(['reconnected', null, Date.now()]));")
    time.sleep(3)
    tab.run("heard.length = 0;")
    with site.cable.pulled():
        time.sleep(seconds)
    returned = 1000 * time.time()
    back = until(tab, BACK)
    tab.run("await session.disconnect();")
    return float(back) - returned


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
    time.sleep(3)
    before = share_of_a_core()
    tab.click("#startButton")
    until(tab, "heard.some(([name]) => name === 'ready')")
    tab.run("await session.mute();")
    time.sleep(5)  # the persona's first line
    during = share_of_a_core()
    tab.run("await session.disconnect();")
    return before, during


def told(browser: str, what: str, values: Sequence[float], goal: float) -> None:
    middle, most = statistics.median(values), max(values)
    print(
        f"{browser}: {what}: p50 {middle:.0f} ms (goal {goal}), longest {most:.0f}, n {len(values)}"
    )


def measure(browser: str, site: Site, calls: int, outages: Sequence[float], times: int) -> None:
    with TABS[browser]() as tab:
        took = [timed_call(tab, site) for _ in range(calls)]
        ready, sound = zip(*took, strict=True)
        told(browser, "connect() to ready", ready, GOAL_READY_MS)
        told(browser, "connect() to the first sound", sound, GOAL_SOUND_MS)
        for seconds in outages:
            back = [back_after(tab, site, seconds) for _ in range(times)]
            told(browser, f"audible after {seconds:g} s without network", back, GOAL_BACK_MS)
        before, during = idle(tab, site)
    print(f"{browser}: idle page {before:.1f} %, idle call {during:.1f} % of a core")


def sizes(folder: Path) -> None:
    """The others are no part of ours: they get a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    install = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent"]
    subprocess.run([*install, *OTHERS], check=True, timeout=300)
    subprocess.run(["node", "bench/sdk_sizes.mjs", str(folder)], check=True, cwd=ROOT, timeout=300)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--var", type=Path, default=Path("var"))
    parser.add_argument("--browsers", nargs="+", choices=sorted(TABS), default=sorted(TABS))
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--outages", nargs="*", type=float, default=[8.0, 20.0], help="seconds")
    parser.add_argument("--times", type=int, default=3, help="each outage")
    parser.add_argument("--no-sizes", action="store_true")
    asked = parser.parse_args()
    product = Product(process=None, var=asked.var, port=0, ready_seconds=0)  # type: ignore[arg-type]
    with integrator_site(product, spoken("Hello?", product.speech_socket)) as site:
        for browser in asked.browsers:
            measure(browser, site, asked.calls, asked.outages, asked.times)
    if not asked.no_sizes:
        sizes(asked.var / "bench" / "sdk-others")


if __name__ == "__main__":
    main()
