"""`manage.py drills_load`: bring the shipped drills into the catalogue."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.services.drills import SHIPPED, DrillFileRefused, catalogue_load


class Command(BaseCommand):
    help = "Load calls/drills/*.yaml; a changed drill becomes a new version."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=SHIPPED)

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            added = catalogue_load(folder)
        except DrillFileRefused as refused:
            raise CommandError(str(refused)) from refused
        for drill in added:
            self.stdout.write(f"{drill.key} version {drill.version}")
        if not added:
            self.stdout.write("All drills are up to date.")
