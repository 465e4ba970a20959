from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from webhooks.addresses import networks
        from webhooks.models import Delivery, EndpointNotice
        from work.kinds import Kind, register

        register(
            Kind(
                name="deliver",
                model=Delivery,
                task="webhooks.tasks.deliver_due",
                lease_limit=120,
                # A sender that dies takes all it had in flight with it; few of them are to blame.
                max_tries=20,
            )
        )
        register(
            Kind(
                name="notify",
                model=EndpointNotice,
                task="webhooks.tasks.notify_due",
                lease_limit=60,
            )
        )
        try:
            networks(settings.WEBHOOK_REFUSED_NETWORKS)
        except ValueError as odd:
            raise ImproperlyConfigured(
                "WEBHOOK_REFUSED_NETWORKS: networks like 10.0.0.0/8."
            ) from odd
