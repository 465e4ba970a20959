"""A bell hurries a worker up. The row is the truth: a lost bell costs a second, never work.

A bell is one message "drain this kind", collapsed in Valkey by `SET NX EX`, so that ten thousand
due rows are one message and not ten thousand.
"""

import logging
import time
from functools import cache, partial

from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection, pools
from kombu.exceptions import KombuError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from work import kinds

logger = logging.getLogger(__name__)

COLLAPSE_SECONDS = 5  # a bell whose worker died unheard keeps others quiet for so long
MESSAGES_MAX = 20  # waiting in one queue; more would only pile up where no worker runs
SOCKET_SECONDS = 0.4
REST_SECONDS = 1.0  # after a failure, so that a hung Valkey costs one request, not every one
DRAIN_SECONDS = 60  # how long one message makes a worker look for rows of its kind
KILL_AFTER_SECONDS = 30  # past the lease limit of the last claim

_resting_until = 0.0


def ring(kind: str) -> None:
    """Call a worker once the transaction commits, or at once outside of one. Never raises."""
    try:
        found = kinds.get(kind)
    except kinds.UnknownKind:
        logger.error("bell_for_unknown_kind", extra={"kind": kind})
        return
    transaction.on_commit(partial(_send, found), robust=True)


def answered(kind: str) -> None:
    """A worker starts to look: what becomes due from here on needs a new bell. Never raises."""
    try:
        _valkey().delete(_key(kind))
    except (RedisError, OSError):
        logger.warning("bell_unreachable", extra={"kind": kind})


def _send(kind: kinds.Kind) -> None:
    global _resting_until
    if time.monotonic() < _resting_until:
        return
    try:
        if not _wanted(kind):
            return
        with pools.producers[_broker()].acquire(block=True, timeout=SOCKET_SECONDS) as producer:
            current_app.send_task(
                kind.task,
                producer=producer,
                queue=kind.queue,
                retry=False,
                ignore_result=True,
                time_limit=DRAIN_SECONDS + kind.lease_limit + KILL_AFTER_SECONDS,
            )
    except (RedisError, KombuError, OSError):
        _resting_until = time.monotonic() + REST_SECONDS
        logger.warning("bell_not_rung", extra={"kind": kind.name})


def _wanted(kind: kinds.Kind) -> bool:
    """Nobody rang in the last seconds, and the queue is not piling up."""
    with _valkey().pipeline(transaction=False) as pipeline:
        pipeline.llen(kind.queue)
        pipeline.set(_key(kind.name), 1, nx=True, ex=COLLAPSE_SECONDS)
        waiting, first = pipeline.execute()
    return bool(first) and waiting < MESSAGES_MAX


def _key(kind: str) -> str:
    return f"work:bell:{kind}"


def _broker() -> Connection:
    """Where messages go, by connections that give up sooner than a worker's, which must wait."""
    brief = {"socket_timeout": SOCKET_SECONDS, "socket_connect_timeout": SOCKET_SECONDS}
    return current_app.connection_for_write(transport_options={**brief, "max_retries": 0})


@cache
def _valkey() -> Redis:
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
