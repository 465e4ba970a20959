"""How often a caller may ask: counted at Valkey for all web processes together.

The count is GCRA: one moment per bucket, that at which a caller who asked no faster than the
sustained rate would have asked as often. One script reads and moves it, so that concurrent callers
get exactly the quota. While Valkey is away or slow each process counts for itself.
"""

import logging
import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv6Address, ip_network
from threading import Lock

from django.conf import settings
from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import RedisError
from redis.retry import Retry

from tenants import keys
from tenants.client_address import Address

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.25  # for Valkey at most, whether it doesn't connect, doesn't answer or is crowded
REST_SECONDS = 1.0  # between two tries while it is away, so that a hung one delays one request
CONNECTIONS = 64  # of a process
REMEMBERED = 10_000  # buckets counted here, and keys known to be good
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` requests at once, and as many again in each `window` of seconds, evenly."""

    name: str  # as the header fields name it
    quota: int
    window: int

    @property
    def interval(self) -> int:
        """Microseconds after which one more request is free."""
        return max(1, self.window * _MICROSECONDS // self.quota)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands after this request."""

    policy: Policy
    allowed: bool
    remaining: int  # requests
    wait: int  # seconds until one more is free, rounded up


@dataclass(frozen=True, slots=True)
class Bucket:
    """Whose requests are counted together. A cost of 0 only looks."""

    policy: Policy
    owner: str
    cost: int = 1

    @property
    def name(self) -> str:
        """With the numbers, so that new settings start a new count."""
        policy = self.policy
        return f"{policy.name}:{policy.quota}/{policy.window}:{self.owner}"


# --- what the API asks for -----------------------------------------------------------------------


def key_spend(key: str, address: Address | None) -> Standing | None:
    """Count one request by an API key, before anything is looked up.

    None for what is no key by its form: refusing that costs nothing. A key that was never good here
    is also held to what its address may still try, so that guessing can't keep the database busy,
    and a stranger at the same address can't lock out who has a good one.
    """
    if keys.parse(key) is None:
        return None
    identity = key_identity(key)
    wanted = Bucket(_policy("key"), identity)
    if identity in _good_keys:
        return _spend([wanted])[0]
    tries, mine = _spend([_tries(address, cost=0), wanted])
    if mine.allowed and tries.remaining == 0:
        return Standing(tries.policy, allowed=False, remaining=0, wait=tries.wait)
    return mine


def key_was_good(key: str) -> None:
    _good_keys.add(key_identity(key))


def key_was_unknown(key: str, address: Address | None) -> None:
    """Count a key that has the form but that nobody was given, against where it came from."""
    if keys.parse(key) is not None:
        _spend([_tries(address, cost=1)])


def key_identity(key: str) -> str:
    """Of a key, fit to be remembered: its digest under the newest pepper."""
    pepper = next(iter(settings.API_KEY_PEPPERS.values()))
    return keys.digest(key, pepper).hex()[:32]


def redeem_spend(tenant_id: uuid.UUID) -> Standing:
    """Count one try to start a call; browsers hold no key, so the whole tenant shares this."""
    return _spend([Bucket(_policy("redeem"), str(tenant_id))])[0]


def standing_headers(standing: Standing) -> dict[str, str]:
    """As draft-ietf-httpapi-ratelimit-headers has them: structured fields."""
    policy = standing.policy
    return {
        "RateLimit-Policy": f'"{policy.name}";q={policy.quota};w={policy.window}',
        "RateLimit": f'"{policy.name}";r={standing.remaining};t={standing.wait}',
    }


# --- the count -----------------------------------------------------------------------------------


def standing_of(policy: Policy, *, allowed: bool, backlog: int) -> Standing:
    """`backlog`: microseconds from now to the bucket's moment, 0 for a full quota."""
    used = math.ceil(backlog / policy.interval)
    wait = math.ceil((backlog - (used - 1) * policy.interval) / _MICROSECONDS) if used else 0
    return Standing(policy, allowed=allowed, remaining=policy.quota - used, wait=wait)


_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answer = {}
for i, key in ipairs(KEYS) do
  local interval, quota, cost = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local moment = math.max(tonumber(redis.call('GET', key) or now), now)
  local later = moment + cost * interval
  local allowed = later - now <= quota * interval
  if allowed and later > moment then
    local life = math.ceil((later - now) / 1000)
    redis.call('SET', key, string.format('%.0f', later), 'PX', life)
    moment = later
  end
  answer[i] = {allowed and 1 or 0, moment - now}
end
return answer
"""


class LocalCounts:
    """The same count in this process alone. Full, it forgets the oldest bucket."""

    def __init__(self, *, most: int = REMEMBERED) -> None:
        self._moments: dict[str, int] = {}
        self._most = most
        self._lock = Lock()

    def spend(self, bucket: Bucket, *, now: int) -> Standing:
        """`now` in microseconds, of any clock that doesn't go back."""
        interval = bucket.policy.interval
        with self._lock:
            moment = max(self._moments.get(bucket.name, now), now)
            later = moment + bucket.cost * interval
            allowed = later - now <= bucket.policy.quota * interval
            if allowed and later > moment:
                moment = self._moments[bucket.name] = later
            while len(self._moments) > self._most:
                del self._moments[next(iter(self._moments))]
        return standing_of(bucket.policy, allowed=allowed, backlog=moment - now)


class _GoodKeys:
    """Digests of keys that were good in this process. Full, it starts anew."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __contains__(self, identity: str) -> bool:
        return identity in self._known

    def add(self, identity: str) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known.add(identity)


_good_keys = _GoodKeys()
_local = LocalCounts()
_resting_until = 0.0  # monotonic seconds; 0 while Valkey answers


def _spend(buckets: Sequence[Bucket]) -> list[Standing]:
    shared = _spend_shared(buckets)
    if shared is not None:
        return shared
    now = time.monotonic_ns() // 1000
    return [_local.spend(bucket, now=now) for bucket in buckets]


def _spend_shared(buckets: Sequence[Bucket]) -> list[Standing] | None:
    """None while Valkey doesn't answer. One request a second finds out whether it does again."""
    global _resting_until
    was_away = _resting_until > 0
    if was_away:
        if time.monotonic() < _resting_until:
            return None
        _resting_until = time.monotonic() + REST_SECONDS
    numbers = [n for b in buckets for n in (b.policy.interval, b.policy.quota, b.cost)]
    names = [f"{settings.CHANNEL_PREFIX}:rate:{bucket.name}" for bucket in buckets]
    try:
        found = _script()(keys=names, args=numbers)
    except (RedisError, OSError) as away:
        _resting_until = time.monotonic() + REST_SECONDS
        if not was_away:
            facts = {"error": type(away).__name__}
            logger.warning("rate limits count in this process only", extra=facts)
        return None
    if was_away:
        logger.info("rate limits are shared again")
    _resting_until = 0.0
    return [
        standing_of(bucket.policy, allowed=bool(allowed), backlog=backlog)
        for bucket, (allowed, backlog) in zip(buckets, found, strict=True)
    ]


def _policy(name: str) -> Policy:
    quota, window = settings.RATE_LIMITS[name]
    return Policy(name, quota, window)


def _tries(address: Address | None, *, cost: int) -> Bucket:
    """By address; of IPv6 by the /64 that one customer holds."""
    place = str(address)
    if isinstance(address, IPv6Address):
        place = str(ip_network((address, 64), strict=False))
    return Bucket(_policy("unknown-keys"), place, cost)


@cache
def _script() -> Script:
    pool = BlockingConnectionPool.from_url(
        settings.REDIS_URL,
        max_connections=CONNECTIONS,
        timeout=WAIT_SECONDS,
        socket_timeout=WAIT_SECONDS,
        socket_connect_timeout=WAIT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=pool).register_script(_SCRIPT)
