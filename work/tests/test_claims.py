"""Claims on a real database, row-level security included; leases without processes."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models.functions import Now

from tenants.isolation import tenant_scope
from work import claims as claims_module
from work.claims import Claim, LeaseLost, StillDue, claim_batch, claims, hold
from work.drain import drain
from work.leases import Renewer
from work.overview import parked_rows, standing, unpark
from work.tests.conftest import tenant_make
from work.tests.probe import PROBE, Broken, Probe, effect, probe_add

pytestmark = pytest.mark.usefixtures("bells")


def claim_one() -> Claim[Probe]:
    return next(claims(Probe, kind="probe"))


def now_of(probe: Probe) -> Probe:
    with tenant_scope(probe.tenant_id):
        return Probe.objects.get(pk=probe.pk)


def set_lease(probe: Probe, seconds: float) -> None:
    """Let the lease end so many seconds from now: in the past, what a dead worker leaves."""
    with tenant_scope(probe.tenant_id):
        Probe.objects.filter(pk=probe.pk).update(lease_until=Now() + timedelta(seconds=seconds))


# -- taking ---------------------------------------------------------------------------------------


def test_a_claimed_row_is_nobody_elses(tenant):
    probe = probe_add(tenant)
    claim = claim_one()
    assert (claim.pk, claim.tenant_id, claim.tries) == (probe.pk, tenant, 1)
    assert list(claims(Probe, kind="probe")) == []


def test_rows_not_due_parked_or_pausing_are_left_alone(tenant):
    probe_add(tenant, due_at=None)
    probe_add(tenant, due_at=Now() + timedelta(minutes=1))
    probe_add(tenant, parked_at=Now())
    probe_add(tenant, lease_until=Now() + timedelta(minutes=1))
    assert list(claims(Probe, kind="probe")) == []


def test_a_row_whose_worker_died_comes_back(tenant):
    probe = probe_add(tenant)
    dead = claim_one()
    set_lease(probe, -1)
    heir = claim_one()
    assert (heir.pk, heir.tries) == (probe.pk, 2)
    with pytest.raises(LeaseLost):
        effect(dead)
    effect(heir)
    assert now_of(probe).effects == 1


def test_tenants_take_turns(tenant, stranger):
    for _ in range(5):
        probe_add(tenant, due_at=Now() - timedelta(hours=1))
    late = probe_add(stranger)
    first_two = claims_module.due(PROBE, 2)
    assert (stranger, late.pk) in first_two


def test_a_batch_takes_no_more_than_asked(tenant):
    for _ in range(5):
        probe_add(tenant)
    assert len(claim_batch(Probe, kind="probe", size=3)) == 3
    assert len(claim_batch(Probe, kind="probe", size=3)) == 2


def test_a_kind_belongs_to_its_model():
    with pytest.raises(ValueError, match="not a kind of work on"):
        claim_batch(type("Other", (), {}), kind="probe", size=1)


def test_more_rows_than_one_worker_can_do_at_once_ring_for_help(
    tenant, bells, django_capture_on_commit_callbacks
):
    probe_add(tenant)
    probe_add(tenant)
    with django_capture_on_commit_callbacks(execute=True):
        claim_one()
    assert bells == ["probe"]


def test_when_the_time_is_up_the_rest_is_rung_for(
    tenant, bells, django_capture_on_commit_callbacks
):
    probe_add(tenant)
    with django_capture_on_commit_callbacks(execute=True):
        assert list(claims(Probe, kind="probe", seconds=-1)) == []
    assert bells == ["probe"]


def test_a_strangers_rows_are_out_of_sight_while_working(tenant, stranger):
    own, other = probe_add(tenant), probe_add(stranger)
    seen = {}
    for claim in claims(Probe, kind="probe"):
        with claim.finish() as row:
            with connection.cursor() as cursor:  # past the ORM's own filter
                cursor.execute("SELECT id FROM work_probe")
                seen[row.pk] = [pk for (pk,) in cursor.fetchall()]
            row.due_at = None
            row.save(update_fields=["due_at"])
    assert seen == {own.pk: [own.pk], other.pk: [other.pk]}


# -- ending ---------------------------------------------------------------------------------------


def test_effect_and_end_commit_together(tenant):
    probe = probe_add(tenant)
    claim = claim_one()
    with pytest.raises(Broken), claim.finish() as row:
        row.effects = 1
        row.save(update_fields=["effects"])
        raise Broken
    after = now_of(probe)
    assert (after.effects, after.lease_token) == (0, claim.token)
    effect(claim)
    after = now_of(probe)
    assert (after.effects, after.lease_token, after.lease_until, after.tries) == (1, None, None, 0)
    assert claim.ended


def test_finishing_twice_has_one_effect(tenant):
    probe = probe_add(tenant)
    claim = claim_one()
    effect(claim)
    with pytest.raises(LeaseLost):
        effect(claim)
    assert now_of(probe).effects == 1


def test_an_end_that_leaves_the_row_due_is_refused(tenant):
    probe = probe_add(tenant)
    claim = claim_one()
    with pytest.raises(StillDue), claim.finish() as row:
        row.effects = 1
        row.save(update_fields=["effects"])
    assert now_of(probe).effects == 0


def test_a_step_commits_and_keeps_the_claim(tenant):
    probe = probe_add(tenant)
    claim_one()
    set_lease(probe, -1)
    claim = claim_one()
    assert claim.tries == 2
    with claim.step() as row:
        row.effects = 7
        row.save(update_fields=["effects"])
    after = now_of(probe)
    assert (after.effects, after.tries, after.lease_token) == (7, 1, claim.token)


def test_an_orderly_failure_pauses_the_row_and_counts(tenant):
    probe = probe_add(tenant)
    claim = claim_one()
    claim.release(error="SPEECH_UNAVAILABLE", retry_in=60)
    after = now_of(probe)
    assert (after.tries, after.failures, after.last_error) == (0, 1, "SPEECH_UNAVAILABLE")
    assert list(claims(Probe, kind="probe")) == []
    set_lease(probe, -1)
    assert claim_one().failures == 1


def test_too_many_orderly_failures_park_and_tell_once(tenant):
    probe = probe_add(tenant)
    for _ in range(4):  # max_failures
        set_lease(probe, -1)
        claim_one().release(error="SPEECH_UNAVAILABLE")
    after = now_of(probe)
    assert after.parked_at is not None
    assert (after.told, after.last_error, after.lease_token) == (1, "SPEECH_UNAVAILABLE", None)


def test_a_poison_row_is_parked_and_blocks_nobody(tenant, caplog):
    poison = probe_add(tenant, due_at=Now() - timedelta(hours=1))
    for _ in range(3):  # its worker dies three times
        assert claim_one().pk == poison.pk
        set_lease(poison, -1)
    good = probe_add(tenant)
    for claim in claims(Probe, kind="probe"):
        effect(claim)
    after = now_of(poison)
    assert after.parked_at is not None
    assert (after.told, after.effects, after.last_error) == (1, 0, "NEVER_ENDED")
    assert now_of(good).effects == 1
    assert [r.getMessage() for r in caplog.records if r.name == "work.claims"] == ["work_parked"]


def test_a_hook_that_fails_parks_nothing_and_stops_nobody(tenant, monkeypatch):
    poison, good = probe_add(tenant, tries=3), probe_add(tenant)
    monkeypatch.setattr("work.tests.probe.Probe.save", _refuse)
    taken = [claim.pk for claim in claims(Probe, kind="probe")]
    assert taken == [good.pk]
    assert now_of(poison).parked_at is None  # tried again once this lease is over


def _refuse(*args, **kwargs):
    raise Broken


# -- the rim --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_handler_that_raises_costs_only_its_own_row(probe_table, caplog):
    tenant = tenant_make()
    broken, good = probe_add(tenant, behaviour="broken"), probe_add(tenant)

    def handle(claim: Claim[Probe]) -> None:
        if claim.pk == broken.pk:
            raise Broken("said by the rep")
        effect(claim)

    drain(Probe, kind="probe", handle=handle)
    after = now_of(broken)
    assert (after.tries, after.last_error, after.lease_token) == (1, "Broken", None)
    assert now_of(good).effects == 1
    (record,) = (r for r in caplog.records if r.getMessage() == "work_failed")
    assert record.place.startswith("test_claims.py:")
    assert "said by the rep" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_third_fault_parks(probe_table):
    probe = probe_add(tenant_make())
    for _ in range(3):
        set_lease(probe, -1)
        drain(Probe, kind="probe", handle=_refuse)
    assert now_of(probe).parked_at is not None
    assert now_of(probe).told == 1


@pytest.mark.django_db(transaction=True)
def test_a_handler_that_forgets_the_end_is_a_fault(probe_table):
    probe = probe_add(tenant_make())
    drain(Probe, kind="probe", handle=lambda claim: None)
    assert now_of(probe).last_error == "NotEnded"


@pytest.mark.django_db(transaction=True)
def test_what_a_loser_raises_changes_nothing(probe_table):
    """The lease ran out under a slow handler and the heir is at work: its row stays its own."""
    probe = probe_add(tenant_make())
    heirs = []

    def handle(claim: Claim[Probe]) -> None:
        set_lease(probe, -1)
        heirs.append(claim_one())
        raise Broken

    drain(Probe, kind="probe", handle=handle)
    assert now_of(probe).lease_token == heirs[0].token
    assert now_of(probe).last_error == ""


# -- leases ---------------------------------------------------------------------------------------


@pytest.fixture
def brisk(monkeypatch):
    """Leases of a second, renewed three times in it."""
    monkeypatch.setattr("work.claims.LEASE_SECONDS", 1.0)
    monkeypatch.setattr("work.leases.RENEW_SECONDS", 0.3)


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_while_the_work_goes_on(probe_table, brisk):
    probe = probe_add(tenant_make())
    claim = claim_one()
    with claim.lease():
        time.sleep(1.6)
        claim.check()
        assert list(claims(Probe, kind="probe")) == []
    effect(claim)
    assert now_of(probe).effects == 1


@pytest.mark.django_db(transaction=True)
def test_a_lease_ends_at_the_limit_of_its_kind(probe_table, brisk, monkeypatch):
    probe_add(tenant_make())
    claim = claim_one()
    renewed = []
    monkeypatch.setattr(claims_module, "_renew", lambda held: renewed.append(1) or True)
    renewer = Renewer(lambda: claims_module._renew([claim]), limit=0.5)
    renewer.start()
    renewer.join(timeout=5)
    assert not renewer.is_alive()
    assert len(renewed) == 1


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_renewed_together_and_ended_rows_fall_out(probe_table, brisk):
    probes = [probe_add(tenant) for tenant in (tenant_make(), tenant_make()) for _ in range(2)]
    batch = claim_batch(Probe, kind="probe", size=10)
    assert len(batch) == 4
    with hold(batch):
        effect(batch[0])
        time.sleep(1.6)
        assert not any(claim.lost for claim in batch[1:])
        for claim in batch[1:]:
            effect(claim)
    assert sorted(now_of(probe).effects for probe in probes) == [1, 1, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_a_thief_is_noticed_at_the_next_renewal(probe_table, brisk):
    probe = probe_add(tenant_make())
    claim = claim_one()
    with claim.lease():
        set_lease(probe, -1)
        heir = claim_one()
        deadline = time.monotonic() + 3
        while not claim.lost and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(LeaseLost):
            claim.check()
        effect(heir)
    with pytest.raises(LeaseLost):
        effect(claim)


@pytest.mark.django_db(transaction=True)
def test_a_database_away_for_a_moment_does_not_lose_the_lease(probe_table, brisk, monkeypatch):
    probe_add(tenant_make())
    claim = claim_one()
    renew, calls = claims_module._renew, []

    def shaky(held):
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError
        return renew(held)

    monkeypatch.setattr(claims_module, "_renew", shaky)
    with claim.lease():
        time.sleep(1.4)
        claim.check()
    assert len(calls) >= 3


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_just_ending_makes_nobody_wait(probe_table):
    probe = probe_add(tenant_make())
    claim = claim_one()
    set_lease(probe, -1)  # as if the end took longer than the lease
    others: list[object] = []

    def race() -> None:
        try:
            others.extend(claims(Probe, kind="probe"))
        finally:
            connections.close_all()

    with claim.finish() as row:
        rival = threading.Thread(target=race)
        rival.start()
        rival.join(timeout=3)
        assert not rival.is_alive()
        row.due_at = None
        row.save(update_fields=["due_at"])
    assert others == []


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stops_inside_its_end_loses_the_row_lock(probe_table):
    """The lock of a suspended process would outlive every lease."""
    probe_add(tenant_make())
    with claim_one().finish() as row, connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("10s",)
        row.due_at = None
        row.save(update_fields=["due_at"])


@pytest.mark.django_db(transaction=True)
def test_eight_racers_take_each_row_once(probe_table):
    tenants = [tenant_make() for _ in range(4)]
    for number in range(200):
        probe_add(tenants[number % 4])
    done: list[object] = []

    def race() -> None:
        try:
            # A racer that finds all rows of a look in other hands looks again.
            while claims_module.due(PROBE, 1):
                for claim in claims(Probe, kind="probe"):
                    effect(claim)
                    done.append(claim.pk)
        finally:
            connections.close_all()

    connection.close()
    racers = [threading.Thread(target=race) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(timeout=60)
    assert len(done) == len(set(done)) == 200
    for tenant in tenants:
        with tenant_scope(tenant):
            assert set(Probe.objects.values_list("effects", "tries")) == {(1, 0)}


# -- people ---------------------------------------------------------------------------------------


def test_what_stands_where_is_counted_over_all_tenants(tenant, stranger):
    probe_add(tenant, due_at=Now() - timedelta(seconds=90))
    probe_add(stranger, lease_token=PROBE_TOKEN, lease_until=Now() + timedelta(minutes=1))
    probe_add(stranger, lease_until=Now() + timedelta(minutes=1))
    probe_add(tenant, parked_at=Now())
    probe_add(tenant, due_at=None)
    now = standing(PROBE)
    assert (now.due, now.leased, now.pausing, now.parked) == (1, 1, 1, 1)
    assert 89 < now.longest < 120


PROBE_TOKEN = "7a1b8f7e-0000-4000-8000-000000000001"


def test_an_unparked_row_is_rung_for_and_starts_afresh(
    tenant, bells, django_capture_on_commit_callbacks
):
    probe = probe_add(tenant, parked_at=Now(), tries=3, failures=2, last_error="NEVER_ENDED")
    (parked,) = parked_rows(PROBE)
    assert (parked.id, parked.tenant_id, parked.error) == (probe.pk, tenant, "NEVER_ENDED")
    with django_capture_on_commit_callbacks(execute=True):
        assert unpark(PROBE, parked)
    assert bells == ["probe"]
    assert not unpark(PROBE, parked)
    assert claim_one().tries == 1


@pytest.mark.django_db(transaction=True)
def test_claiming_inside_a_transaction_leaves_its_commit_durable(probe_table, monkeypatch):
    probe_add(tenant_make())
    hurried = []
    monkeypatch.setattr(claims_module, "_quick_commit", lambda: hurried.append(1))
    with transaction.atomic():
        claim = claim_one()
    assert hurried == []
    claim.release(error="LATER", retry_in=0)
    claim_one()
    assert hurried == [1]
