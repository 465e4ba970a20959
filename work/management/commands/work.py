from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from work import kinds
from work.overview import parked_rows, standing


class Command(BaseCommand):
    help = "Show what is due, leased, pausing before a retry, and parked, by kind of work."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--parked", metavar="KIND", help="list the parked rows of one kind")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["parked"]:
            try:
                kind = kinds.get(options["parked"])
            except kinds.UnknownKind as unknown:
                raise CommandError(str(unknown)) from unknown
            for row in parked_rows(kind):
                parked_at = row.parked_at.isoformat(timespec="seconds")
                self.stdout.write(f"{row.id}  tenant {row.tenant_id}  {parked_at}  {row.error}")
            return
        self.stdout.write(f"{'kind':20}{'due':>8}{'leased':>8}{'pausing':>8}{'parked':>8}  longest")
        for kind in kinds.registered():
            now = standing(kind)
            self.stdout.write(
                f"{now.kind:20}{now.due:8}{now.leased:8}{now.pausing:8}{now.parked:8}"
                f"  {now.longest:.0f} s"
            )
