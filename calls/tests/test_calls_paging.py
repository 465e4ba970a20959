"""Paging GET /calls while calls end, are scored and are erased: nothing twice, nothing left out."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from time import monotonic

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from calls.models import Call
from calls.tests.making import API, Integrator, code, make_drill, make_integrator
from calls.tests.making_calls import make_call
from tenants.isolation import tenant_scope
from tenants.models import Agency, ApiKey
from tenants.services import api_key_create

pytestmark = pytest.mark.django_db

BASE = datetime(2026, 6, 5, 14, 0, tzinfo=UTC)
LONG_AGO = {"from": "2020-01-01"}
AGENCIES = (None, "chicago", "boston", "denver")
LIMITED_TO = ("chicago", "denver")
HELD_BACK_AT_MOST = 30.0  # seconds; about a quarter, unless something else writes meanwhile
NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)  # an example is a second of requests


@pytest.fixture(autouse=True)
def drill(db):
    return make_drill()


@dataclass
class Desk:
    """An integrator of its own for each example; those of earlier ones are the strangers."""

    integrator: Integrator
    limited: Integrator  # with a key for two agencies
    waiting: list[Call] = field(default_factory=list)
    scored: list[Call] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)

    @classmethod
    def make(cls) -> "Desk":
        acme = make_integrator()
        with tenant_scope(acme.tenant.pk):
            rows = [
                Agency.objects.create(tenant=acme.tenant, external_id=name) for name in AGENCIES[1:]
            ]
        some = [row.pk for row in rows if row.external_id in LIMITED_TO]
        key, secret = api_key_create(tenant=acme.tenant, name="Some", agencies=some)
        return cls(acme, Integrator(acme.tenant, key, secret))

    def do(self, deed: str, minute: int, user: str, agency: str | None, pick: int) -> None:
        """One thing that happens; what it has nothing to happen to does not."""
        tenant = self.integrator.tenant
        if deed == "end":
            ended_at = BASE + timedelta(minutes=minute)
            who = {"user": user, "agency": agency}
            call = make_call(tenant, ended_at=ended_at, stage="transcribed", **who)
            self.waiting.append(call)
        elif deed == "score" and self.waiting:
            call = self.waiting.pop(pick % len(self.waiting))
            with tenant_scope(tenant.pk):
                Call.objects.filter(pk=call.pk).update(stage="scored", scored_at=Now())
            self.scored.append(call)
        elif deed == "erase" and self.scored:
            call = self.scored.pop(pick % len(self.scored))
            with tenant_scope(tenant.pk):
                Call.objects.filter(pk=call.pk).delete()
            self.erased.add(call.public_id)


def page(caller, query, cursor=None):
    answer = Client().get(
        f"{API}/calls",
        query | ({"cursor": cursor} if cursor else {}),
        headers={"Authorization": f"Bearer {caller.secret}"},
    )
    assert answer.status_code == 200, answer.content
    body = answer.json()
    return body["data"], body["nextCursor"]


@dataclass
class Poller:
    """Walks to the end each time and goes on from the last row's `scoredAt`."""

    caller: Integrator
    limit: int
    user: str | None
    met: set[str] = field(default_factory=set)
    since: str = "2020-01-01"

    def poll(self) -> None:
        query = {"scoredFrom": self.since, "limit": self.limit}
        query |= {"externalUserId": self.user} if self.user else {}
        rows, cursor = page(self.caller, query)
        while cursor is not None:
            more, cursor = page(self.caller, query, cursor)
            rows += more
        assert len({row["id"] for row in rows}) == len(rows)
        assert [row["scoredAt"] for row in rows] == sorted(row["scoredAt"] for row in rows)
        self.met |= {row["id"] for row in rows}
        self.since = rows[-1]["scoredAt"] if rows else self.since


def wanted(desk, limited, minutes, user, agency):
    """The public ids that the list holds now."""
    first, last = minutes
    return {
        call.public_id
        for call in desk.scored
        if (not limited or call.external_agency_id in LIMITED_TO)
        and BASE + timedelta(minutes=first) <= call.ended_at <= BASE + timedelta(minutes=last)
        and user in (None, call.external_user_id)
        and agency in (None, call.external_agency_id)
    }


# Few minutes, reps and agencies, so that many calls end at once and pages break between them.
DEEDS = st.tuples(
    st.sampled_from(["end", "score", "score", "erase"]),
    st.integers(0, 2),
    st.sampled_from(["sam", "kim"]),
    st.sampled_from(AGENCIES),
    st.integers(0, 50),
)
BEFORE = st.lists(DEEDS, min_size=10, max_size=25)
BETWEEN = st.lists(st.lists(DEEDS, max_size=4), max_size=8)


@pytest.mark.slow
@settings(
    max_examples=12,
    deadline=None,
    phases=NO_SHRINK,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    before=BEFORE,
    between=BETWEEN,
    limit=st.integers(1, 4),
    limited=st.booleans(),
    minutes=st.sampled_from([(0, 2), (0, 1), (1, 2), (1, 1)]),
    user=st.sampled_from([None, "sam"]),
    agency=st.sampled_from([None, None, "chicago", "boston", "nowhere"]),
)
def test_pages_hold_what_was_scored_before_the_first_and_hold_it_once(
    before, between, limit, limited, minutes, user, agency
):
    desk = Desk.make()
    for deed in before:
        desk.do(*deed)
    times = [(BASE + timedelta(minutes=each)).isoformat() for each in minutes]
    query = {"from": times[0], "to": times[1], "source": "roleplay", "limit": limit}
    query |= {"externalUserId": user} if user else {}
    query |= {"externalAgencyId": agency} if agency else {}
    caller = desk.limited if limited else desk.integrator

    at_first = wanted(desk, limited, minutes, user, agency)
    rows, cursor = page(caller, query)
    for deeds in itertools.chain(between, itertools.repeat(())):
        if cursor is None:
            break
        for deed in deeds:
            desk.do(*deed)
        more, cursor = page(caller, query, cursor)
        rows += more

    found = [row["id"] for row in rows]
    assert len(found) == len(set(found))
    assert at_first - desk.erased <= set(found) <= at_first
    assert [row["endedAt"] for row in rows] == sorted((r["endedAt"] for r in rows), reverse=True)


@pytest.mark.slow
@settings(
    max_examples=6,
    deadline=None,
    phases=NO_SHRINK,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    before=BEFORE,
    between=BETWEEN,
    limit=st.integers(1, 4),
    limited=st.booleans(),
    user=st.sampled_from([None, "sam"]),
)
def test_a_poller_meets_every_call_that_is_scored(before, between, limit, limited, user):
    desk = Desk.make()
    poller = Poller(desk.limited if limited else desk.integrator, limit, user)
    for deeds in [before, *between]:
        for deed in deeds:
            desk.do(*deed)
        poller.poll()

    there = wanted(desk, limited, (0, 2), user, None)
    until = monotonic() + HELD_BACK_AT_MOST
    while not there <= poller.met and monotonic() < until:
        poller.poll()
    assert there <= poller.met <= there | desk.erased


def test_calls_that_ended_at_once_are_parted_by_a_page(stranger_rows):
    """Twelve ends at one moment, seen three at a time: the id tells them apart."""
    acme = make_integrator()
    ids = {make_call(acme.tenant, ended_at=BASE, scored_at=BASE).public_id for _ in range(12)}
    for query in (LONG_AGO, {"scoredFrom": "2020-01-01"}):
        rows, cursor, pages = [], None, 0
        while pages == 0 or cursor is not None:
            more, cursor = page(acme, {**query, "limit": 3}, cursor)
            rows, pages = rows + more, pages + 1
        assert pages == 4
        assert sorted(row["id"] for row in rows) == sorted(ids)


def test_the_last_call_of_a_page_may_be_erased(stranger_rows):
    """The cursor names a place, not a row that must be there."""
    acme = make_integrator()
    calls = [make_call(acme.tenant, ended_at=BASE - timedelta(hours=n)) for n in range(5)]
    rows, cursor = page(acme, LONG_AGO | {"limit": 2})
    with tenant_scope(acme.tenant.pk):
        Call.objects.filter(pk=calls[1].pk).delete()
    rest, _ = page(acme, LONG_AGO | {"limit": 5}, cursor)
    assert [row["id"] for row in rows + rest] == [call.public_id for call in calls]


@pytest.mark.django_db(transaction=True)
def test_a_poller_waits_for_nobody_who_only_reads():
    acme = make_integrator()
    call = make_call(acme.tenant, stage="transcribed")
    began, go_on = Event(), Event()

    def read_slowly():
        try:
            with tenant_scope(acme.tenant.pk):
                assert Call.objects.filter(pk=call.pk).exists()
                began.set()
                assert go_on.wait(60)
        finally:
            connection.close()

    reader = Thread(target=read_slowly)
    reader.start()
    try:
        assert began.wait(20)
        with tenant_scope(acme.tenant.pk):
            Call.objects.filter(pk=call.pk).update(stage="scored", scored_at=Now())
        connection.close()
        until, rows = monotonic() + HELD_BACK_AT_MOST, []
        while not rows and monotonic() < until:
            rows, _ = page(acme, {"scoredFrom": "2020-01-01"})
        assert [row["id"] for row in rows] == [call.public_id]
    finally:
        go_on.set()
        reader.join(20)


@pytest.mark.parametrize("names", [(), ("chicago",), ("chicago", "boston"), AGENCIES[1:]])
def test_a_key_of_several_agencies_has_one_list_of_all_of_them(names, stranger_rows):
    acme = make_integrator()
    expected = []
    for number in range(12):
        agency = AGENCIES[number % 4]
        call = make_call(acme.tenant, agency=agency, ended_at=BASE - timedelta(hours=number))
        expected += [call.public_id] if agency in names or not names else []
    with tenant_scope(acme.tenant.pk):
        some = list(Agency.objects.filter(external_id__in=names).values_list("pk", flat=True))
    key, secret = api_key_create(tenant=acme.tenant, name="Some", agencies=some)
    caller = Integrator(acme.tenant, key, secret)
    rows, cursor = page(caller, LONG_AGO | {"limit": 2})
    while cursor is not None:
        more, cursor = page(caller, LONG_AGO | {"limit": 2}, cursor)
        rows += more
    assert [row["id"] for row in rows] == expected


@pytest.mark.parametrize("query", [LONG_AGO, {"scoredFrom": "2020-01-01"}])
def test_a_page_costs_as_many_queries_as_a_row(query, django_assert_max_num_queries):
    acme = make_integrator()
    for number in range(8):
        make_call(acme.tenant, agency="chicago", ended_at=BASE - timedelta(hours=number))
    with django_assert_max_num_queries(7):
        assert len(page(acme, query)[0]) == 8


def test_a_cursor_of_the_sandbox_is_none_of_the_real_list():
    acme = make_integrator()
    for mode in (ApiKey.Mode.LIVE, ApiKey.Mode.TEST):
        for _ in range(3):
            make_call(acme.tenant, mode=mode)
    key, secret = api_key_create(tenant=acme.tenant, name="Sandbox", mode=ApiKey.Mode.TEST)
    _, cursor = page(Integrator(acme.tenant, key, secret), LONG_AGO | {"limit": 1})
    answer = Client().get(
        f"{API}/calls",
        LONG_AGO | {"cursor": cursor},
        headers={"Authorization": f"Bearer {acme.secret}"},
    )
    assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST")
    assert answer.json()["error"]["details"] == {"field": "cursor"}


@pytest.fixture
def stranger_rows():
    """Another tenant's calls, at the very same moments."""
    stranger = make_integrator("Stranger")
    for agency in AGENCIES:
        make_call(stranger.tenant, ended_at=BASE, scored_at=BASE, agency=agency)
