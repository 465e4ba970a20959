"""`serve` with small stand-ins, as a process of its own: what a person at a terminal would see."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from athos.engines.programs import Account, Program, start

pytestmark = pytest.mark.chaos
ALL = {"postgres", "speech", "web", "jobs-quick", "live"}


class Up:
    def __init__(self, kind: str, folder: Path) -> None:
        self.folder = folder
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "athos.tests.stand_ins", kind, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def until_ready(self) -> None:
        for line in self.process.stdout:
            if line.startswith("READY"):
                # a stand-in counts as ready before it has written its name
                wait_for(lambda: {name for name, _ in self.started()} >= ALL)
                return
        raise AssertionError("ended before it was ready")

    def started(self) -> list[tuple[str, int]]:
        return pids(self.folder / "started")

    def ended(self) -> list[str]:
        return (self.folder / "ended").read_text().split()

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, float]:
        began = time.monotonic()
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=20)
        return self.process.returncode, output, time.monotonic() - began


def pids(path: Path) -> list[tuple[str, int]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [(name, int(pid)) for name, pid in (line.split() for line in lines)]


SLOW_MACHINE = 25.0  # seconds; who waits for what never ends would wait far longer


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[[str], Up]]:
    runs: list[Up] = []

    def start(kind: str) -> Up:
        runs.append(Up(kind, tmp_path))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait(10)
        run.process.stdout.close()


def test_ctrl_c_ends_all_in_order(up):
    run = up("plain")
    run.until_ready()
    code, _, seconds = run.end()
    assert code == 0
    assert seconds < SLOW_MACHINE
    ended = run.ended()
    assert set(ended) == ALL
    assert ended[-2:] == ["speech", "postgres"]


def test_terminate_ends_all_as_ctrl_c_does(up):
    run = up("plain")
    run.until_ready()
    code, _, seconds = run.end(signal.SIGTERM)
    assert (code, seconds < SLOW_MACHINE, set(run.ended())) == (0, True, ALL)


def test_children_that_ignore_the_signal_are_killed_in_time(up):
    run = up("stubborn")
    run.until_ready()
    code, _, seconds = run.end()
    assert code == 0
    assert seconds < SLOW_MACHINE
    assert not any(alive(pid) for _, pid in run.started())


def test_a_second_ctrl_c_does_not_wait(up):
    run = up("patient")
    run.until_ready()
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    code, _, seconds = run.end()
    assert code == 0
    assert seconds < SLOW_MACHINE  # a child of it may take its time: a minute


def test_a_dead_child_starts_again(up):
    run = up("plain")
    run.until_ready()
    victim = dict(run.started())["web"]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: sum(name == "web" for name, _ in run.started()) == 2)
    code, output, _ = run.end()
    assert code == 0
    assert "web ended (exit code -9), starting it again" in output
    assert sum(name == "speech" for name, _ in run.started()) == 1


def test_a_child_that_keeps_dying_ends_all_and_says_why(up):
    run = up("dying")
    output, _ = run.process.communicate(timeout=30)
    assert run.process.returncode == 1
    assert "web ended 5 times within 60 s (last exit code 3)" in output
    assert "    I can not go on" in output
    assert not any(alive(pid) for _, pid in run.started())


def test_a_failed_install_ends_all_and_says_why(up):
    run = up("refused")
    output, _ = run.process.communicate(timeout=20)
    assert run.process.returncode == 1
    assert "install failed with exit code 4" in output
    assert "no such table" in output
    assert "web" not in dict(run.started())


def test_killing_the_supervisor_leaves_nothing(up):
    run = up("plain")
    run.until_ready()
    run.end(signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for _, pid in run.started()), 3)


def test_a_restarted_child_leaves_no_grandchild_behind(up):
    run = up("family")
    run.until_ready()
    wait_for(lambda: len(pids(run.folder / "pool")) == 1)
    (_, grandchild) = pids(run.folder / "pool")[0]
    os.kill(dict(run.started())["jobs-quick"], signal.SIGKILL)
    wait_for(lambda: not alive(grandchild), 3)
    assert run.end()[0] == 0


def test_output_carries_the_name_and_goes_to_a_file(up):
    run = up("plain")
    run.until_ready()
    run.end()
    assert "hello from web" in (run.folder / "web.log").read_text()


def test_a_second_start_on_the_folder_is_one_line(up):
    first = up("plain")
    first.until_ready()
    second = up("plain")
    output, _ = second.process.communicate(timeout=20)
    assert second.process.returncode == 1
    assert output.count("\n") == 1
    assert f"is in use by a running `up` (pid {first.process.pid})" in output
    assert first.process.poll() is None


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_busy_port_is_one_line(tmp_path, offset):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "manage.py", "up", "--port", str(port - offset)],
            env=os.environ | {"ATHOS_VAR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert f"Port {port} on 127.0.0.1" in done.stdout


@pytest.mark.parametrize(("account", "nice"), [(None, -5), (Account("nobody", 65534, 65534), 0)])
def test_a_program_comes_first_only_where_that_is_allowed(account, nice):
    if os.geteuid() != 0:
        pytest.skip("only root may start a program as somebody else")
    tell = ("/bin/sh", "-c", "cut -d ' ' -f 19 /proc/self/stat")
    program = Program("live", tell, account=account, niceness=-5)
    told, _ = start(program, subprocess.PIPE).communicate(timeout=20)
    assert int(told) - os.nice(0) == nice
