"""kill -9 in the middle of a transcription, with real Celery workers: done once, told once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from django.conf import settings as project

from calls.models import Call, HeardChunk, Recording
from calls.tests.after_call import live_call, spoken
from scoring.models import Scorecard
from scoring.services import rubric_create
from scoring.tests.making import check_content, rubric_content
from tenants.isolation import CATALOGUE, tenant_scope
from tests.speech_process import models_folder
from webhooks.models import Event

pytestmark = [
    pytest.mark.prove,
    pytest.mark.models,
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]

LINE = "My name is James and I am calling about the card that you sent us last week."
CALL_SECONDS = 7 * 60.0  # two chunks
RUBRIC = rubric_content(check_content("greets", rule={"yes": {"say": ["my name is"]}}))


class Jobs:
    """Celery processes of one test, gone when it ends."""

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self._environment, self._logs = environment, logs
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._logs / f"{name}.txt").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-q", "-A", "athos", *arguments],
                env=os.environ | self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def worker(self, name: str) -> "subprocess.Popen[bytes]":
        quiet = ("--without-gossip", "--without-mingle", "-l", "INFO")
        return self.start(name, "worker", "-Q", "slow", "-c", "1", "-n", f"{name}@%h", *quiet)

    def stop(self) -> None:
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


@pytest.fixture
def jobs(tmp_path, settings, speech_socket) -> Iterator[Jobs]:
    settings.MEDIA_ROOT = str(tmp_path / "recordings")
    settings.SPEECH_URL = f"http+unix://{speech_socket}"
    found = Jobs(
        {
            "SPEECH_URL": settings.SPEECH_URL,
            "RECORDINGS_DIR": settings.MEDIA_ROOT,
            "MODELS_DIR": str(models_folder()),
            "REDIS_URL": project.REDIS_URL,
        },
        tmp_path,
    )
    yield found
    found.stop()


def wait(happened: Callable[[], object], seconds: float, what: str) -> float:
    started = time.monotonic()
    while not happened():
        assert time.monotonic() - started < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - started


def test_killed_in_the_middle_a_call_is_transcribed_and_scored_once(jobs):
    with tenant_scope(CATALOGUE):
        rubric_create(tenant_id=CATALOGUE, content=RUBRIC)
    call = live_call(rubric="small")
    said = spoken(LINE, Path(project.SPEECH_URL.removeprefix("http+unix://")), "am_adam")
    gap = np.zeros(20 * 48_000 - len(said), np.int16)
    call.record(rep=np.tile(np.concatenate((said, gap)), round(CALL_SECONDS / 20)))
    call.end(CALL_SECONDS)
    first_words = chunks(call, jobs)
    assert first_words
    jobs.worker("second")
    seconds = wait(lambda: call.now().stage == Call.Stage.SCORED, 300, "scored after all")
    print(f"\nkill -9: scored {seconds:.1f} s after the next worker was started")
    with tenant_scope(call.owned.tenant_id):
        lines = list(call.now().transcript_lines.all())
        starts = [round(line.start_time / 20) for line in lines]
        assert starts == list(range(round(CALL_SECONDS / 20)))
        assert [w for line in lines for w in line.words][: len(first_words)] == first_words
        assert Scorecard.objects.count() == Event.objects.count() == Recording.objects.count() == 1
        assert b'"success":true' in bytes(Event.objects.get().body)
        assert not HeardChunk.objects.exists()


def chunks(call, jobs: Jobs) -> list:
    """Let a worker do the first chunk, kill it in the second; the words that it kept."""

    def heard() -> list[HeardChunk]:
        with tenant_scope(call.owned.tenant_id):
            return list(HeardChunk.objects.all())

    jobs.start("beat", "beat", "--pidfile=", "-l", "INFO")
    worker = jobs.worker("first")
    wait(heard, 200, "the first chunk is kept")
    for process in [*psutil.Process(worker.pid).children(recursive=True), worker]:
        process.kill()
    kept = heard()
    assert call.now().stage == Call.Stage.ENDED and len(kept) < 2
    return kept[0].rep_words
