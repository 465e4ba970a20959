"""Every page of the dashboard with many calls, by the script that measures them."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.prove
@pytest.mark.timeout(900)
def test_every_page_asks_little_and_weighs_little():
    """`bench.dashboard` on a fiftieth of its rows; its times are for a quiet machine."""
    few = ["--scored", "20000", "--rounds", "3", "--no-times"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.dashboard", *few],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "owner" in done.stdout
    assert "limited" in done.stdout
