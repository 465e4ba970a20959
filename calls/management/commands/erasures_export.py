"""`manage.py erasures_export > erasures.jsonl`: what to erase again after a restore."""

from typing import Any

from django.core.management.base import BaseCommand

from calls.erasure.repeating import erasures_remembered


class Command(BaseCommand):
    help = "One line of JSON per erasure of all tenants, without names, to keep beside a backup."

    def handle(self, *args: Any, **options: Any) -> None:
        for remembered in erasures_remembered():
            self.stdout.write(remembered.line())
