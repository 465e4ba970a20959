"""kill -9 while a sandbox call is made, with real Celery workers: made once, told once."""

import os
import signal

import pytest

from calls.models import Call, RecordingPart, SandboxCall, Turn
from calls.services.drills import catalogue_load
from calls.tests.making import make_integrator
from calls.tests.test_after_call_chaos import jobs, wait
from scoring.models import Scorecard
from tenants.isolation import tenant_scope
from webhooks.models import Event

__all__ = ["jobs"]  # the fixture

pytestmark = [
    pytest.mark.models,
    pytest.mark.chaos,
    pytest.mark.prove,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.django_db(transaction=True),
]


def test_killed_while_it_is_made_a_call_is_made_and_scored_once(jobs):
    catalogue_load()
    acme = make_integrator("Acme", mode="test")
    body = {"drillKey": "ma-full-sale", "externalUserId": "rep_8842", "script": "poor"}
    call_id = acme.post("/sandbox/calls", body).json()["callId"]

    def sandbox() -> SandboxCall:
        with tenant_scope(acme.tenant.pk):
            return SandboxCall.objects.select_related("call").get(call__public_id=call_id)

    first = jobs.worker("first")
    jobs.start("beat", "beat", "--pidfile", "")
    wait(lambda: sandbox().lease_token, 120, "a worker has it")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait(10)
    assert sandbox().call.stage == Call.Stage.CREATED
    jobs.worker("second")
    seconds = wait(lambda: sandbox().call.stage == Call.Stage.SCORED, 400, "scored after all")
    print(f"\nkill -9: scored {seconds:.1f} s after the next worker was started")
    with tenant_scope(acme.tenant.pk):
        numbers = list(Turn.objects.values_list("number", flat=True))
        assert numbers == list(range(1, len(numbers) + 1))
        assert RecordingPart.objects.exists()
        assert Scorecard.objects.count() == Event.objects.count() == 1
        assert b'"success":true' in bytes(Event.objects.get().body)
