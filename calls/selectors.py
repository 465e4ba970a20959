"""Reads about drills and calls."""

import uuid
from datetime import UTC, timedelta
from typing import Any

from django.db.models import Case, F, IntegerField, Sum, Value, When
from django.db.models.functions import Now

from calls.models import Call, Drill, ErasedCall
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import ApiKey, Tenant
from tenants.selectors import database_now

DRILLS_MOST = 500  # in a list to choose from


def drill_find(*, tenant: Tenant, key: str) -> Drill | None:
    """The latest version of the tenant's own drill, else of the shipped one."""
    own_first = Case(
        When(tenant_id=tenant.pk, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    readable = Drill.objects.with_catalogue()
    return readable.filter(key=key).order_by(own_first, "-version").first()


def drills_to_choose(*, tenant_id: uuid.UUID) -> list[Drill]:
    """The newest version of each drill that the tenant may practise, its own in place of a shipped
    one of the same key; by title, at most 500 of each, without their packs."""
    by_key: dict[str, Drill] = {}
    for owner in (CATALOGUE, tenant_id):
        with tenant_scope(owner):
            newest = Drill.objects.for_tenant(owner).order_by("key", "-version").distinct("key")
            by_key |= {drill.key: drill for drill in newest.only("key", "title")[:DRILLS_MOST]}
    return sorted(by_key.values(), key=lambda drill: drill.title.casefold())


def minutes_used(*, tenant: Tenant) -> float:
    """Minutes of live calls in this calendar month (UTC), running and erased calls included.

    A call belongs to the month in which it ends. Calls with test keys do not count. The same is
    told in parts by `calls.usage`.
    """
    begin = database_now().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    calls = Call.objects.for_tenant(tenant).filter(mode=ApiKey.Mode.LIVE, started_at__isnull=False)
    ended = calls.filter(ended_at__gte=begin)
    running = calls.filter(stage=Call.Stage.LIVE, ended_at=None)
    spans: list[timedelta | None] = [
        ended.aggregate(total=Sum(F("ended_at") - F("started_at")))["total"],
        running.aggregate(total=Sum(Now() - F("started_at")))["total"],
    ]
    erased = ErasedCall.objects.for_tenant(tenant).filter(mode=ApiKey.Mode.LIVE, month=begin.date())
    seconds = erased.aggregate(total=Sum("seconds"))["total"] or 0.0
    return sum((span.total_seconds() for span in spans if span is not None), seconds) / 60


def call_joinable(*, tenant_id: uuid.UUID, call_id: uuid.UUID) -> tuple[str, ...] | None:
    """The web sites from which an open call may be joined, empty for any; None: it is over."""
    with tenant_scope(tenant_id):
        open_stages = [Call.Stage.CREATED, Call.Stage.LIVE]
        call = Call.objects.filter(pk=call_id, tenant_id=tenant_id, stage__in=open_stages)
        origins = call.values_list("tenant__browser_origins", flat=True).first()
        return None if origins is None else tuple(origins)


def drill_packs_shipped() -> list[dict[str, Any]]:
    """The latest pack of each drill of the catalogue."""
    with tenant_scope(CATALOGUE):
        latest = Drill.objects.filter(tenant_id=CATALOGUE).order_by("key", "-version")
        return list(latest.distinct("key").values_list("pack", flat=True))


def drill_keys(*, tenant_id: uuid.UUID, most: int = 100) -> list[str]:
    """The drills that the tenant's reps can practise: its own and the shipped ones."""
    with tenant_scope(tenant_id):
        readable = Drill.objects.with_catalogue().order_by("key").values_list("key", flat=True)
        return list(readable.distinct()[:most])
