"""How often one may ask: the count itself, and that Valkey counts the same, exactly."""

import os
import subprocess
import sys
import uuid
from ipaddress import ip_address

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis import Redis

from tenants import keys, rate_limits
from tenants.rate_limits import Bucket, LocalCounts, Policy, standing_headers

SECOND = 1_000_000  # in the microseconds that are counted


# --- the count -----------------------------------------------------------------------------------


def test_a_full_bucket_gives_its_quota_and_fills_evenly():
    counts, bucket = LocalCounts(), Bucket(Policy("key", quota=3, window=30), "a")
    given = [counts.spend(bucket, now=100 * SECOND) for _ in range(4)]
    assert [(s.allowed, s.remaining, s.wait) for s in given] == [
        (True, 2, 10), (True, 1, 10), (True, 0, 10), (False, 0, 10)
    ]  # fmt: skip
    assert not counts.spend(bucket, now=109 * SECOND).allowed
    later = counts.spend(bucket, now=110 * SECOND)
    assert (later.allowed, later.remaining) == (True, 0)
    assert counts.spend(bucket, now=200 * SECOND).remaining == 2


def test_a_refusal_costs_nothing_and_a_look_neither():
    counts, policy = LocalCounts(), Policy("key", quota=1, window=10)
    look = Bucket(policy, "a", cost=0)
    assert counts.spend(look, now=0).remaining == 1
    assert counts.spend(Bucket(policy, "a"), now=0).allowed
    for _ in range(50):
        assert not counts.spend(Bucket(policy, "a"), now=0).allowed
    assert counts.spend(look, now=0).remaining == 0
    assert counts.spend(Bucket(policy, "a"), now=10 * SECOND).allowed


@hypothesis_settings(deadline=None)
@given(
    quota=st.integers(1, 50),
    window=st.integers(1, 100),
    pauses=st.lists(st.integers(0, 5 * SECOND), max_size=120),
)
def test_no_span_of_time_gives_more_than_the_burst_and_what_became_free(quota, window, pauses):
    counts, bucket = LocalCounts(), Bucket(Policy("key", quota, window), "a")
    now, passed = 0, 0
    for pause in pauses:
        now += pause
        standing = counts.spend(bucket, now=now)
        passed += standing.allowed
        assert passed <= quota + now // bucket.policy.interval
        assert 0 <= standing.remaining < quota
        if not standing.allowed:  # and whoever waits as long as told gets through
            assert counts.spend(
                Bucket(bucket.policy, "a", cost=0), now=now + standing.wait * SECOND
            ).remaining


def test_the_local_count_forgets_the_oldest_not_everything():
    counts, policy = LocalCounts(most=3), Policy("key", quota=1, window=10)
    for name in "abcd":
        assert counts.spend(Bucket(policy, name), now=0).allowed
    assert not counts.spend(Bucket(policy, "d"), now=0).allowed
    assert counts.spend(Bucket(policy, "a"), now=0).allowed


def test_valkey_counts_as_we_do(settings):
    settings.RATE_LIMITS = {"redeem": (3, 86_400)}
    tenant, local = uuid.uuid4(), LocalCounts()
    bucket = Bucket(rate_limits._policy("redeem"), "a")
    for _ in range(5):
        shared, own = rate_limits.redeem_spend(tenant), local.spend(bucket, now=0)
        assert (shared.allowed, shared.remaining) == (own.allowed, own.remaining)
        assert 0 < shared.wait <= own.wait  # of a window that began a moment ago
    assert rate_limits.redeem_spend(uuid.uuid4()).remaining == 2  # a stranger has its own


def test_the_header_fields_are_structured_fields():
    standing = rate_limits.standing_of(Policy("key", 6000, 60), allowed=True, backlog=25_000)
    assert standing_headers(standing) == {
        "RateLimit-Policy": '"key";q=6000;w=60',
        "RateLimit": '"key";r=5997;t=1',
    }


def test_no_key_is_in_what_valkey_keeps(settings):
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"key": (3, 86_400)}
    key = keys.make("live")
    rate_limits.key_spend(key, ip_address("192.0.2.9"))
    names = [name.decode() for name in Redis.from_url(settings.REDIS_URL).scan_iter("*:rate:*")]
    assert names
    assert not any(key[9:40] in name for name in names)


# --- exactly -------------------------------------------------------------------------------------

_RACE = """
import sys, threading, uuid
import django
django.setup()
from django.conf import settings
from tenants import rate_limits
settings.RATE_LIMITS = {"redeem": (int(sys.argv[2]), 86400)}
tenant, each = uuid.UUID(sys.argv[1]), int(sys.argv[3])
passed, ready = [], threading.Barrier(33)
def race():
    ready.wait(60)
    passed.extend(rate_limits.redeem_spend(tenant).allowed for _ in range(each))
threads = [threading.Thread(target=race) for _ in range(32)]
[t.start() for t in threads]
print("ready", flush=True)
sys.stdin.readline()
ready.wait(60)
[t.join(120) for t in threads]
assert rate_limits._resting_until == 0.0, "counted locally"
print(sum(passed), len(passed), flush=True)
"""


def test_64_callers_in_two_processes_get_exactly_the_quota():
    quota, each = 500, 20
    arguments = [sys.executable, "-c", _RACE, str(uuid.uuid4()), str(quota), str(each)]
    racers = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                         env=os.environ)
        for _ in range(2)
    ]  # fmt: skip
    try:
        for racer in racers:
            assert racer.stdout.readline() == "ready\n"
        results = [racer.communicate("go\n", timeout=120)[0].split() for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait(10)
    assert sum(int(passed) for passed, _ in results) == quota
    assert sum(int(asked) for _, asked in results) == 64 * each
