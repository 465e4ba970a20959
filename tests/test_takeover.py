"""Live workers that die or are stopped in the middle of a call, with the SDK in a real Chromium."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from calls.live.persona import EXCUSE
from tests.browser_call import BrowserCall, browser_call
from tests.clips import spoken
from tests.conftest import ROOT, Product

pytestmark = [
    pytest.mark.journey,
    pytest.mark.browser,
    pytest.mark.models,
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.prove,
]
LINE = "Which doctors do you see, and do you want to keep them?"
OTHER_LINE = "What do you pay for your plan each month?"


@contextmanager
def second_worker(product: Product) -> Iterator[Path]:
    """Another live worker beside that of `up`; gives its log."""
    log = product.var / "second.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "live"],
            cwd=ROOT,
            env=product.child("live").environ(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "live worker ready" in log.read_text(), 90, "the second worker is ready")
        yield log
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def until(condition, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def talk_on(product: Product, call: BrowserCall, since: float) -> tuple[str, list[str]]:
    """Hear the persona excuse the interruption, say another line; the transcript by roles."""
    before = int(call.voice_state()["utterances"])
    until(lambda: call.events()[-1] == "reconnected" or "reconnected" in call.events(), 30, "back")
    back = time.monotonic() - since
    assert call.wait_for_persona(utterances=before, quiet=2.5)  # a voice under load pauses, too
    print(f"sound again after {back:.1f} s, load {os.getloadavg()[0]:.1f}")
    other = spoken(OTHER_LINE, product.speech_socket)
    assert call.turn(other.text, other.wav), "no answer after the interruption"
    call.end()
    call_id = call.call_id()
    product.until_status(call_id, "scored", seconds=120)
    _, answer = product.api(f"/calls/{call_id}")
    persona = [line["content"] for line in answer["transcript"] if line["role"] == "assistant"]
    rep = " ".join(line["content"] for line in answer["transcript"] if line["role"] == "user")
    assert "doctors" in rep and "pay" in rep
    return call_id, persona


def excuses(lines: list[str]) -> int:
    """How often she excused herself; the rep may have cut her short."""
    return sum(line.count(EXCUSE[:8]) for line in lines)


def test_a_killed_workers_call_goes_on_with_another(product):
    clip = spoken(LINE, product.speech_socket)
    with browser_call(product.demo["exampleUrl"]) as call:
        call.start()
        assert call.wait_for_persona(utterances=0)
        assert call.turn(clip.text, clip.wav)
        with second_worker(product) as log:
            product.child("live").kill()
            _, persona = talk_on(product, call, time.monotonic())
            assert "call taken over" in log.read_text() + product.log("live")
    assert excuses(persona) == 1


def test_a_stopped_worker_that_wakes_up_writes_nothing(product):
    clip = spoken(LINE, product.speech_socket)
    folders = set(product.var.glob("recordings/*/*"))
    with browser_call(product.demo["exampleUrl"]) as call:
        call.start()
        assert call.wait_for_persona(utterances=0)
        assert call.turn(clip.text, clip.wav)
        with second_worker(product) as log:
            first = product.child("live")
            first.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            try:
                until(lambda: "call taken over" in log.read_text(), 30, "the call is taken over")
            finally:
                first.send_signal(signal.SIGCONT)
            woken = time.time()
            _, persona = talk_on(product, call, stopped)
            until(lambda: lets_go(product), 10, "the first worker lets the call go")
    (folder,) = set(product.var.glob("recordings/*/*")) - folders
    late = [part for part in folder.glob("0001-*") if part.stat().st_mtime > woken]
    assert late == [] and list(folder.glob("0002-*"))
    assert excuses(persona) == 1
    assert psutil.pid_exists(first.pid)


def lets_go(product: Product) -> bool:
    log = product.log("live")
    return "call let go" in log or "call could not be written" in log
