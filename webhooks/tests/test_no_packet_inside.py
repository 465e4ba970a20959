"""Packets into a forbidden network, counted on the cable: none.

The sender runs in a network namespace whose every route leads to another one, the world. There a
name server gives hostile answers, and services wait on inside addresses. Needs root.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from webhooks.addresses import url_check
from webhooks.tests import namespaces
from webhooks.tests.test_hostile_urls import BAD_NAMES, HOSTILE

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2"
    ),
]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20)


@contextmanager
def two_namespaces() -> Iterator[tuple[str, str]]:
    """The sender's and the world's, with a cable between; names of this process alone."""
    inner, outer = f"athos-sender-{os.getpid()}", f"athos-world-{os.getpid()}"
    resolver = Path("/etc/netns") / inner
    try:
        for name in (inner, outer):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", inner, "link", "add", "sender0", "type", "veth",
           "peer", "name", "world0", "netns", outer)  # fmt: skip
        for name, link, end in ((inner, "sender0", 2), (outer, "world0", 1)):
            ip("-n", name, "address", "add", f"9.9.8.{end}/24", "dev", link)
            ip("-n", name, "address", "add", f"2a00:99::{end}/64", "dev", link, "nodad")
            ip("-n", name, "link", "set", link, "up")
        ip("-n", inner, "route", "add", "default", "via", "9.9.8.1")
        ip("-n", inner, "route", "add", "default", "via", "2a00:99::1")
        for address in ("9.9.9.9", namespaces.GOOD, *namespaces.INSIDE):
            ip("-n", outer, "address", "add", address, "dev", "lo")
        resolver.mkdir(parents=True)
        (resolver / "resolv.conf").write_text("nameserver 9.9.9.9\noptions attempts:1 timeout:2\n")
        yield inner, outer
    finally:
        for name in (inner, outer):
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=20)
        shutil.rmtree(resolver, ignore_errors=True)


def command(namespace: str, side: str, place: str) -> list[str]:
    program = [sys.executable, "-m", "webhooks.tests.namespaces", side, place]
    return ["ip", "netns", "exec", namespace, *program]


@contextmanager
def the_world(namespace: str, folder: Path) -> Iterator[None]:
    """Runs until the block ends; `world.json` is there then."""
    running = subprocess.Popen(
        command(namespace, "world", str(folder)),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout and running.stdout.readline() == "ready\n"
        yield
        running.communicate(timeout=30)
        assert running.returncode == 0
    finally:
        running.kill()
        running.wait(10)


def written(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())


@pytest.fixture
def folder(authority, tmp_path) -> Path:
    """What both sides read: URLs, the answers of the name server, certificates."""
    answers = {url_check(row["url"]).host: row["answers"] for row in BAD_NAMES}
    hosts = (namespaces.GOOD_HOST, namespaces.REDIRECT_HOST, namespaces.REBINDING_HOST)
    for host in hosts:
        authority.server(host)
        shutil.copy(authority.folder / f"{host}.pem", tmp_path)
    shutil.copy(authority.file, tmp_path)
    good = {host: [namespaces.GOOD] for host in hosts}
    (tmp_path / "answers.json").write_text(json.dumps(answers | good))
    (tmp_path / "urls.json").write_text(json.dumps([row["url"] for row in HOSTILE]))
    return tmp_path


@pytest.mark.timeout(300)
def test_no_packet_goes_to_a_forbidden_network(folder):
    proxies = dict.fromkeys(("HTTPS_PROXY", "ALL_PROXY", "https_proxy"), "http://10.0.0.1:443")
    with two_namespaces() as (inner, outer), the_world(outer, folder):
        send = command(inner, "sender", str(folder))
        subprocess.run(send, cwd=ROOT, env=os.environ | proxies, check=True, timeout=200)
    beyond, sent = written(folder, "world"), written(folder, "sender")
    assert beyond["forbidden"] == {}
    assert sent["looped"] == {}
    assert set(beyond["served"]) == {namespaces.GOOD}
    errors = sent["errors"]
    assert errors["URL_REFUSED"] + errors["ADDRESS_REFUSED"] >= len(HOSTILE)
    assert errors["REDIRECT_REFUSED"] == 5
    # The good name was reached, and the one that flips whenever it was good throughout.
    assert 1 <= errors[""] <= 1 + namespaces.ROUNDS
    assert beyond["served"][namespaces.GOOD] == errors[""] + errors["REDIRECT_REFUSED"]
    assert beyond["asked"][f"{namespaces.REBINDING_HOST} 1"] == namespaces.ROUNDS


@pytest.mark.parametrize("address", namespaces.INSIDE)
def test_the_trap_counts_a_careless_client(folder, address):
    with two_namespaces() as (inner, outer), the_world(outer, folder):
        subprocess.run(command(inner, "careless", address), cwd=ROOT, check=True, timeout=60)
    assert written(folder, "world")["forbidden"][address] >= 2
