"""HTTP by Django, WebSockets by Channels, the edge around both."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "athos.settings")

import django

django.setup(set_prefix=False)  # before anything that needs the apps loaded

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from athos.edge import Edge  # noqa: E402
from athos.handler import ThreadedHandler  # noqa: E402
from calls.urls import websocket_urlpatterns  # noqa: E402

application = Edge(
    ProtocolTypeRouter({"http": ThreadedHandler(), "websocket": URLRouter(websocket_urlpatterns)})
)
