"""The Celery application: `celery -A athos`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "athos.settings")

app = Celery("athos")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
