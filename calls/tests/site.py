"""The web process as it is deployed (Daphne), on the test's database, and a browser for it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
START_WITHIN = 60.0  # seconds


@contextmanager
def serve(var: Path, *framing_ports: int) -> Iterator[str]:
    """The product's web process; the origin that it answers at."""
    call_command("collectstatic", interactive=False, verbosity=0)
    own_port = free_port()
    origin = f"http://localhost:{own_port}"
    settings = {
        "PUBLIC_URL": origin,
        "ATHOS_EMBEDDED": "1",
        "EMBED_ORIGINS": ",".join(f"http://localhost:{port}" for port in framing_ports),
    }
    log = (var / "web.log").open("w")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "web", "--port", str(own_port)],
        cwd=ROOT,
        env=os.environ | settings,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_for(f"{origin}/healthz", process, var / "web.log")
        yield origin
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        log.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_WITHIN
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    pytest.fail(f"The web process did not start:\n{log.read_text()[-3000:]}")


@dataclass
class Visitor:
    """A person at a browser. What the console says is kept: nothing of it is wanted."""

    page: Page
    context: BrowserContext
    console: list[str] = field(default_factory=list)

    def look(self, name: str) -> None:
        """A picture for people, where SCREENSHOTS names a folder."""
        if folder := os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@contextmanager
def visitor(
    browser: Browser, *, width: int = 1280, dark: bool = False, **options: object
) -> Iterator[Visitor]:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        **options,
    )
    context.set_default_timeout(15_000)
    found = Visitor(context.new_page(), context)
    found.page.on(
        "console",
        lambda said: found.console.append(f"{said.type}: {said.text} {said.location['url']}"),
    )
    found.page.on("pageerror", lambda error: found.console.append(f"error: {error}"))
    try:
        yield found
    finally:
        context.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                *("--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"),
                *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
            ],
        )
        try:
            yield browser
        finally:
            browser.close()
