"""Doors for workers: due deliveries, due notices."""

import asyncio

from celery import shared_task
from django.conf import settings

from webhooks.addresses import networks
from webhooks.dispatch import Dispatcher
from webhooks.models import EndpointNotice
from webhooks.notices import notice_send
from webhooks.place import Place
from webhooks.sending import Internet
from work import bell
from work.drain import drain


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


@shared_task
def notify_due() -> None:
    """Mail what the managers of endpoints must know."""
    drain(EndpointNotice, kind="notify", handle=notice_send)


def _internet() -> Internet:
    return Internet(own=networks(settings.WEBHOOK_REFUSED_NETWORKS), development=settings.EMBEDDED)
