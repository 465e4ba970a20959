"""Bells on a real Valkey. Whether a worker hears them is proved in test_chaos.py."""

import pytest
from celery import current_app
from django.db import transaction
from redis.exceptions import ConnectionError as ValkeyAway

from work import bell
from work.sweep import SweepScheduler, sweep
from work.tests.probe import PROBE, probe_add


@pytest.fixture(autouse=True)
def valkey(monkeypatch):
    """An empty one; a bell that rested because of another test's fault is awake again."""
    monkeypatch.setattr(bell, "_resting_until", 0.0)
    client = bell._valkey()
    client.delete("quick", bell._key("probe"))
    yield client
    client.delete("quick", bell._key("probe"))


@pytest.mark.django_db
def test_a_thousand_bells_are_one_message(valkey, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(1000):
            bell.ring("probe")
    assert valkey.llen("quick") == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_rings_before_the_commit(valkey):
    with transaction.atomic():
        bell.ring("probe")
        assert valkey.llen("quick") == 0
    assert valkey.llen("quick") == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_rings_after_a_rollback(valkey):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        bell.ring("probe")
        raise ZeroDivisionError
    assert valkey.llen("quick") == 0


@pytest.mark.django_db(transaction=True)
def test_once_answered_it_rings_anew(valkey):
    bell.ring("probe")
    bell.answered("probe")
    bell.ring("probe")
    assert valkey.llen("quick") == 2


@pytest.mark.django_db(transaction=True)
def test_where_no_worker_runs_messages_do_not_pile_up(valkey):
    for _ in range(100):
        bell.answered("probe")
        bell.ring("probe")
    assert valkey.llen("quick") == bell.MESSAGES_MAX


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_hangs_is_ended_after_its_limit(valkey):
    bell.ring("probe")
    with current_app.connection_for_read() as broker:
        (header,) = [broker.SimpleQueue("quick").get(timeout=2).headers]
    assert header["task"] == PROBE.task
    assert header["timelimit"][0] == 60 + PROBE.lease_limit + 30


@pytest.mark.django_db(transaction=True)
def test_an_unknown_kind_is_logged_and_harms_nobody(valkey, caplog):
    bell.ring("prbe")
    assert valkey.llen("quick") == 0
    assert [r.getMessage() for r in caplog.records] == ["bell_for_unknown_kind"]


@pytest.mark.django_db(transaction=True)
def test_after_a_failure_the_next_requests_do_not_wait(monkeypatch, caplog):
    asked = []

    def away() -> None:
        asked.append(1)
        raise ValkeyAway

    monkeypatch.setattr(bell, "_valkey", away)
    for _ in range(50):
        bell.ring("probe")
    assert len(asked) == 1
    assert [r.getMessage() for r in caplog.records] == ["bell_not_rung"]


# -- the sweep ------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_sweep_rings_only_for_what_is_due(probe_table, bells):
    from work.tests.conftest import tenant_make

    assert "probe" not in sweep()
    probe_add(tenant_make())
    assert "probe" in sweep()
    assert "probe" in bells


@pytest.mark.django_db(transaction=True)
def test_a_kind_without_functions_does_not_hide_the_others(probe_table, bells, monkeypatch, caplog):
    from work import kinds
    from work.tests.conftest import tenant_make

    unready = kinds.Kind(name="aaa_unready", model=PROBE.model, task="none")
    monkeypatch.setitem(kinds._kinds, "aaa_unready", unready)
    probe_add(tenant_make())
    assert "probe" in sweep()
    assert [(r.getMessage(), r.kind) for r in caplog.records if r.name == "work.sweep"] == [
        ("sweep_kind_failed", "aaa_unready")
    ]


@pytest.mark.django_db(transaction=True)
def test_while_another_beat_sweeps_this_one_rests(probe_table, bells):
    import os

    import psycopg

    from work.sweep import _LOCK
    from work.tests.conftest import tenant_make

    probe_add(tenant_make())
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        assert sweep() == []  # and does not wait for the other
    assert "probe" in sweep()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_said_once_and_waited_for(monkeypatch, caplog):
    from django.db import OperationalError

    def away() -> list[str]:
        raise OperationalError

    scheduler = SweepScheduler(app=current_app)
    monkeypatch.setattr("work.sweep.sweep", away)
    assert [scheduler.tick() for _ in range(3)] == [1.0] * 3
    assert [r.getMessage() for r in caplog.records] == ["sweep_failed"]
