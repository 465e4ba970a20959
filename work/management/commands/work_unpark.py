import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from work import kinds
from work.overview import parked_rows, unpark


class Command(BaseCommand):
    help = "Give parked rows of one kind back to the workers, with their tries restored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind")
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--row", type=uuid.UUID, action="append", default=[], help="may repeat")
        which.add_argument("--all", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            kind = kinds.get(options["kind"])
        except kinds.UnknownKind as unknown:
            raise CommandError(str(unknown)) from unknown
        chosen = [row for row in parked_rows(kind) if options["all"] or row.id in options["row"]]
        missing = set(options["row"]) - {row.id for row in chosen}
        if missing:
            raise CommandError(f"Not parked: {', '.join(map(str, sorted(missing)))}")
        count = sum(unpark(kind, row) for row in chosen)
        self.stdout.write(f"{count} back to work")
