"""A process of its own that does what a worker does with a bell: `deliver_due`, once."""

import django

django.setup()

from webhooks.tasks import deliver_due  # noqa: E402

if __name__ == "__main__":
    deliver_due()
