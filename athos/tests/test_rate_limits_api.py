"""What a caller meets who asks too often, and what happens while Valkey is away."""

import signal
import subprocess
import uuid

import pytest
from django.test import Client

from athos.engines.folders import Folders
from athos.engines.programs import signal_group, start
from athos.engines.valkey import Valkey
from calls.models import SessionToken
from calls.tests.making import API, code, make_drill, make_integrator, make_worker, redeem
from tenants import keys, rate_limits
from tenants.isolation import tenant_scope
from tenants.services import api_key_create
from work.tests.test_chaos import wait

LONG = 86_400  # seconds: a window in which nothing becomes free during a test


@pytest.fixture
def limits(settings):
    """Set with `limits(key=3)`: requests a day."""

    def set_(**quotas: int) -> None:
        named = {name.replace("_", "-"): (quota, LONG) for name, quota in quotas.items()}
        settings.RATE_LIMITS = settings.RATE_LIMITS | named

    return set_


@pytest.fixture
def without_valkey(settings, monkeypatch):
    """As after a second without an answer."""
    settings.REDIS_URL = "unix:///nowhere"
    forget_valkey()
    yield
    forget_valkey()


def forget_valkey() -> None:
    rate_limits._script.cache_clear()
    rate_limits._resting_until = 0.0


# --- the API -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_key_that_asks_too_often(limits):
    acme, stranger = make_integrator("Acme"), make_integrator("Stranger")
    limits(key=2)
    for left in (1, 0):
        answer = acme.post("/session", {"externalUserId": "r"})
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"key";q=2;w=86400'
        assert answer.headers["RateLimit"].startswith(f'"key";r={left};t=')
    answer = acme.post("/session", {"externalUserId": "r"})
    assert (answer.status_code, code(answer)) == (429, "RATE_LIMITED")
    assert 0 < int(answer.headers["Retry-After"]) <= LONG // 2
    assert answer.headers["RateLimit"] == f'"key";r=0;t={answer.headers["Retry-After"]}'
    assert stranger.post("/session", {"externalUserId": "r"}).status_code == 200


@pytest.mark.django_db
def test_each_key_of_a_tenant_has_its_own_quota(limits):
    acme = make_integrator("Acme")
    _, second = api_key_create(tenant=acme.tenant, name="Second")
    limits(key=1)
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
    assert code(acme.post("/session", {"externalUserId": "r"})) == "RATE_LIMITED"
    assert ask_with(second).status_code != 429


@pytest.mark.django_db
def test_refusals_count_too_and_a_limited_key_costs_no_query(limits, django_assert_num_queries):
    acme = make_integrator("Acme")
    limits(key=2)
    assert acme.post("/session", "{").status_code == 400
    assert acme.post("/session", {}).status_code == 400
    with django_assert_num_queries(0):
        assert code(acme.post("/session", {"externalUserId": "r"})) == "RATE_LIMITED"


@pytest.mark.django_db
def test_redeeming_too_often_spends_no_token(limits, settings):
    acme, stranger = make_integrator("Acme"), make_integrator("Stranger")
    make_drill()
    make_worker()
    tokens = [acme.token(), acme.token()]
    limits(redeem=1)
    assert redeem(tokens[0]).status_code == 200
    answer = redeem(tokens[1], Origin="https://crm.example.com")
    assert (answer.status_code, code(answer)) == (429, "RATE_LIMITED")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    with tenant_scope(acme.tenant.pk):
        assert SessionToken.objects.exclude(consumed_at=None).count() == 1
    assert redeem(stranger.token()).status_code == 200
    limits(redeem=100)
    assert redeem(tokens[1]).status_code == 200


def ask_with(key: str, address: str = "192.0.2.1"):
    return Client(REMOTE_ADDR=address).get(
        f"{API}/calls", headers={"Authorization": f"Bearer {key}"}
    )


@pytest.fixture
def address() -> str:
    """One that no other test used, in a /64 that no other test used."""
    return f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}::1"


@pytest.mark.django_db
def test_guessing_keys_is_bounded_before_any_query(limits, address, django_assert_num_queries):
    limits(unknown_keys=3)
    for _ in range(3):
        assert code(ask_with(keys.make("live"), address)) == "INVALID_API_KEY"
    with django_assert_num_queries(0):
        answer = ask_with(keys.make("live"), address)
    assert (answer.status_code, code(answer)) == (429, "RATE_LIMITED")
    assert answer.headers["RateLimit-Policy"] == f'"unknown-keys";q=3;w={LONG}'
    neighbour = address[:-1] + "beef"  # the same customer's network
    assert code(ask_with(keys.make("live"), neighbour)) == "RATE_LIMITED"
    assert code(ask_with(keys.make("live"), "192.0.2.77")) == "INVALID_API_KEY"


@pytest.mark.django_db
def test_a_guesser_does_not_lock_out_who_shares_its_address(limits, address):
    acme = make_integrator("Acme")
    assert ask_with(acme.secret, address).status_code == 400  # served: `from` is missing
    limits(unknown_keys=1)
    ask_with(keys.make("live"), address)
    assert code(ask_with(keys.make("live"), address)) == "RATE_LIMITED"
    assert ask_with(acme.secret, address).status_code == 400


@pytest.mark.django_db
def test_what_is_no_key_is_refused_without_being_counted(limits, address):
    limits(unknown_keys=1)
    for junk in ["", "x", "ath_live_" + "0" * 49, keys.make("live")[:-1]] * 3:
        assert code(ask_with(junk, address)) == "INVALID_API_KEY"
    assert code(ask_with(keys.make("live"), address)) == "INVALID_API_KEY"


# --- Valkey away ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_without_valkey_each_process_counts_for_itself(limits, without_valkey, caplog):
    acme = make_integrator("Acme")
    limits(key=2)
    answers = [acme.post("/session", {"externalUserId": "r"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    told = [record for record in caplog.records if record.name == "tenants.rate_limits"]
    assert len(told) == 1  # not once a request
    assert acme.secret not in caplog.text


@pytest.fixture
def own_valkey(tmp_path, settings):
    """A Valkey that may be stopped."""
    engine = Valkey(Folders(tmp_path), durable=False)
    engine.folders.create()
    process = start(engine.program(), subprocess.DEVNULL)
    wait(engine.answers, 10, "Valkey answers")
    settings.REDIS_URL = engine.url
    forget_valkey()
    yield process
    signal_group(process.pid, signal.SIGKILL)
    process.wait(10)
    forget_valkey()


@pytest.mark.chaos
@pytest.mark.django_db
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_valkey_lost_in_the_middle(own_valkey, limits, how):
    """Killed it refuses at once; stopped it takes the request and never answers."""
    acme = make_integrator("Acme")
    limits(key=3)
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
    signal_group(own_valkey.pid, how)
    answers = [acme.post("/session", {"externalUserId": "r"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    if how is signal.SIGSTOP:
        signal_group(own_valkey.pid, signal.SIGCONT)
        rate_limits._resting_until = 1e-9  # the rest is over
        assert acme.post("/session", {"externalUserId": "r"}).status_code == 200  # 2 of 3, shared
