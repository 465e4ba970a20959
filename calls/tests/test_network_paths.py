"""Sound between network namespaces: through address translation, and through a TURN relay.

    outside: a browser      router                            inside: a worker
    203.0.113.2 ----------- 203.0.113.1, .10 | 192.168.77.1 ----------- 192.168.77.2

The browser has no way to 192.168.77.x but what the router gives it. Needs root, iptables, coturn.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from calls.services.turn import ice_servers
from calls.tests.network_side import ENOUGH

pytestmark = [
    pytest.mark.prove,
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux"
        or os.geteuid() != 0
        or not all(map(shutil.which, ("ip", "iptables", "turnserver"))),
        reason="needs root on Linux, iptables and coturn",
    ),
]
BROWSER, ROUTER, PUBLIC = "203.0.113.2", "203.0.113.1", "203.0.113.10"
GATE, WORKER = "192.168.77.1", "192.168.77.2"
SECRET = "only-for-this-test"
RELAY = f"turn:{ROUTER}:3478?transport=udp"


class Network:
    """The three namespaces of one test."""

    def __init__(self) -> None:
        self._prefix = f"athos{os.getpid()}"

    def name(self, place: str) -> str:
        return f"{self._prefix}-{place}"

    def run(self, place: str, *command: str) -> None:
        subprocess.run(["ip", "netns", "exec", self.name(place), *command], check=True, timeout=10)

    def up(self) -> None:
        for place in ("outside", "router", "inside"):
            subprocess.run(["ip", "netns", "add", self.name(place)], check=True, timeout=10)
            self.run(place, "ip", "link", "set", "lo", "up")
        self._cable("outside", BROWSER, ROUTER)
        self._cable("inside", WORKER, GATE)
        self.run("router", "ip", "addr", "add", f"{PUBLIC}/24", "dev", "to-outside")
        self.run("router", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.run("inside", "ip", "route", "add", "default", "via", GATE)

    def _cable(self, place: str, end: str, gate: str) -> None:
        there, here = self.name("router"), self.name(place)
        add = ["ip", "link", "add", "wire", "netns", here, "type", "veth"]
        add += ["peer", "name", f"to-{place}", "netns", there]
        subprocess.run(add, check=True, timeout=10)
        for at, device, address in ((place, "wire", end), ("router", f"to-{place}", gate)):
            self.run(at, "ip", "addr", "add", f"{address}/24", "dev", device)
            self.run(at, "ip", "link", "set", device, "up")

    def translate(self) -> None:
        """The public address stands for the worker, ports kept, as clouds do it."""
        nat = ("iptables", "-t", "nat", "-A")
        self.run("router", *nat, "PREROUTING", "-d", PUBLIC, "-j", "DNAT", "--to", WORKER)
        self.run("router", *nat, "POSTROUTING", "-s", WORKER, "-j", "SNAT", "--to", PUBLIC)

    def guard(self) -> None:
        """Nothing reaches the browser that is no answer to what it sent, as in any office."""
        accept = ("-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT")
        self.run("outside", "iptables", "-A", "INPUT", *accept)
        self.run("outside", "iptables", "-P", "INPUT", "DROP")

    def shut(self) -> None:
        """Nothing passes the router."""
        self.run("router", "iptables", "-P", "FORWARD", "DROP")

    def down(self) -> None:
        for place in ("outside", "router", "inside"):
            subprocess.run(["ip", "netns", "del", self.name(place)], check=False, timeout=10)

    @contextmanager
    def process(self, place: str, *command: str) -> Iterator["subprocess.Popen[str]"]:
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name(place), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)

    def packets(self, *, worker: dict, browser: dict) -> tuple[int, int]:
        """Connect the two; how many packets of sound the worker and the browser heard."""
        side = (sys.executable, "-m", "calls.tests.network_side")
        with (
            self.process("inside", *side, "worker", json.dumps(worker)) as inside,
            self.process("outside", *side, "browser", json.dumps(browser)) as outside,
        ):
            tell(inside, outside.stdout.readline())
            tell(outside, inside.stdout.readline())
            return heard(inside), heard(outside)


def tell(process: "subprocess.Popen[str]", line: str) -> None:
    process.stdin.write(line)
    process.stdin.flush()


def heard(process: "subprocess.Popen[str]") -> int:
    return json.loads(process.stdout.readline())["packets"]


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    try:
        made.up()
        yield made
    finally:
        made.down()


def test_behind_address_translation_the_answer_names_the_public_address(network):
    network.translate()
    network.guard()
    assert min(network.packets(worker={"public_address": PUBLIC}, browser={})) >= ENOUGH


def test_without_it_nobody_finds_the_worker(network):
    network.translate()
    network.guard()
    assert network.packets(worker={}, browser={}) == (0, 0)


@contextmanager
def relay(network: Network, folder: Path) -> Iterator[None]:
    """coturn as docs/operations.md has it, without its certificate."""
    options = [
        *("use-auth-secret", f"static-auth-secret={SECRET}", "realm=turn.example.com"),
        *(f"listening-ip={ROUTER}", "listening-port=3478", f"relay-ip={GATE}"),
        *("no-tls", "no-dtls", "no-cli", "no-tcp-relay", "no-multicast-peers", "user-quota=4"),
        *("denied-peer-ip=0.0.0.0-255.255.255.255", f"allowed-peer-ip={WORKER}"),
        *(f"pidfile={folder}/pid", f"userdb={folder}/users", f"log-file={folder}/log"),
    ]
    (folder / "turnserver.conf").write_text("\n".join(options) + "\n")
    with network.process("router", "turnserver", "-c", f"{folder}/turnserver.conf") as running:
        end = time.monotonic() + 10
        while f":{3478:04X} " not in Path(f"/proc/{running.pid}/net/udp").read_text():
            assert running.poll() is None and time.monotonic() < end, "coturn did not start"
            time.sleep(0.05)
        yield


@pytest.fixture
def turn_settings(settings):
    settings.TURN_URLS, settings.TURN_SECRET, settings.ICE_SERVERS = [RELAY], SECRET, []
    return django_settings


def test_a_browser_whose_network_is_shut_is_relayed(network, tmp_path, turn_settings):
    network.shut()
    with relay(network, tmp_path):
        own = {"turn": ice_servers(call="athos_call_of_this_test")}
        assert min(network.packets(worker={}, browser=own)) >= ENOUGH


def test_credentials_of_another_secret_are_worth_nothing(network, tmp_path, turn_settings):
    network.shut()
    forged = ice_servers(call="athos_call_of_this_test")
    forged[0]["credential"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    with relay(network, tmp_path), suppress(json.JSONDecodeError):  # the browser may give up
        assert min(network.packets(worker={}, browser={"turn": forged})) == 0
