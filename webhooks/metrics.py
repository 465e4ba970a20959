"""What is counted of deliveries, over all tenants (docs/operations.md)."""

from prometheus_client import Counter, Histogram

_attempts = Counter("athos_webhook_attempts", "Attempts, by their error code.", ["error"])
_seconds = Histogram(
    "athos_webhook_attempt_seconds",
    "How long an attempt took.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0),
)
_deliveries = Counter(
    "athos_webhook_deliveries", "Attempts, by the state that they left the delivery in.", ["state"]
)


def attempt_made(*, state: str, error: str, seconds: float) -> None:
    """`error` is one of the dozen codes of docs/webhooks.md, empty for a 2xx."""
    _attempts.labels(error or "none").inc()
    _deliveries.labels(state).inc()
    _seconds.observe(seconds)
