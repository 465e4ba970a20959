"""Metrics: what is counted, what is served, to whom, and that no label names anybody."""

import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY

from athos.metrics import DatabaseFigures, metrics_server, request_answered
from calls import metrics
from calls.models import LiveSlot
from calls.services.live import worker_drain, worker_register
from calls.services.telling import tell_outcome
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import make_call
from tenants.isolation import tenant_scope
from webhooks.metrics import attempt_made
from work import kinds

TOKEN = "t" * 40


@pytest.fixture(autouse=True)
def only_our_kinds(monkeypatch):
    """A kind of work's own tests has a table only there."""
    monkeypatch.delitem(kinds._kinds, "probe", raising=False)


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


# --- counted ------------------------------------------------------------------------------------


def test_a_turns_ledger_becomes_histograms_and_counts():
    before = value("athos_answer_seconds_count"), value("athos_turn_faults_total", fault="cut_off")
    latency = {"total": 600.0, "lead": 12.0, "mouth_to_ear": 612.0, "silence": 400.0}
    metrics.turn_taken(latency, missed_end=2500.0)
    metrics.turn_taken({"decided": 2600.0, "cut_off": 1.0}, missed_end=2500.0)
    assert value("athos_answer_seconds_count") == before[0] + 1
    assert value("athos_turn_faults_total", fault="cut_off") == before[1] + 1
    assert value("athos_turn_faults_total", fault="missed_end") >= 1
    assert value("athos_answer_part_seconds_count", part="silence") >= 1


def test_only_late_frames_are_late():
    sent, late = value("athos_frames_sent_total"), value("athos_frames_late_total")
    for seconds in (-0.001, 0.0, 0.019, 0.021):
        metrics.frame_sent(seconds)
    assert value("athos_frames_sent_total") - sent == 4
    assert value("athos_frames_late_total") - late == 1


def test_an_attempt_is_counted_by_its_code():
    before = value("athos_webhook_attempts_total", error="TIMEOUT")
    attempt_made(state="pending", error="TIMEOUT", seconds=15.0)
    assert value("athos_webhook_attempts_total", error="TIMEOUT") == before + 1


def test_a_request_is_counted_by_method_and_status():
    before = value("athos_http_requests_total", method="other", status="405")
    request_answered(method="BREW", status=405, seconds=0.1)
    assert value("athos_http_requests_total", method="other", status="405") == before + 1


@pytest.mark.django_db
def test_outcomes_are_counted_once_they_are_true(django_capture_on_commit_callbacks):
    make_drill()
    tenant = make_integrator("Acme").tenant
    before = value("athos_calls_total", stage="scored")
    for mode in ("live", "test"):
        call = make_call(tenant, mode=mode)
        with (
            django_capture_on_commit_callbacks(execute=True),
            tenant_scope(tenant.pk),
        ):
            tell_outcome(call)
            assert value("athos_calls_total", stage="scored") == before + (mode == "test")
    assert value("athos_calls_total", stage="scored") == before + 1  # the sandbox is no call


# --- of the database ------------------------------------------------------------------------------


def figures():
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in DatabaseFigures().collect()
        for sample in metric.samples
    }


@pytest.mark.django_db(transaction=True)
def test_slots_and_work_are_told_by_the_database():
    gone = figures()
    worker = worker_register(host="x", slots=3)
    LiveSlot.objects.filter(worker=worker, number=0).update(
        call_id=worker.pk, lease_until=timezone.now() + timedelta(seconds=60)
    )
    found = figures()
    assert found["athos_database_up",] == 1
    assert found["athos_live_slots", "taken"] - gone["athos_live_slots", "taken"] == 1
    assert found["athos_live_slots", "free"] - gone["athos_live_slots", "free"] == 2
    worker_drain(worker_id=worker.pk)
    assert figures()["athos_live_slots", "draining"] == gone["athos_live_slots", "draining"] + 2
    for kind in ("deliver", "transcribe", "score"):
        assert ("athos_work_rows", kind, "due") in found
        assert ("athos_work_oldest_seconds", kind) in found


# --- served ---------------------------------------------------------------------------------------


@contextmanager
def served(monkeypatch, tmp_path, token=""):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    server = metrics_server(address="127.0.0.1", port=0, token=token)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(url, token="", method="GET"):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


@pytest.mark.django_db(transaction=True)
def test_what_two_processes_counted_is_added_up(monkeypatch, tmp_path):
    counting = (
        "from webhooks.metrics import attempt_made; from speech.metrics import request_answered;"
        "attempt_made(state='delivered', error='', seconds=0.2);"
        "request_answered(path='/v1/embeddings', status=200, seconds=0.1)"
    )
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", counting], env=environment, check=True)
    with served(monkeypatch, tmp_path) as url:
        status, text = ask(f"{url}/metrics")
    assert status == 200
    assert 'athos_webhook_deliveries_total{state="delivered"} 2.0' in text
    assert 'athos_speech_requests_total{path="/v1/embeddings",status="200"} 2.0' in text
    assert 'athos_work_rows{kind="deliver",state="due"}' in text
    assert "athos_database_up 1.0" in text
    labels = {
        name for found in re.findall(r"{([^}]*)}", text) for name in re.findall(r"(\w+)=", found)
    }
    assert labels <= {"kind", "state", "le", "path", "status", "error"}


@pytest.mark.django_db(transaction=True)
def test_only_who_bears_the_token_is_answered(monkeypatch, tmp_path):
    with served(monkeypatch, tmp_path, TOKEN) as url:
        assert ask(f"{url}/metrics")[0] == 401
        assert ask(f"{url}/metrics", "t" * 39)[0] == 401
        assert ask(f"{url}/metrics", TOKEN)[0] == 200
        assert ask(f"{url}/metrics", TOKEN, method="POST")[0] == 405
        assert ask(f"{url}/", TOKEN)[0] == 404


def test_metrics_are_not_served_to_the_network_without_a_token(monkeypatch, settings, tmp_path):
    with pytest.raises(CommandError, match="PROMETHEUS_MULTIPROC_DIR"):
        call_command("metrics")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    settings.METRICS_TOKEN = ""
    for address in ("0.0.0.0", "::", "10.0.0.1"):
        with pytest.raises(CommandError, match="not public"):
            call_command("metrics", "--bind", address)


@pytest.mark.django_db
def test_web_itself_has_no_metrics():
    assert Client().get("/metrics").status_code == 404
