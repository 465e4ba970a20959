"""`manage.py key_peppers`"""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tenants.selectors import keys_by_pepper


class Command(BaseCommand):
    help = "Count the keys under each pepper of API_KEY_PEPPERS, so that an old one can be retired."

    def handle(self, *args: Any, **options: Any) -> None:
        counted = {pepper: (made, active) for pepper, made, active in keys_by_pepper()}
        ring = list(settings.API_KEY_PEPPERS)
        for pepper in [*ring, *sorted(set(counted) - set(ring))]:
            made, active = counted.get(pepper, (0, 0))
            place = "used" if pepper == ring[0] else "accepted" if pepper in ring else "missing"
            self.stdout.write(f"{pepper}  {place}  {active} active  {made - active} ended")
