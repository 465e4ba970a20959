"""Keys and tokens over real HTTP, at two web processes that share only the engines."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from athos.tests.web_process import WebProcess, request, web_process
from calls.models import Call, SessionToken
from calls.tests.making import API, Integrator, make_drill, make_integrator, make_worker
from calls.tests.test_hostile_tokens import HOSTILE, RING
from tenants.isolation import tenant_scope
from tenants.models import ApiKey, Tenant
from tenants.services import api_key_revoke, tenant_update

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
GIVE_UP = 60.0  # seconds
PLENTY = dict.fromkeys(("RATE_LIMIT_KEY", "RATE_LIMIT_REDEEM"), "1000000/1")


@pytest.fixture(scope="module")
def webs(django_db_setup, tmp_path_factory) -> Iterator[list[WebProcess]]:
    folder = tmp_path_factory.mktemp("webs")
    ring = ",".join(f"{kid}:{secret}" for kid, secret in RING.items())
    more = PLENTY | {"SESSION_TOKEN_KEYS": ring}
    with web_process(folder, **more) as first, web_process(folder, **more) as second:
        yield [first, second]


class Caller:
    """A client that keeps its connection."""

    def __init__(self, web: WebProcess, credential: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=GIVE_UP)
        self._headers = {"Authorization": f"Bearer {credential}", "Host": "localhost"}

    def post(self, path: str, body: dict) -> tuple[int, dict]:
        headers = self._headers | {"Content-Type": "application/json"}
        self._connection.request("POST", f"{API}{path}", json.dumps(body), headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def outcome(self, path: str, body: dict) -> str:
        status, answer = self.post(path, body)
        return "ok" if status == 200 else answer["error"]["code"]

    def close(self) -> None:
        self._connection.close()


def mint(web: WebProcess, integrator: Integrator) -> str:
    caller = Caller(web, integrator.secret)
    status, answer = caller.post("/session", {"externalUserId": "rep_8842"})
    caller.close()
    assert status == 200, answer
    return str(answer["token"])


def redeem(web: WebProcess, token: str, drill: str = "ma-full-sale") -> str:
    caller = Caller(web, token)
    try:
        return caller.outcome("/roleplay/session", {"drillKey": drill})
    finally:
        caller.close()


def together(works: list[Callable[[], None]]) -> None:
    """All at once; a thread that fails or hangs fails the test."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as failure:  # told to the test below
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=GIVE_UP)
    assert not failures, failures
    assert not any(thread.is_alive() for thread in threads)


# --- keys ----------------------------------------------------------------------------------------


def revoke(acme: Integrator) -> None:
    api_key_revoke(tenant=acme.tenant, key_id=acme.key.pk)


def expire(acme: Integrator) -> None:
    with tenant_scope(acme.tenant.pk):
        ApiKey.objects.filter(pk=acme.key.pk).update(expires_at=Now())


def suspend(acme: Integrator) -> None:
    tenant_update(tenant=acme.tenant, status=Tenant.Status.SUSPENDED)


@pytest.mark.parametrize(
    ("end", "code"),
    [(revoke, "API_KEY_REVOKED"), (expire, "API_KEY_REVOKED"), (suspend, "TENANT_INACTIVE")],
)
def test_under_load_no_request_that_begins_after_the_end_is_served(webs, end, code):
    """Nothing of a key is kept in a process: promised is a second, it is the next request."""
    acme, stranger = make_integrator("Acme"), make_integrator("Stranger")
    over = threading.Event()
    each_served = threading.Barrier(9)
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()

    def load(web: WebProcess) -> None:
        caller = Caller(web, acme.secret)
        for number in range(10_000):
            late = over.is_set()
            outcome = caller.outcome("/session", {"externalUserId": "r"})
            (after if late else before)[outcome] += 1
            if number == 2:
                each_served.wait(timeout=GIVE_UP)
            if late and number > 2 and after[code] >= 80:
                return

    def ending() -> None:
        each_served.wait(timeout=GIVE_UP)
        end(acme)
        over.set()

    together([ending, *(lambda web=web: load(web) for web in webs for _ in range(4))])
    assert before["ok"] >= 8 * 3
    assert set(before) <= {"ok", code}
    assert set(after) == {code}
    assert mint(webs[0], stranger)


# --- tokens --------------------------------------------------------------------------------------


def test_a_token_has_one_winner_whatever_the_concurrency(webs):
    acme = make_integrator()
    make_drill()
    make_worker(slots=8)
    tokens = [mint(webs[number % 2], acme) for number in range(8)]
    outcomes: dict[str, list[str]] = {token: [] for token in tokens}
    start = threading.Barrier(32)

    def race(web: WebProcess) -> None:
        for token in tokens:
            start.wait(timeout=GIVE_UP)
            outcome = redeem(web, token)
            while outcome == "SERVICE_UNAVAILABLE":  # a crowded pool; nothing was spent
                time.sleep(0.05)
                outcome = redeem(web, token)
            outcomes[token].append(outcome)

    together([lambda web=web: race(web) for web in webs for _ in range(16)])
    for told in outcomes.values():
        assert Counter(told) == {"ok": 1, "TOKEN_ALREADY_USED": 31}
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.count() == len(tokens)


def test_a_refusal_that_spends_is_known_to_the_other_process(webs):
    acme = make_integrator()
    make_drill()
    make_worker()
    token = mint(webs[0], acme)
    assert redeem(webs[0], token, "no-such-drill") == "DRILL_NOT_FOUND"
    assert redeem(webs[1], token) == "TOKEN_ALREADY_USED"
    with tenant_scope(acme.tenant.pk):
        assert not Call.objects.exists()


def test_the_database_says_when_a_token_is_too_old(webs):
    acme = make_integrator()
    make_drill()
    make_worker()
    token = mint(webs[0], acme)
    with tenant_scope(acme.tenant.pk):
        SessionToken.objects.update(expires_at=Now() - timedelta(seconds=1))
    assert redeem(webs[1], token) == "TOKEN_EXPIRED"


def test_hostile_tokens_over_real_http_are_all_refused_and_break_nothing(webs):
    acme = make_integrator()
    make_drill()
    make_worker()
    token = mint(webs[0], acme)
    refusals: Counter[tuple[int, str]] = Counter()
    for hostile in HOSTILE.values():
        credential = hostile.encode().decode("latin-1")
        headers = {"Authorization": f"Bearer {credential}"}
        path = f"{API}/roleplay/session"
        answer = webs[0].ask(request("POST", path, b'{"drillKey": "ma-full-sale"}', headers))
        refusals[(answer.status, answer.json()["error"]["code"])] += 1
    invalid = refusals.pop((401, "INVALID_TOKEN"))
    assert invalid >= 230
    # what is no HTTP, or too long for a header, does not get as far
    assert {status for status, _ in refusals} <= {400, 431}, refusals
    assert redeem(webs[0], token) == "ok"
