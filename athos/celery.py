"""The Celery application: `celery -A athos`."""

import contextlib
import os

from celery import Celery, signals
from django.db import OperationalError, connection

from athos.engines.programs import die_with_parent
from work.broker import outlive_the_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "athos.settings")

outlive_the_broker()
app = Celery("athos")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.worker_init.connect
def _look_at_database(**kwargs: object) -> None:
    """Connect once before taking work: a database role that is too strong ends us here."""
    with contextlib.suppress(OperationalError):  # it may come later; tasks connect again
        connection.ensure_connection()
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # children must not inherit its sockets


@signals.worker_process_init.connect
def _end_with_the_worker(**kwargs: object) -> None:
    """A pool child must not go on alone when its worker was killed."""
    die_with_parent()
