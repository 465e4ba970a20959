"""Why did my CRM not update? The log of the whole account, searched."""

import uuid
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tenants.isolation import tenant_scope
from tenants.models import ApiKey
from webhooks.log import LogQuery, deliveries_page
from webhooks.models import Delivery, Event
from webhooks.services import CALL_ENDED, RehearsalPlan, event_publish
from webhooks.tests import making
from webhooks.tests.test_endpoint_api import URL, Backend, fail

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]

CALL = "athos_call_" + "c" * 21


@pytest.fixture
def acme():
    return Backend(making.make_tenant())


@pytest.fixture
def stranger():
    return Backend(making.make_tenant("Stranger"))


def publish(backend: Backend, call_id: str = CALL, **options) -> Event:
    options = {"type": "call.scored", "subject_id": uuid.uuid4()} | options
    return event_publish(tenant_id=backend.tenant.pk, body=making.facts(callId=call_id), **options)


def search(backend: Backend, **query) -> dict:
    status, found = backend("GET", f"/webhook-deliveries?{urlencode(query)}")
    assert status == 200, found
    return found


def test_one_look_says_why_the_crm_did_not_update(acme):
    crm = acme.endpoint()
    event = publish(acme)
    publish(acme, "athos_call_" + "d" * 21)
    fail(acme.tenant, times=3)
    found = search(acme, callId=CALL)
    (row,) = found["data"]
    assert (row["webhookId"], row["callId"]) == (event.public_id, CALL)
    assert (row["endpointId"], row["endpointUrl"]) == (crm["id"], URL)
    assert row["explanation"].startswith("It has not arrived yet; 3 attempts of 12 failed.")
    assert row["explanation"].endswith("It answered 500.")
    assert (found["nextCursor"], found["absence"]) == (None, None)


def test_what_was_sent_nowhere_says_so(acme, stranger):
    assert search(acme, callId=CALL)["absence"]["code"] == "NO_EVENT"
    publish(acme)
    assert search(acme, callId=CALL)["absence"]["code"] == "NO_ENDPOINT"
    assert search(stranger, callId=CALL)["absence"]["code"] == "NO_EVENT"
    rehearsing = Backend(acme.tenant, mode="test")
    assert search(rehearsing, callId=CALL)["absence"]["code"] == "NO_EVENT"
    acme.endpoint()
    event = publish(acme)
    absence = search(acme, webhookId=event.public_id, state="failed")["absence"]
    assert absence["code"] == "NOT_THERE"
    assert absence["message"].endswith(".")
    assert search(acme, state="failed") == {"data": [], "nextCursor": None, "absence": None}


def test_every_condition_holds_and_all_hold_together(acme, stranger):
    first, second = acme.endpoint(), acme.endpoint(eventTypes=[CALL_ENDED])
    scored, ended = publish(acme), publish(acme, type=CALL_ENDED)
    stranger.endpoint()
    publish(stranger)
    with tenant_scope(acme.tenant.pk):
        Delivery.objects.filter(event=ended).update(created_at=timezone.now() - timedelta(days=2))
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()

    def ids(**query) -> list[str]:
        return [row["webhookId"] for row in search(acme, **query)["data"]]

    assert ids() == [scored.public_id, ended.public_id]
    assert ids(endpointId=second["id"]) == [ended.public_id]
    assert ids(event="call.scored") == [scored.public_id]
    assert ids(webhookId=ended.public_id) == [ended.public_id]
    assert ids(**{"from": yesterday}) == [scored.public_id]
    assert ids(to=yesterday) == [ended.public_id]
    assert ids(callId=CALL, event=CALL_ENDED, endpointId=second["id"]) == [ended.public_id]
    assert ids(event=CALL_ENDED, endpointId=first["id"]) == []
    assert ids(state="pending") == [scored.public_id, ended.public_id]
    assert ids(endpointId="ep_" + "x" * 21) == []


def test_the_log_page_by_page_bound_to_its_search(acme, stranger):
    acme.endpoint()
    events = [publish(acme).public_id for _ in range(5)]
    seen, cursor = [], {}
    while True:
        page = search(acme, limit=2, callId=CALL, **cursor)
        seen += [row["webhookId"] for row in page["data"]]
        cursor = {"cursor": page["nextCursor"]}
        if page["nextCursor"] is None:
            break
    assert seen == events[::-1]
    first = search(acme, limit=2, callId=CALL)["nextCursor"]
    for backend, query in ((acme, {}), (acme, {"callId": "x"}), (stranger, {"callId": CALL})):
        found = backend("GET", f"/webhook-deliveries?{urlencode(query | {'cursor': first})}")
        assert found[1]["error"]["details"] == {"field": "cursor"}


@pytest.mark.parametrize(
    "odd", ["state=odd", "event=odd", "from=noon", "to=noon", "limit=0", "cursor=odd"]
)
def test_odd_searches_are_refused(acme, odd):
    status, refused = acme("GET", f"/webhook-deliveries?{odd}")
    assert (status, refused["error"]["details"]) == (400, {"field": odd.partition("=")[0]})


def test_live_keys_and_test_keys_search_logs_of_their_own(acme):
    rehearsing = Backend(acme.tenant, mode="test")
    acme.endpoint()
    rehearsing.endpoint()
    live, test = publish(acme), publish(acme, test=RehearsalPlan())
    assert [row["webhookId"] for row in search(acme)["data"]] == [live.public_id]
    assert [row["webhookId"] for row in search(rehearsing)["data"]] == [test.public_id]
    limited = Backend(acme.tenant, agencies=[uuid.uuid4()])
    assert limited("GET", "/webhook-deliveries")[0] == 403


def test_a_search_takes_few_queries_however_much_it_finds(acme):
    endpoint = making.make_endpoint(acme.tenant)[0]
    for _ in range(20):
        publish(acme)
    query = LogQuery(mode=ApiKey.Mode.LIVE, call_id=CALL, endpoint_id=endpoint.public_id)
    with CaptureQueriesContext(connection) as asked:
        page = deliveries_page(tenant=acme.tenant, query=query, limit=10)
    assert len(page.deliveries) == 10
    assert {delivery.endpoint.url for delivery in page.deliveries} == {endpoint.url}
    rows = [query for query in asked if " FROM " in query["sql"]]
    assert len(rows) == 3  # the endpoint, the call's events, their deliveries
