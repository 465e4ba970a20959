"""The whole product, started as a person starts it, for the journeys."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest

from tests.clips import speech_socket

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN = 240.0  # seconds; a first start assembles the model files
# What conftest.py set for the tests' own throw-away engines must not reach the product.
OWN_SETTINGS = re.compile(
    r"DATABASE_|REDIS_|SECRET|ENCRYPTION|API_KEY_|SESSION_TOKEN|DJANGO_|ATHOS_|SPEECH_"
)


@dataclass
class Product:
    """A running `manage.py up`."""

    process: subprocess.Popen[str]
    var: Path
    port: int
    ready_seconds: float

    @property
    def demo(self) -> dict[str, str]:
        return json.loads((self.var / "demo.json").read_text())

    @property
    def speech_socket(self) -> Path:
        return speech_socket(self.var)

    def api(self, path: str) -> tuple[int, dict]:
        """GET with the demo's key."""
        request = Request(
            f"{self.demo['baseUrl']}/api/external/v1{path}",
            headers={"Authorization": f"Bearer {self.demo['apiKey']}"},
        )
        try:
            with urlopen(request, timeout=15) as answer:
                return answer.status, json.loads(answer.read())
        except OSError as refused:
            if not hasattr(refused, "code"):
                raise
            return refused.code, json.loads(refused.read())

    def until_status(self, call_id: str, *wanted: str, seconds: float = 90) -> dict:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            _, answer = self.api(f"/calls/{call_id}/status")
            if answer.get("status") in wanted:
                return answer
            time.sleep(0.25)
        raise AssertionError(f"the call is still {answer}")

    def child(self, *words: str) -> psutil.Process:
        """The process below us whose command holds these words."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if all(word in process.cmdline() for word in words):
                return process
        raise LookupError(f"no child runs {words}")

    def log(self, name: str) -> str:
        return "".join(
            file.read_text(errors="replace") for file in (self.var / "log").glob(f"{name}.log*")
        )


def free_ports() -> int:
    """A port whose two neighbours are free as well."""
    for port in range(18_100, 19_000, 10):
        try:
            for number in range(port, port + 3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
    raise RuntimeError("no three free ports in a row")


def product_environment(var: Path) -> dict[str, str]:
    """Of this process, without what is meant for the tests' own engines."""
    kept = {name: value for name, value in os.environ.items() if not OWN_SETTINGS.match(name)}
    models = os.environ.get("ATHOS_MODELS") or str(ROOT / "var" / "models")
    return kept | {
        "ATHOS_VAR": str(var),
        "MODELS_DIR": models,
        "LINES_AHEAD": "false",
        "LIVE_SLOTS": "4",
    }


def product_start(var: Path, port: int) -> Product:
    log = (var / "up.log").open("w")
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "up", "--port", str(port)],
        cwd=ROOT,
        env=product_environment(var),
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while "\nReady" not in (var / "up.log").read_text():
            if process.poll() is not None or time.monotonic() - began > READY_WITHIN:
                pytest.fail("the product did not start:\n" + (var / "up.log").read_text()[-3000:])
            time.sleep(0.2)
    except BaseException:  # Ctrl-C too: nobody else knows of the process yet
        process.kill()
        raise
    return Product(process, var, port, time.monotonic() - began)


def product_stop(product: Product) -> float:
    """Ctrl-C; returns the seconds until all was gone."""
    children = psutil.Process(product.process.pid).children(recursive=True)
    began = time.monotonic()
    product.process.send_signal(signal.SIGINT)
    product.process.wait(20)
    _, alive = psutil.wait_procs(children, timeout=1)
    assert not alive, f"left behind: {alive}"
    return time.monotonic() - began


@pytest.fixture(scope="session")
def product(tmp_path_factory) -> Iterator[Product]:
    var = tmp_path_factory.mktemp("product")
    var.chmod(0o711)
    running = product_start(var, free_ports())
    yield running
    product_stop(running)
