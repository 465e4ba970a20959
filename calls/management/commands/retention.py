"""`manage.py retention TENANT_ID [--audio-days N|keep] [--transcript-days N|keep] …`"""

import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.erasure.retention import FIELDS, retention_set
from tenants.errors import InvalidRequest
from tenants.models import Tenant

KEEP = "keep"


class Command(BaseCommand):
    help = "Show or change for how many days a tenant's content is kept; `keep`: until erased."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant_id", type=uuid.UUID)
        for column in FIELDS.values():
            parser.add_argument(f"--{column.replace('_', '-')}", type=_days)

    def handle(self, *args: Any, tenant_id: uuid.UUID, **options: Any) -> None:
        given = {column: options[column] for column in FIELDS.values()}
        changes = {
            column: None if days == KEEP else days
            for column, days in given.items()
            if days is not None
        }
        try:
            retention = retention_set(tenant_id=tenant_id, changes=changes)
        except Tenant.DoesNotExist as missing:
            raise CommandError(f"There is no tenant {tenant_id}.") from missing
        except InvalidRequest as refused:
            raise CommandError(refused.message) from refused
        for column in FIELDS.values():
            days = getattr(retention, column)
            self.stdout.write(f"{column:<22}{KEEP if days is None else days}")


def _days(text: str) -> int | str:
    return text if text == KEEP else int(text)
