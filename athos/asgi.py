"""HTTP by Django, WebSockets by Channels, the edge around both."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "athos.settings")

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before anything that needs the apps loaded

from athos.edge import Edge  # noqa: E402
from calls.urls import websocket_urlpatterns  # noqa: E402

application = Edge(
    ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns)})
)
