"""What Celery's transport needs to outlive its broker."""

from typing import Any

from kombu.transport import redis as transport
from kombu.transport.virtual.base import QoS as LocalQoS


class QoS(transport.QoS):
    """Kombu 5.7 forgets a message only once the broker has taken its acknowledgement. When Valkey
    dies at that moment the worker thinks for ever that it still works on the message: with a
    prefetch of one it asks for no other and, having nothing open, never notices the loss. Here the
    message is forgotten whatever becomes of the acknowledgement; its bell may ring a second time.
    """

    def ack(self, delivery_tag: Any) -> None:
        try:
            self._remove_from_indices(delivery_tag).execute()  # type: ignore[attr-defined]
        finally:
            LocalQoS.ack(self, delivery_tag)


def outlive_the_broker() -> None:
    """For every connection that this process opens from now on."""
    transport.Channel.QoS = QoS
