"""`manage.py install`: what must be true in the database and on disk before anything serves."""

import json
from pathlib import Path
from typing import Any

from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandParser

from athos.engines.product import ROOT
from athos.engines.secret_values import write_private


class Command(BaseCommand):
    help = "Migrate as athos_owner, collect static files and, with --demo, seed the demo tenant."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", help="file for the demo's keys; none: no demo data")
        parser.add_argument("--base-url", default="http://localhost:8000")
        parser.add_argument("--example-url", help="where the example integrator runs")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", database="owner", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        if options["demo"] and "demo_seed" in get_commands():
            call_command("demo_seed", out=options["demo"], base_url=options["base_url"])
            _add_example(Path(options["demo"]), options["example_url"])


def _add_example(demo: Path, url: str | None) -> None:
    """The example is no part of the database, so the seed doesn't know where it runs."""
    if not url or not (ROOT / "examples/integrator/server.mjs").is_file() or not demo.is_file():
        return
    facts = json.loads(demo.read_text())
    if facts.get("exampleUrl") != url:
        write_private(demo, json.dumps(facts | {"exampleUrl": url}, indent=2) + "\n")
