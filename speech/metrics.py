"""What is counted of the speech process. Shared with the rest of the machine by a folder."""

from prometheus_client import Counter, Histogram

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.3, 2.0, 4.0, 8.0, 30.0)

_requests = Counter("athos_speech_requests", "Requests by path and status.", ["path", "status"])
_seconds = Histogram("athos_speech_seconds", "Time to answer.", ["path"], buckets=_SECONDS)
_waits = Histogram(
    "athos_speech_wait_seconds", "Time in the queue.", ["engine", "priority"], buckets=_SECONDS
)


def request_answered(*, path: str, status: int, seconds: float) -> None:
    """`path` is a route's own, never what a client made up."""
    _requests.labels(path, str(status)).inc()
    _seconds.labels(path).observe(seconds)


def turn_came(*, engine: str, priority: str, seconds: float) -> None:
    _waits.labels(engine, priority).observe(seconds)
