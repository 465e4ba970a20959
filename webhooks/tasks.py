"""Door for workers: due deliveries."""

import asyncio

from celery import shared_task
from django.conf import settings

from webhooks.addresses import networks
from webhooks.dispatch import Dispatcher, alone
from webhooks.sending import Internet
from work import bell


@shared_task
def deliver_due() -> None:
    """Send what is due, for about a minute. While another sends on this machine: nothing."""
    bell.answered("deliver")
    with alone(settings.VAR_DIR / "run" / "deliver.lock") as let_go:
        if let_go is None:
            return
        internet = Internet(
            own=networks(settings.WEBHOOK_REFUSED_NETWORKS),
            development=settings.EMBEDDED,
        )
        asyncio.run(Dispatcher(internet).run(seconds=bell.DRAIN_SECONDS, over=let_go))
