"""`manage.py demo_seed --out FILE --base-url URL`: data for a first look."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.services.demo import demo_ensure
from calls.services.drills import DrillFileRefused, catalogue_load


class Command(BaseCommand):
    help = "Drills, a demo tenant, its manager and keys; credentials go into the file (0600)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--out", type=Path, required=True)
        parser.add_argument("--base-url", required=True)

    def handle(self, *args: Any, out: Path, base_url: str, **options: Any) -> None:
        try:
            catalogue_load()
        except DrillFileRefused as refused:
            raise CommandError(str(refused)) from refused
        demo_ensure(out=out, base_url=base_url.rstrip("/"))
        self.stdout.write(f"Demo credentials are in {out.name}.")
