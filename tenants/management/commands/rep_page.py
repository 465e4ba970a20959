"""`manage.py rep_page TENANT --color '#1f6feb' --logo logo.png`"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.branding import (
    BrandingChange,
    branding_update,
    consent_text_publish,
    web_sites_set,
)
from tenants.errors import AthosError
from tenants.models import Tenant
from tenants.selectors import tenant_named


class Command(BaseCommand):
    help = "A tenant's rep page: its colour, logo, consent text, and the web sites that frame it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="its id, or the e-mail address of its only owner")
        parser.add_argument("--color", help="#rrggbb; '' goes back to ours")
        logo = parser.add_mutually_exclusive_group()
        logo.add_argument("--logo", type=Path, help="a PNG, JPEG or WebP file of at most 64 KiB")
        logo.add_argument("--no-logo", action="store_true")
        parser.add_argument("--consent", type=Path, help="a text file: the next version")
        sites = parser.add_mutually_exclusive_group()
        sites.add_argument("--web-site", action="append", help="an origin; may be repeated")
        sites.add_argument("--no-web-site", action="store_true")

    def handle(self, *args: Any, tenant: str, **options: Any) -> None:
        found = tenant_named(tenant)
        if found is None:
            raise CommandError("There is no such tenant.")
        try:
            self._change(found, options)
        except AthosError as refusal:
            raise CommandError(refusal.message) from refusal
        except (OSError, UnicodeDecodeError) as unreadable:
            raise CommandError(f"That file cannot be read: {unreadable}") from unreadable

    def _change(self, tenant: Tenant, options: dict[str, Any]) -> None:
        logo = options["logo"].read_bytes() if options["logo"] else None
        change = BrandingChange(options["color"], b"" if options["no_logo"] else logo)
        if change != BrandingChange():
            branding = branding_update(tenant=tenant, change=change)
            self.stdout.write(f"colour     {branding.color or 'ours'}")
            self.stdout.write(f"logo       {branding.logo_type or 'none'}")
        if options["consent"]:
            text = consent_text_publish(tenant=tenant, text=options["consent"].read_text("utf-8"))
            self.stdout.write(f"consent    version {text.version}")
        if options["web_site"] or options["no_web_site"]:
            sites = web_sites_set(tenant=tenant, origins=options["web_site"] or [])
            self.stdout.write(f"web sites  {' '.join(sites) or 'none'}")
