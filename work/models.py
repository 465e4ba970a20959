"""Work that is due, as columns on the row it belongs to."""

from django.db import models


class DueRow(models.Model):
    """A row that something must be done to, at a time.

    `due_at` is null when nothing is to be done. A worker claims the row by one conditional UPDATE
    that writes a random `lease_token`; `lease_until` is renewed while it works. A `lease_until`
    without a token is a pause before the next try. `tries` counts starts without an end (crashes),
    `failures` orderly failures in a row (an engine was away); past the kind's limit of either the
    row is parked (`parked_at`) for people to look at. `last_error` is a code, never text.

    These columns belong to `work.claims`: nobody else writes any of them but `due_at`.
    """

    due_at = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    parked_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=60, blank=True)

    class Meta:
        abstract = True
