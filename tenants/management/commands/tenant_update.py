"""`manage.py tenant_update TENANT --suspend`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.errors import AthosError
from tenants.models import Tenant
from tenants.selectors import tenant_named
from tenants.services import tenant_update


class Command(BaseCommand):
    help = "Suspend or activate a tenant, set its allowance and the addresses its keys work from."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="its id, or the e-mail address of its only owner")
        status = parser.add_mutually_exclusive_group()
        for flag, value in (("--suspend", Tenant.Status.SUSPENDED), ("--activate", "active")):
            status.add_argument(flag, dest="status", action="store_const", const=str(value))
        minutes = parser.add_mutually_exclusive_group()
        minutes.add_argument("--monthly-minutes", type=int, help="call minutes a month (UTC)")
        minutes.add_argument("--no-limit", action="store_true", help="as many minutes as they like")
        addresses = parser.add_mutually_exclusive_group()
        addresses.add_argument("--allowed-ip", action="append", help="may be repeated")
        addresses.add_argument("--any-ip", action="store_true")

    def handle(self, *args: Any, tenant: str, **options: Any) -> None:
        found = tenant_named(tenant)
        if found is None:
            raise CommandError("There is no such tenant.")
        try:
            found = tenant_update(
                tenant=found,
                status=options["status"],
                monthly_minutes=options["monthly_minutes"],
                unlimited=options["no_limit"],
                allowed_ips=[] if options["any_ip"] else options["allowed_ip"],
            )
        except AthosError as refusal:
            raise CommandError(refusal.message) from refusal
        limit = found.monthly_minutes
        self.stdout.write(f"status       {found.status}")
        self.stdout.write(f"minutes      {'no limit' if limit is None else limit}")
        self.stdout.write(f"allowed IPs  {' '.join(found.allowed_ips) or 'any'}")
