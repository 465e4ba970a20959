"""`manage.py key_create TENANT --name Backend`"""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.errors import AthosError
from tenants.models import ApiKey
from tenants.selectors import database_now, tenant_named
from tenants.services import ALL_SCOPES, CONTRACT_SCOPES, KeyWish, api_key_issue


class Command(BaseCommand):
    help = "Make an API key. Its text is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="its id, or the e-mail address of its only owner")
        parser.add_argument("--name", required=True)
        parser.add_argument("--mode", choices=ApiKey.Mode.values, default=ApiKey.Mode.LIVE)
        parser.add_argument("--scope", action="append", choices=ALL_SCOPES, help="may be repeated")
        parser.add_argument("--agency", action="append", default=[], help="may be repeated")
        parser.add_argument("--allowed-ip", action="append", default=[], help="may be repeated")
        parser.add_argument("--days", type=int, help="until it expires; for ever when left out")

    def handle(self, *args: Any, tenant: str, **options: Any) -> None:
        found = tenant_named(tenant)
        if found is None:
            raise CommandError("There is no such tenant.")
        days = options["days"]
        wish = KeyWish(
            name=options["name"],
            mode=options["mode"],
            scopes=tuple(options["scope"] or CONTRACT_SCOPES),
            agencies=tuple(options["agency"]),
            allowed_ips=tuple(options["allowed_ip"]),
            expires_at=None if days is None else database_now() + timedelta(days=days),
        )
        try:
            key, text = api_key_issue(tenant=found, holder=None, wish=wish)
        except AthosError as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(f"id       {key.public_id}")
        self.stdout.write(f"API key  {text}")
