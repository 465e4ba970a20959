"""The plans behind the lists of calls, on a database large enough that a wrong one shows."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.prove
@pytest.mark.timeout(900)
def test_every_list_is_read_from_an_index_and_walked_to_its_end():
    """`bench.calls_list` on a twentieth of its rows; its figures are another matter."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.calls_list", "--scored", "50000", "--parts", "plans", "walk"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
