"""A rep in a real Chromium: opens the example page, speaks, listens, keeps both sounds.

Used by the journeys and by the benches. Nothing is asked of the server: what it is judged by came
back as audio, or through the public API.
"""

import base64
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Frame, Page, sync_playwright

RATE = 48_000
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
    *("--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection"),
]


@dataclass
class Said:
    """One turn of the rep, seconds on the clock of the recording."""

    text: str
    start: float
    end: float  # of the clip, trailing silence included


@dataclass
class Recording:
    """Both sides as heard in the browser, 48 kHz int16, on one clock."""

    rep: NDArray[np.int16]
    persona: NDArray[np.int16]
    start: float  # of both, on the clock of `said`
    said: list[Said] = field(default_factory=list)


class BrowserCall:
    """One page of the example integrator. `frame` is where the call is made."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frame: Frame = page.main_frame
        self.said: list[Said] = []
        self.console: list[str] = []
        page.on("console", lambda m: self.console.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda e: self.console.append(f"error: {e}"))

    def start(self, *, difficulty: str = "Advanced") -> float:
        """Start the call; returns seconds from the click to the SDK's `ready`."""
        self.page.select_option("#difficulty", difficulty)
        began = time.monotonic()
        self.page.click("#start")
        self.page.wait_for_selector('#log li[data-event="ready"]', timeout=20_000)
        return time.monotonic() - began

    def voice_state(self) -> dict[str, float]:
        return self.frame.evaluate("window.__voice.state()")

    def wait_for_persona(self, *, utterances: int, quiet: float = 0.8, timeout: float = 25) -> bool:
        """Until the persona has spoken more than `utterances` times and fallen silent."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            state = self.voice_state()
            if state["utterances"] > utterances and state["now"] - state["lastSound"] > quiet:
                return True
            time.sleep(0.05)
        return False

    def say(self, text: str, wav: bytes) -> int:
        """Speak a clip; returns how many utterances of the persona came before its end."""
        span = self.frame.evaluate("wav => window.__voice.say(wav)", base64.b64encode(wav).decode())
        self.said.append(Said(text, span["start"], span["end"]))
        return int(self.voice_state()["utterances"])

    def turn(self, text: str, wav: bytes) -> bool:
        """Say a line and hear the answer out. False when none came."""
        before = int(self.voice_state()["utterances"])
        after = self.say(text, wav)
        # On a busy machine a voice made in the turn may pause between two clauses.
        return self.wait_for_persona(utterances=min(before, after), quiet=1.5)

    def end(self) -> None:
        self.page.click("#end")
        self.page.wait_for_selector('#log li[data-event="ended"]', timeout=20_000)

    def recording(self) -> Recording:
        taken = self.frame.evaluate("window.__voice.take()")
        rep, persona = (
            np.frombuffer(base64.b64decode(taken[name]), np.int16) for name in ("mic", "ear")
        )
        return Recording(rep, persona, taken["start"], list(self.said))

    def events(self) -> list[str]:
        return self.page.eval_on_selector_all(
            "#log li", "items => items.map(item => item.dataset.event)"
        )

    def call_id(self) -> str:
        return self.page.inner_text("#call-id")


class EmbeddedCall(BrowserCall):
    """Athos' own page in an iframe of the example integrator."""

    def start(self, *, difficulty: str = "Advanced") -> float:
        """Start the call; returns seconds from the click to the state `live`."""
        began = time.monotonic()
        self.frame.click("#start")
        self.until("live", seconds=20)
        return time.monotonic() - began

    def end(self) -> None:
        self.frame.click("#end")
        self.until("scoring", seconds=20)

    def until(self, state: str, *, seconds: float) -> None:
        self.frame.wait_for_selector(f'[data-state="{state}"]:visible', timeout=1000 * seconds)


@contextmanager
def embedded_call(example_url: str) -> Iterator[EmbeddedCall]:
    """The example's page with the iframe, in a Chromium of our own."""
    with chromium(1280) as page:
        call = EmbeddedCall(page)
        page.goto(f"{example_url}/embedded")
        frame = page.wait_for_selector("iframe").content_frame()
        assert frame is not None
        call.frame = frame
        call.until("ready", seconds=20)
        yield call


@contextmanager
def browser_call(example_url: str, *, width: int = 1280) -> Iterator[BrowserCall]:
    """The example's page with the SDK, in a Chromium of our own."""
    with chromium(width) as page:
        call = BrowserCall(page)
        page.goto(example_url)
        page.wait_for_selector("#start:not([disabled])")
        yield call


@contextmanager
def chromium(width: int) -> Iterator[Page]:
    """An empty profile, whose microphone speaks what the test says."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            args=FLAGS,
            bypass_csp=True,  # the test's recorder is a worklet of its own
            viewport={"width": width, "height": 900},
        )
        context.add_init_script(path=Path(__file__).with_name("microphone.js"))
        try:
            yield context.pages[0]
        finally:
            context.close()
