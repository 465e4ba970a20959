"""`manage.py practice_recount TENANT`: count again what the dashboard's pages of a team show."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.services.practice_days import practice_recount
from tenants.selectors import tenant_named


class Command(BaseCommand):
    help = "Marks every day on which the tenant practised; the workers count them again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="its id, or the e-mail address of its only member")

    def handle(self, *args: Any, tenant: str, **options: Any) -> None:
        found = tenant_named(tenant)
        if found is None:
            raise CommandError("No single tenant of that name.")
        days = practice_recount(tenant_id=found.pk)
        self.stdout.write(f"{days} days are counted again.")
