"""`manage.py tenant_create --name Acme --owner-email someone@example.com`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from tenants.models import User
from tenants.services import api_key_create, tenant_create, user_create


class Command(BaseCommand):
    help = "Make a tenant, its owner and a first API key. Secrets are shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--owner-email", required=True)
        parser.add_argument("--password", help="only for a new user; random when left out")

    @transaction.atomic
    def handle(
        self, *args: Any, name: str, owner_email: str, password: str | None, **options: Any
    ) -> None:
        owner = User.objects.filter(email__iexact=owner_email).first()
        if owner is not None and password is not None:
            raise CommandError("That user exists: leave --password out to make them the owner.")
        if owner is None:
            owner, password = user_create(email=owner_email, password=password)
        tenant = tenant_create(name=name, owner=owner)
        _key, secret = api_key_create(tenant=tenant, name="First key")
        self.stdout.write(f"tenant    {tenant.pk}")
        self.stdout.write(f"owner     {owner.email}")
        if password is not None:
            self.stdout.write(f"password  {password}")
        self.stdout.write(f"API key   {secret}")
