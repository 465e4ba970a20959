"""What must hold after a call, on the whole product: once and only once, whatever dies meanwhile.

The long forms are commands too: `python -m bench.chaos`, `python -m bench.after_call`.
"""

import shutil
import subprocess
import sys

import pytest

from bench import after_call, chaos
from bench.dialogues import LONG, SHORT, converse, voices
from bench.product import Database, running_product, seeding
from tests.conftest import ROOT

pytestmark = [pytest.mark.chaos, pytest.mark.journey, pytest.mark.models, pytest.mark.slow]

SHORTEST = SHORT[:2]  # one line each: about seven seconds


@pytest.fixture(scope="module")
def dialogue(product, tmp_path_factory):
    """A short dialogue, spoken once."""
    folder = tmp_path_factory.mktemp("dialogue")
    talk = converse(SHORTEST, voices(SHORTEST, product.speech_socket))
    yield talk.save(folder / "short.npz")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def place(product, dialogue):
    """The product, a process that seeds calls in it (it dies with PostgreSQL), and a talk."""
    with seeding(product.var) as seeder:
        yield product, seeder, dialogue


@pytest.mark.prove
def test_a_worker_killed_again_and_again_scores_each_call_once(place):
    product, seeder, dialogue = place
    run = chaos.kills(product, seeder, dialogue, times=2, calls=3)
    assert len(run.killed) == 2 and len(run.seeded) >= 3
    assert chaos.problems(run.facts, run.seeded) == []
    print(f"longest wait {max(run.waits()):.1f} s")  # a figure of bench.chaos, not of a test


def test_engines_that_stop_lose_no_call_and_no_token(place):
    product, seeder, dialogue = place
    run = chaos.outages(product, seeder, dialogue, calls=2, flushes=2, stops=1)
    assert chaos.problems(run.facts, run.seeded) == []
    assert run.mints.refused > 0, "the database was never away"
    assert run.mints.wrong == []
    assert run.mints.tokens and run.missing == 0


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_twenty_kills_and_seven_outages():
    done = subprocess.run(
        [sys.executable, "-m", "bench.chaos"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_half_an_hour_of_silence_and_of_noise_makes_no_line():
    with running_product() as product, seeding(product.var) as seeder:
        sounds = voices(LONG, product.speech_socket)
        for name, dialogue in after_call.quiet_dialogues(30 * 60, sounds).items():
            assert after_call.quiet_report(name, seeder, Database(product.var), dialogue), name
