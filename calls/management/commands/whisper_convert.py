"""`manage.py whisper_convert`: the weights of the optional openai-whisper, from those we have."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from calls.providers.whisper_weights import CONVERTED, WeightsRefused, convert


class Command(BaseCommand):
    help = "Make openai-whisper's weights from those of the models folder. Twice is harmless."
    requires_system_checks = []
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = convert(settings.MODELS_DIR)
        except (WeightsRefused, OSError) as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"{CONVERTED}: {'made' if made else 'there already'}")
