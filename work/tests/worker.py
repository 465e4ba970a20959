"""`celery -A work.tests.worker`: the product's Celery application that knows the probe too."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "athos.settings")

import django

django.setup()

from celery import current_app  # noqa: E402

from work.tests import probe  # noqa: E402

app = current_app._get_current_object()
__all__ = ["app", "probe"]
