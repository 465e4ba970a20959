"""`manage.py demo_month --credentials FILE`: a month of two agencies in the demo's sandbox."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from calls.sandbox.month import demo_month_create, demo_month_remove
from tenants.auth import Caller, caller_find
from tenants.errors import AthosError


class Command(BaseCommand):
    help = "Has the workers make a month of sandbox calls; with --remove erases them again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--credentials", type=Path, default=settings.VAR_DIR / "demo.json")
        parser.add_argument("--remove", action="store_true")

    def handle(self, *args: Any, credentials: Path, remove: bool, **options: Any) -> None:
        try:
            caller = _caller(credentials)
            if remove:
                people = demo_month_remove(tenant=caller.tenant, actor=caller.actor)
                self.stdout.write(f"{people} made-up reps are being erased, with their calls.")
                return
            calls = demo_month_create(tenant=caller.tenant, now=timezone.now())
        except AthosError as refused:
            raise CommandError(refused.message) from refused
        if calls:
            self.stdout.write(f"{calls} calls are being made. Look at the sandbox in a while.")
        else:
            self.stdout.write("The demo's month is there already.")


def _caller(credentials: Path) -> Caller:
    """By the test key of the demo, from the file that `demo_seed` writes."""
    try:
        key = json.loads(credentials.read_text())["testApiKey"]
    except (OSError, ValueError, KeyError) as missing:
        raise CommandError(f"No test key in {credentials.name}: run demo_seed first.") from missing
    return caller_find(key, None)
