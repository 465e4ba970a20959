"""`manage.py provider TENANT [chat --url URL --model MODEL]`"""

import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.providers.choices import KINDS
from calls.services.providers import provider_remove, provider_set, providers_list
from tenants.errors import InvalidRequest
from tenants.selectors import tenant_named


class Command(BaseCommand):
    help = "Show or choose the engines of a tenant's calls. A key is read from standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="its id, or the e-mail address of its only owner")
        parser.add_argument("kind", nargs="?", choices=KINDS)
        parser.add_argument("--url", help="the base, such as https://host/v1")
        parser.add_argument("--model", help="as the engine names it")
        parser.add_argument("--key", action="store_true", help="read the key from standard input")
        parser.add_argument(
            "--voice", action="append", type=_pair, default=[], help="af_bella=nova, or *=nova"
        )
        parser.add_argument("--remove", action="store_true", help="back to the operator's engine")

    def handle(self, *args: Any, tenant: str, kind: str | None, **options: Any) -> None:
        found = tenant_named(tenant)
        if found is None:
            raise CommandError("There is no such tenant.")
        if kind is not None and options["remove"]:
            provider_remove(tenant_id=found.pk, kind=kind)
        elif kind is not None:
            self._set(found.pk, kind, options)
        for row in providers_list(tenant_id=found.pk):
            key = "key" if row.sealed_key else "no key"
            self.stdout.write(f"{row.kind:<14}{row.model}  {row.url}  {key}")

    def _set(self, tenant_id: Any, kind: str, options: dict[str, Any]) -> None:
        if not options["url"] or not options["model"]:
            raise CommandError("--url and --model are needed.")
        try:
            provider_set(
                tenant_id=tenant_id,
                kind=kind,
                url=options["url"],
                model=options["model"],
                key=sys.stdin.readline() if options["key"] else "",
                voices=dict(options["voice"]),
            )
        except InvalidRequest as refused:
            raise CommandError(refused.message) from refused


def _pair(text: str) -> tuple[str, str]:
    name, _, own = text.partition("=")
    if not name or not own:
        raise ArgumentTypeError("needs the form af_bella=nova")
    return name, own
