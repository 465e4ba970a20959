"""One tab of a real browser, Chromium or Firefox, for the tests of the SDK.

Playwright drives Debian's Chromium; it cannot drive Debian's Firefox, which Mozilla's own
Marionette does. Both run code in the page's own world, and click as a person does.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil
from marionette_driver.by import By
from marionette_driver.marionette import Marionette
from playwright.sync_api import Page, sync_playwright

from tests.browser_call import CHROMIUM, FLAGS

FIREFOX = "/usr/bin/firefox-esr"
SCRIPT_SECONDS = 60
SEEN = "window.heard ?? document.body.innerText"
PREFERENCES = {
    "media.navigator.streams.fake": True,  # a tone for a microphone, where the page brings none
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}


class Tab(Protocol):
    def open(self, address: str) -> None: ...

    def click(self, selector: str) -> None: ...

    def run(self, code: str, *arguments: Any) -> Any:
        """The body of an async function of the page, with `arguments_`; returns what it returns."""

    def enter_frame(self) -> None:
        """From here on `click` and `run` mean the page inside the first iframe, until `open`."""

    def another(self) -> "Tab":
        """Beside this one, in front of it."""

    def permit_microphone(self, origin: str, *, allowed: bool) -> None:
        """As its user does in the browser's own settings."""


def until(tab: Tab, expression: str, *, seconds: float = 60) -> Any:
    """The expression's value once it is true of the page."""
    end = time.monotonic() + seconds
    while not (value := tab.run(f"return {expression};")):
        seen = "" if time.monotonic() < end else tab.run(f"return {SEEN};")
        assert time.monotonic() < end, f"never true: {expression}; {seen}"
        time.sleep(0.05)
    return value


class ChromiumTab:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.frame = page.main_frame
        page.set_default_timeout(60_000)

    def open(self, address: str) -> None:
        self.page.goto(address)
        self.frame = self.page.main_frame

    def click(self, selector: str) -> None:
        self.frame.click(selector)

    def run(self, code: str, *arguments: Any) -> Any:
        return self.frame.evaluate(f"async arguments_ => {{ {code} }}", list(arguments))

    def enter_frame(self) -> None:
        inner = self.page.wait_for_selector("iframe").content_frame()
        assert inner is not None
        inner.wait_for_load_state()
        self.frame = inner

    def another(self) -> "ChromiumTab":
        return ChromiumTab(self.page.context.new_page())

    def permit_microphone(self, origin: str, *, allowed: bool) -> None:
        setting = "granted" if allowed else "denied"
        wish = {"permission": {"name": "microphone"}, "setting": setting, "origin": origin}
        self.cdp("Browser.setPermission", wish)

    def cdp(self, method: str, parameters: dict[str, Any]) -> None:
        """A command of Chromium's own protocol."""
        session = self.page.context.new_cdp_session(self.page)
        try:
            session.send(method, parameters)
        finally:
            session.detach()


class FirefoxTab:
    def __init__(self, marionette: Marionette) -> None:
        self.marionette = marionette
        self._window = marionette.current_window_handle
        self._framed = False

    def open(self, address: str) -> None:
        self._framed = False
        self._front().navigate(address)

    def click(self, selector: str) -> None:
        self._front().find_element(By.CSS_SELECTOR, selector).click()

    def run(self, code: str, *arguments: Any) -> Any:
        # JSON both ways: what comes of the page's world is wrapped otherwise.
        script = f"""
            const done = arguments[1], arguments_ = JSON.parse(arguments[0]);
            (async () => {{ {code} }})().then(
                (value) => done(JSON.stringify({{ value }})),
                (cause) => done(JSON.stringify({{ failed: String(cause) }})));
        """
        answer = json.loads(
            self._front().execute_async_script(
                script, script_args=[json.dumps(arguments)], sandbox=None
            )
        )
        assert "failed" not in answer, answer["failed"]
        return answer.get("value")

    def enter_frame(self) -> None:
        self._framed = True

    def another(self) -> "FirefoxTab":
        opened = self.marionette.open(type="tab", focus=True)
        self.marionette.switch_to_window(opened["handle"])
        return FirefoxTab(self.marionette)

    def permit_microphone(self, origin: str, *, allowed: bool) -> None:
        """Taking it away ends what is being recorded, by the message that the address bar sends."""
        self._front()
        with self.marionette.using_context("chrome"):
            self.marionette.execute_script(
                """
                const [origin, allowed] = arguments, security = Services.scriptSecurityManager;
                const principal = security.createContentPrincipalFromOrigin(origin);
                const action = allowed ? Services.perms.ALLOW_ACTION : Services.perms.DENY_ACTION;
                Services.perms.addFromPrincipal(principal, "microphone", action);
                if (allowed) return;
                const inside = gBrowser.selectedBrowser.browsingContext.currentWindowGlobal;
                const id = String(inside.innerWindowId);
                inside.getActor("WebRTC").sendAsyncMessage("webrtc:StopSharing", id);
                """,
                script_args=[origin, allowed],
            )

    def _front(self) -> Marionette:
        """The driver, looking at this tab."""
        if self.marionette.current_window_handle != self._window:
            self.marionette.switch_to_window(self._window)
        self.marionette.switch_to_frame()
        if self._framed:
            self.marionette.switch_to_frame(self.marionette.find_element(By.CSS_SELECTOR, "iframe"))
        return self.marionette


@contextmanager
def asleep(tab: Tab) -> Iterator[None]:
    """The lid is shut: nothing of the browser runs."""
    name = "firefox" if isinstance(tab, FirefoxTab) else "chrom"
    children = psutil.Process().children(recursive=True)
    stopped = [process for process in children if process.name().startswith(name)]
    assert stopped
    try:
        for process in stopped:
            process.suspend()
        yield
    finally:
        for process in stopped:
            process.resume()


@contextmanager
def chromium_tab() -> Iterator[ChromiumTab]:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=FLAGS
        )
        try:
            yield ChromiumTab(context.pages[0])
        finally:
            context.close()


@contextmanager
def firefox_tab() -> Iterator[FirefoxTab]:
    with tempfile.TemporaryDirectory() as folder:
        marionette = Marionette(
            bin=FIREFOX,
            app_args=["-remote-allow-system-access"],  # to grant permissions, as its user would
            headless=True,
            prefs=PREFERENCES,
            gecko_log=str(Path(folder) / "gecko.log"),
            startup_timeout=180,
            workspace=folder,
            port=0,
        )
        try:
            marionette.start_session()
            marionette.timeout.script = SCRIPT_SECONDS
            marionette.set_window_rect(width=1280, height=2_400)  # it does not scroll around frames
            yield FirefoxTab(marionette)
        finally:
            marionette.quit(in_app=False)
            marionette.cleanup()


TABS = {"chromium": chromium_tab, "firefox": firefox_tab}
