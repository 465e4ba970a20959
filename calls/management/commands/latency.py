"""`manage.py latency TENANT [--days N]`"""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from calls.history.latency import Spread, tenant_latency
from calls.history.listing import Reader
from tenants.selectors import tenant_named


class Command(BaseCommand):
    help = "How fast the personas answered a tenant's reps, and how often they got it wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="its id, or the e-mail address of its only owner")
        parser.add_argument("--days", type=int, default=7, help="calls made in the last N days")

    def handle(self, *args: Any, tenant: str, days: int, **options: Any) -> None:
        found = tenant_named(tenant)
        if found is None:
            raise CommandError("There is no such tenant.")
        since = timezone.now() - timedelta(days=days)
        latency = tenant_latency(reader=Reader(found.pk), since=since)
        self.stdout.write(f"calls         {latency.calls}")
        self.stdout.write(f"rep's turns   {latency.rep_turns}")
        self.stdout.write(f"mouth to ear  {_spread(latency.answer)}")
        self.stdout.write(f"barge-in      {_spread(latency.barge_in)}")
        self.stdout.write(f"cut off       {latency.cut_offs}")
        self.stdout.write(f"missed ends   {latency.missed_ends}")
        self.stdout.write(f"false stops   {latency.false_stops}")


def _spread(spread: Spread) -> str:
    if spread.p50 is None or spread.p95 is None:
        return "none"
    return f"p50 {spread.p50:.0f} ms, p95 {spread.p95:.0f} ms of {spread.number}"
