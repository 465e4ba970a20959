"""GET /usage, and that minting counts the same minutes."""

import os
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection
from django.db.models import F, Sum
from django.test import Client
from django.utils import timezone

from calls.history.listing import Reader
from calls.models import Call
from calls.selectors import minutes_used
from calls.tests.making import API, code, make_drill, make_integrator, make_worker, redeem
from calls.tests.making_calls import make_call
from calls.usage.counting import Month
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Agency, Tenant
from tenants.services import api_key_create

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)
NOTHING = {"minutesUsed": 0.0, "billableMinutes": 0.0, "calls": 0, "scoredCalls": 0}


@pytest.fixture
def acme(db):
    make_drill()
    return make_integrator("Acme")


def usage(secret, **query):
    answer = Client().get(f"{API}/usage", query, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def june(secret, **query):
    return usage(secret, month="2026-06", **query)


def counts(body):
    return {name: body[name] for name in NOTHING}


def test_a_month_without_calls(acme):
    assert june(acme.secret) == {
        "month": "2026-06",
        "from": "2026-06-01T00:00:00.000Z",
        "before": "2026-07-01T00:00:00.000Z",
        "minutesAllowed": None,
        **NOTHING,
    }


def test_a_call_counts_in_the_month_in_which_it_ends(acme):
    moment = timedelta(milliseconds=1)
    for ended in (JUNE - moment, JUNE, JULY - moment, JULY):
        make_call(acme.tenant, ended_at=ended, seconds=90)
    assert counts(june(acme.secret)) == {
        "minutesUsed": 3.0, "billableMinutes": 3.0, "calls": 2, "scoredCalls": 2,
    }  # fmt: skip
    assert usage(acme.secret, month="2026-05")["calls"] == 1
    assert usage(acme.secret, month="2026-07")["calls"] == 1


def test_what_could_not_be_scored_counts_and_is_not_billed(acme):
    make_call(acme.tenant, ended_at=JUNE, seconds=60)
    failed = {"stage": "failed", "failure": "rep_never_spoke", "scored_at": None}
    for fields in (failed, {"stage": "ended"}, {"stage": "transcribed"}):
        make_call(acme.tenant, ended_at=JUNE, seconds=120, **fields)
    # nobody came: it has no length
    make_call(acme.tenant, ended_at=JUNE, **failed | {"failure": "never_connected"})
    with tenant_scope(acme.tenant.pk):
        Call.objects.filter(failure="never_connected").update(started_at=None)
    assert counts(june(acme.secret)) == {
        "minutesUsed": 7.0, "billableMinutes": 1.0, "calls": 4, "scoredCalls": 1,
    }  # fmt: skip


def test_seconds_are_summed_before_they_are_rounded(acme):
    for _ in range(100):
        make_call(acme.tenant, ended_at=JUNE, seconds=0.26)
    assert june(acme.secret)["minutesUsed"] == 0.43


def test_a_running_call_counts_in_this_month_only(acme):
    call = make_call(acme.tenant, stage="live", scored_at=None)
    with tenant_scope(acme.tenant.pk):
        started = timezone.now() - timedelta(minutes=10)
        Call.objects.filter(pk=call.pk).update(ended_at=None, scored_at=None, started_at=started)
    body = usage(acme.secret)
    assert body["month"] == f"{timezone.now():%Y-%m}"
    assert 10 <= body["minutesUsed"] < 11
    assert (body["calls"], body["scoredCalls"], body["billableMinutes"]) == (1, 0, 0.0)
    assert counts(june(acme.secret)) == NOTHING


def test_strangers_and_the_sandbox_are_no_part_of_it(acme):
    stranger = make_integrator("Stranger")
    _, sandbox = api_key_create(tenant=acme.tenant, name="Sandbox", mode="test")
    with tenant_scope(acme.tenant.pk):
        Tenant.objects.update(monthly_minutes=500)
    make_call(stranger.tenant, ended_at=JUNE)
    make_call(acme.tenant, ended_at=JUNE, seconds=60)
    make_call(acme.tenant, ended_at=JUNE, seconds=600, mode="test")
    assert (june(acme.secret)["minutesUsed"], june(acme.secret)["minutesAllowed"]) == (1.0, 500)
    assert (june(sandbox)["minutesUsed"], june(sandbox)["minutesAllowed"]) == (10.0, None)
    assert june(stranger.secret)["calls"] == 1


def test_by_agency_the_most_minutes_first(acme):
    for agency, seconds in (("boston", 60), ("chicago", 120), (None, 30), ("chicago", 60)):
        make_call(acme.tenant, agency=agency, ended_at=JUNE, seconds=seconds)
    body = june(acme.secret, by="agency")
    assert body["minutesUsed"] == 4.5
    assert [(one["externalAgencyId"], one["minutesUsed"], one["calls"])
            for one in body["agencies"]] == [("chicago", 3.0, 2), ("boston", 1.0, 1),
                                             (None, 0.5, 1)]  # fmt: skip
    assert "agencies" not in june(acme.secret)


def test_the_list_of_agencies_is_bounded_and_the_sum_is_not(acme, monkeypatch):
    monkeypatch.setattr("calls.usage.api.MOST_AGENCIES", 2)
    for number in range(3):
        make_call(acme.tenant, agency=f"agency-{number}", ended_at=JUNE, seconds=60)
    body = june(acme.secret, by="agency")
    assert (len(body["agencies"]), body["minutesUsed"]) == (2, 3.0)


def test_a_key_of_some_agencies_sees_theirs_only(acme):
    for agency in ("chicago", "boston", None):
        make_call(acme.tenant, agency=agency, ended_at=JUNE, seconds=60)
    with tenant_scope(acme.tenant.pk):
        Tenant.objects.update(monthly_minutes=500)
        chicago = Agency.objects.get(external_id="chicago")
    _, limited = api_key_create(tenant=acme.tenant, name="Chicago", agencies=[chicago.pk])
    body = june(limited, by="agency")
    assert (body["minutesUsed"], body["minutesAllowed"]) == (1.0, None)
    assert [one["externalAgencyId"] for one in body["agencies"]] == ["chicago"]


@pytest.mark.parametrize(
    "month",
    ["", "2026", "2026-6", "2026-13", "2026-00", "1999-12", "2026-06-01", "9999-12", "٢٠٢٦-06",
              "last"],
)  # fmt: skip
def test_odd_months_are_refused(acme, month):
    headers = {"Authorization": f"Bearer {acme.secret}"}
    answer = Client().get(f"{API}/usage", {"month": month}, headers=headers)
    assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST")
    assert answer.json()["error"]["details"] == {"field": "month"}


def test_an_odd_by_is_refused(acme):
    headers = {"Authorization": f"Bearer {acme.secret}"}
    answer = Client().get(f"{API}/usage", {"by": "rep"}, headers=headers)
    assert answer.json()["error"]["details"] == {"field": "by"}


def test_the_scope_is_needed(acme):
    _, secret = api_key_create(tenant=acme.tenant, name="Minter", scopes=["sessions:write"])
    answer = Client().get(f"{API}/usage", headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, code(answer)) == (403, "INSUFFICIENT_SCOPE")


@pytest.mark.parametrize(
    ("now", "begin", "end"),
    [("2026-12-31T23:59:59+00:00", "2026-12-01", "2027-01-01"),
     ("2027-01-01T00:30:00+01:00", "2026-12-01", "2027-01-01"),  # UTC decides
     ("2024-02-29T12:00:00+00:00", "2024-02-01", "2024-03-01")],
)  # fmt: skip
def test_months_are_those_of_utc(now, begin, end):
    month = Month.of(datetime.fromisoformat(now))
    assert (f"{month.begin:%Y-%m-%d}", f"{month.end:%Y-%m-%d}") == (begin, end)
    assert Month.parse(str(month)) == month
    with pytest.raises(InvalidRequest):
        Month.parse(f"{month}-")


def test_the_quota_counts_what_the_usage_shows(acme):
    for seconds in (60.5, 33.25, 601.125):
        make_call(acme.tenant, seconds=seconds, ended_at=timezone.now())
    with tenant_scope(acme.tenant.pk):
        counted = minutes_used(tenant=acme.tenant)
    assert round(counted, 2) == usage(acme.secret)["minutesUsed"]


def test_the_allowance_gates_mints_and_takes_no_token_back(acme):
    """Minutes are known when they were spent, so tokens given before the last one stay good."""
    with tenant_scope(acme.tenant.pk):
        Tenant.objects.update(monthly_minutes=1)
    tokens = [acme.token(f"rep{n}") for n in range(5)]
    make_call(acme.tenant, seconds=60, ended_at=timezone.now())
    assert code(acme.post("/session", {"externalUserId": "r"})) == "TENANT_QUOTA_EXCEEDED"
    make_worker(slots=5)
    assert [redeem(token).status_code for token in tokens] == [200] * 5


@pytest.mark.django_db(transaction=True)
def test_a_month_among_many_calls_is_told_by_the_index_alone():
    """The plan of the sum, with a table that is worth an index."""
    make_drill()
    acme, stranger = make_integrator("Acme"), make_integrator("Stranger")
    for tenant in (acme.tenant, stranger.tenant):
        call = make_call(tenant, ended_at=JUNE)
        with tenant_scope(tenant.pk), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = on")  # else VACUUM waits
            cursor.execute(MANY, {"call": call.pk})
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE calls_call")
    reader = Reader(acme.tenant.pk)
    with tenant_scope(acme.tenant.pk):
        calls = reader.calls().filter(
            ended_at__gte=JULY, ended_at__lt=JULY + timedelta(days=31), started_at__isnull=False
        )
        spent = Sum(F("ended_at") - F("started_at"))
        plan = calls.values("external_agency_id").annotate(spent=spent).order_by().explain()
    assert "Index Only Scan using call_usage" in plan, plan
    assert usage(acme.secret, month="2026-07")["calls"] == 31 * 24


MANY = """
INSERT INTO calls_call (id, tenant_id, public_id, session_id, mode, source, rep_id, agency_id,
    external_user_id, drill_owner_id, drill_id, drill_key, difficulty, filters, persona_name, seed,
    stage, end_reason, failure, epoch, created_at, updated_at, started_at, ended_at, scored_at,
    tries, failures, last_error, consent_source, consent_version)
SELECT gen_random_uuid(), tenant_id, gen_random_uuid()::text, gen_random_uuid()::text, mode,
    source, rep_id, agency_id, external_user_id, drill_owner_id, drill_id, drill_key, difficulty,
    filters, persona_name, seed, stage, end_reason, failure, epoch, created_at, updated_at,
    started_at + number * interval '1 hour', ended_at + number * interval '1 hour', scored_at,
    tries, failures, last_error, consent_source, consent_version
FROM calls_call, generate_series(1, 8000) AS number WHERE id = %(call)s
"""
