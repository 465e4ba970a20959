"""`manage.py key_list TENANT`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.selectors import keys_list, tenant_named


class Command(BaseCommand):
    help = "List a tenant's API keys: id, status, mode, hint, last use, name."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="its id, or the e-mail address of its only owner")

    def handle(self, *args: Any, tenant: str, **options: Any) -> None:
        found = tenant_named(tenant)
        if found is None:
            raise CommandError("There is no such tenant.")
        for key in keys_list(tenant=found):
            used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
            told = (key.public_id, key.status, key.mode, key.hint, used, key.name)
            self.stdout.write("  ".join(told))
