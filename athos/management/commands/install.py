"""`manage.py install`: what must be true in the database and on disk before anything serves."""

from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from athos.sdk import sdk_keep


class Command(BaseCommand):
    help = (
        "Migrate as athos_owner, collect static files, keep this version of the browser SDK and,"
        " with --demo, seed the demo tenant."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", type=Path, help="file for the demo's keys; none: no demo")
        parser.add_argument("--base-url", default="http://localhost:8000")

    def handle(self, *args: Any, demo: Path | None, base_url: str, **options: Any) -> None:
        call_command("migrate", database="owner", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        for name in sdk_keep():
            said = f"{name} was offered with other content before: pages that pinned it refuse it."
            self.stderr.write(f"{said} A changed SDK needs a new version.")
        if demo:
            call_command("demo_seed", out=demo, base_url=base_url)
