"""`manage.py key_revoke TENANT KEY_ID`, or `manage.py key_revoke --leaked` with the key on stdin"""

import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants import keys
from tenants.auth import key_lookup
from tenants.errors import AthosError
from tenants.selectors import tenant_named
from tenants.services import api_key_revoke

LONGEST = 1000  # characters of standard input that are looked at


class Command(BaseCommand):
    help = "End an API key: at once, or after a grace."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", nargs="?", help="its id, or its only owner's e-mail address")
        parser.add_argument("key_id", nargs="?", help="key_…")
        parser.add_argument("--grace-hours", type=float, default=0.0, help="7 days at most")
        parser.add_argument(
            "--leaked", action="store_true", help="read the key itself from standard input"
        )

    def handle(
        self, *args: Any, tenant: str | None, key_id: str | None, leaked: bool, **options: Any
    ) -> None:
        if leaked == bool(tenant or key_id) or (key_id is None) != leaked:
            raise CommandError("Give TENANT and KEY_ID, or --leaked and neither.")
        if leaked:
            tenant, inner = _owner_of(sys.stdin.read(LONGEST).strip())
        found = tenant_named(tenant or "")
        if found is None:
            raise CommandError("There is no such tenant.")
        try:
            key = api_key_revoke(
                tenant=found,
                key_id=inner if leaked else key_id or "",
                grace=timedelta(hours=options["grace_hours"]),
            )
        except AthosError as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(f"{key.public_id}  {key.status}  of tenant {found.pk}")


def _owner_of(text: str) -> tuple[str, Any]:
    """The tenant and the inner id of a key that somebody found."""
    row = key_lookup(text) if keys.parse(text) else None
    if row is None:
        raise CommandError("That is no key of ours.")
    return str(row["tenant_id"]), row["key_id"]
