"""`manage.py receipt_check FILE`: whether we signed a receipt that somebody kept."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.erasure.receipts import genuine


class Command(BaseCommand):
    help = "Check the signature of an erasure's receipt, as the API gave it, from a JSON file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            receipt = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise CommandError(f"{file} cannot be read as JSON.") from problem
        signature = receipt.pop("signature", None) if isinstance(receipt, dict) else None
        if not isinstance(signature, str) or not genuine(receipt, signature):
            raise CommandError("This is no receipt of ours, or it was changed.")
        self.stdout.write("The receipt is genuine.")
