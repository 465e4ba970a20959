"""A sandbox call through real voices, real Whisper and the real judge: the same every time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as project
from django.test import Client

from calls.models import Call
from calls.services.drills import catalogue_load
from calls.tasks import sandbox_due, score_due, transcribe_due
from calls.tests.making import API, Integrator, make_integrator
from tenants.isolation import tenant_scope
from tests.speech_process import ROOT, models_folder
from webhooks.models import Event

pytestmark = [
    pytest.mark.models,
    pytest.mark.slow,
    pytest.mark.timeout(600),  # it is made twice, each time from nothing
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("bells"),
]

BODY = {"drillKey": "ma-full-sale", "externalUserId": "rep_8842"}
WORK = """
import django
django.setup()
from calls.tasks import sandbox_due, score_due, transcribe_due
for work in (sandbox_due, transcribe_due, score_due):
    work()
"""


@pytest.fixture
def acme(speech_socket, settings, tmp_path) -> Integrator:
    settings.SPEECH_URL = f"http+unix://{speech_socket}"
    settings.MODELS_DIR = models_folder()
    settings.MEDIA_ROOT = str(tmp_path / "recordings")
    settings.VAR_DIR = tmp_path
    settings.VECTORS_DIR = tmp_path / "vectors"
    catalogue_load()
    return make_integrator("Acme", mode="test")


def begin(who: Integrator, **body: object) -> str:
    answer = who.post("/sandbox/calls", BODY | body)
    assert answer.status_code == 202, answer.content
    return str(answer.json()["callId"])


def worked_on_here() -> None:
    for work in (sandbox_due, transcribe_due, score_due):
        work()


def worked_on_in_a_fresh_process(var: Path) -> None:
    """As a worker that never made one before, on a machine that has no sound or vector of it."""
    environment = {
        "ATHOS_VAR": str(var),
        "SPEECH_URL": project.SPEECH_URL,
        "MODELS_DIR": str(project.MODELS_DIR),
        "RECORDINGS_DIR": project.MEDIA_ROOT,
        "DJANGO_SETTINGS_MODULE": "athos.settings",
    }
    command = [sys.executable, "-c", WORK]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True, timeout=240)


def read(who: Integrator, call_id: str) -> dict:
    answer = Client().get(
        f"{API}/calls/{call_id}", headers={"Authorization": f"Bearer {who.secret}"}
    )
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.prove
def test_the_same_script_gives_the_same_transcript_and_score(acme, tmp_path):
    stranger = make_integrator("Stranger", mode="test")
    calls = [(acme, begin(acme, script="poor"))]
    worked_on_here()
    calls.append((stranger, begin(stranger, script="poor")))
    worked_on_in_a_fresh_process(tmp_path / "elsewhere")
    first, other = [read(who, call_id) for who, call_id in calls]
    for same in ("transcript", "score", "durationSec"):
        assert other[same] == first[same]
    assert first["score"]["overallScore"] < 20
    said = [line["content"] for line in first["transcript"] if line["role"] == "user"]
    assert "guaranteed" in " ".join(said)
    assert Client().get(first["audioUrl"].removeprefix(project.PUBLIC_URL)).status_code == 200


@pytest.mark.prove
def test_a_silent_rep_gets_no_score_and_the_webhook_says_why(acme):
    call_id = begin(acme, script="silent")
    worked_on_here()
    with tenant_scope(acme.tenant.pk):
        call = Call.objects.get(public_id=call_id)
        assert (call.stage, call.failure) == (Call.Stage.FAILED, Call.Failure.REP_NEVER_SPOKE)
        assert call.transcript_lines.count() == 3
        body = bytes(Event.objects.get().body)
    assert b'"success":false' in body
    assert b'"reason":"REP_NEVER_SPOKE"' in body
