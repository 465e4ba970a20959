"""`manage.py erasures_repeat FILE`: after a restore, erase again what was erased since."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.erasure.repeating import LineRefused, Remembered, erasure_repeat


class Command(BaseCommand):
    help = "Erase what is there again of the erasures in this list; running it twice is harmless."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
            listed = [Remembered.parse(line) for line in lines if line.strip()]
        except (OSError, UnicodeDecodeError, LineRefused) as problem:
            raise CommandError(f"{file}: {problem}") from problem
        repeated = sum(erasure_repeat(remembered) for remembered in listed)
        self.stdout.write(f"{len(listed)} erasures listed, {repeated} done again")
