"""Door for workers: due deliveries."""

import asyncio

from celery import shared_task
from django.conf import settings

from webhooks.addresses import networks
from webhooks.dispatch import Dispatcher
from webhooks.place import Place
from webhooks.sending import Internet
from work import bell


@shared_task
def deliver_due() -> None:
    """Send what is due, for about a minute. While another sends on this machine: nothing."""
    bell.answered("deliver")
    place = Place(settings.VAR_DIR / "run" / "deliver.lock")
    try:
        if place.take():
            asyncio.run(Dispatcher(_internet()).run(seconds=bell.DRAIN_SECONDS, place=place))
    finally:
        place.leave()


def _internet() -> Internet:
    return Internet(own=networks(settings.WEBHOOK_REFUSED_NETWORKS), development=settings.EMBEDDED)
