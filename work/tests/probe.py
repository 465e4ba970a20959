"""A row with work due on it, and handlers that behave as the row says. For tests only.

The model belongs to no installed app: its table is made by the `probe_table` fixture.
"""

import os
import time
import uuid
from datetime import timedelta

from celery import shared_task
from django.db import models
from django.utils import timezone

from tenants.isolation import tenant_scope
from tenants.models import Tenant, TenantRow
from work.claims import Claim
from work.drain import drain
from work.kinds import Kind, register
from work.models import DueRow


class Probe(TenantRow, DueRow):
    """`effects` counts what was committed; `holder` is the process that works on the row."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    behaviour = models.CharField(max_length=20, default="quick")
    holder = models.IntegerField(default=0)
    effects = models.IntegerField(default=0)
    told = models.IntegerField(default=0)  # how often the customer heard that it was parked

    class Meta:
        app_label = "work_probe"
        db_table = "work_probe"


class Broken(Exception):
    """What a handler raises that was written wrongly."""


def handle(claim: Claim[Probe]) -> None:
    with claim.step() as row:
        row.holder = os.getpid()
        row.save(update_fields=["holder"])
        behaviour = row.behaviour
    if behaviour == "hold":  # the first holder never gets done by itself
        hold(claim)
    if behaviour == "broken":
        raise Broken("a message that no log may show")
    effect(claim)


def hold(claim: Claim[Probe]) -> None:
    """Make the row quick for the next worker, then sit on it for half a minute."""
    with claim.step() as row:
        row.behaviour = "quick"
        row.save(update_fields=["behaviour"])
    until = time.monotonic() + 30
    while time.monotonic() < until and not claim.lost:
        time.sleep(0.05)


def effect(claim: Claim[Probe]) -> None:
    with claim.finish() as row:
        row.effects += 1
        row.due_at = None
        row.save(update_fields=["effects", "due_at"])


def tell(row: Probe) -> None:
    row.told += 1
    row.save(update_fields=["told"])


def probe_add(tenant_id: uuid.UUID, **values: object) -> Probe:
    """A row that is due since a second."""
    with tenant_scope(tenant_id):
        values.setdefault("due_at", timezone.now() - timedelta(seconds=1))
        return Probe.objects.create(tenant_id=tenant_id, **values)


@shared_task(name="work.tests.probe.drain")
def probe_due() -> None:
    drain(Probe, kind="probe", handle=handle)


PROBE = register(
    Kind(name="probe", model=Probe, task="work.tests.probe.drain", max_failures=4, on_park=tell)
)
