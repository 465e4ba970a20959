"""`manage.py retention TENANT [--audio-days N|keep] [--transcript-days N|keep] …`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.erasure.retention import FIELDS, retention_set
from tenants.errors import InvalidRequest
from tenants.selectors import tenant_named

KEEP = "keep"


class Command(BaseCommand):
    help = "Show or change for how many days a tenant's content is kept; `keep`: until erased."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="its id, or the e-mail address of its only owner")
        for column in FIELDS.values():
            parser.add_argument(f"--{column.replace('_', '-')}", type=_days)

    def handle(self, *args: Any, tenant: str, **options: Any) -> None:
        given = {column: options[column] for column in FIELDS.values()}
        changes = {
            column: None if days == KEEP else days
            for column, days in given.items()
            if days is not None
        }
        found = tenant_named(tenant)
        if found is None:
            raise CommandError("There is no such tenant.")
        try:
            retention = retention_set(tenant_id=found.pk, changes=changes)
        except InvalidRequest as refused:
            raise CommandError(refused.message) from refused
        for column in FIELDS.values():
            days = getattr(retention, column)
            self.stdout.write(f"{column:<22}{KEEP if days is None else days}")


def _days(text: str) -> int | str:
    return text if text == KEEP else int(text)
