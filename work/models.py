"""Work that is due, as columns on the row it belongs to."""

from django.db import models


class DueRow(models.Model):
    """A row that something must be done to, at a time.

    `due_at` is null when nothing is to be done. A worker claims the row by one conditional UPDATE
    that writes a random `lease_token`; `lease_until` is renewed while it works. `tries` counts
    starts without an end; past the limit the row is parked (`parked_at`) for people to look at.
    """

    due_at = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    parked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
