"""A real worker is suspended in the middle of a transcription and goes on after the erasure."""

import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from django.conf import settings as project

from calls.tests.after_call import live_call, spoken
from calls.tests.test_after_call_chaos import LINE, Jobs, jobs, wait
from calls.tests.test_erasure import delete, get
from calls.tests.test_erasure_fences import carry_out, eraser, nothing_left, settle

__all__ = ["jobs"]  # a fixture
pytestmark = [
    pytest.mark.prove,
    pytest.mark.models,
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.usefixtures("bells"),
    pytest.mark.django_db(transaction=True),
]
CALL_SECONDS = 4 * 60.0


def test_a_suspended_worker_that_goes_on_keeps_nothing(jobs: Jobs, tmp_path: Path):
    call = live_call(rubric="small")
    said = spoken(LINE, Path(project.SPEECH_URL.removeprefix("http+unix://")), "am_adam")
    gap = np.zeros(20 * 48_000 - len(said), np.int16)
    call.record(rep=np.tile(np.concatenate((said, gap)), round(CALL_SECONDS / 20)))
    call.said("assistant", "Which card was that?", 5.0, 6.0)
    call.end(CALL_SECONDS)
    acme, storage = eraser(call), Path(project.MEDIA_ROOT)
    jobs.start("beat", "beat", "--pidfile=", "-l", "INFO")
    worker = jobs.worker("stopped")
    wait(lambda: call.now().lease_token, 60, "a worker has the call")
    time.sleep(1.0)  # into the middle: material read, recording and recognising begun
    everybody = [*psutil.Process(worker.pid).children(recursive=True), psutil.Process(worker.pid)]
    for process in everybody:
        process.send_signal(signal.SIGSTOP)
    answer = delete(acme, f"/calls/{call.owned.public_id}")
    carry_out()
    assert nothing_left(acme, storage)
    settle(acme.tenant.pk)
    receipt = get(acme, f"/erasures/{answer.json()['erasureId']}").json()
    assert receipt["status"] == "finished"
    time.sleep(12.0)  # longer than its lease
    for process in reversed(everybody):
        process.send_signal(signal.SIGCONT)
    written = tmp_path / "stopped.txt"
    wait(lambda: "lease_lost" in written.read_text(), 120, "the worker heard of it")
    assert nothing_left(acme, storage)
    assert LINE[:20] not in written.read_text()
    again = get(acme, f"/erasures/{answer.json()['erasureId']}").json()
    assert again == receipt
