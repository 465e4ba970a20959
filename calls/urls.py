"""Addresses of the conversation."""

from django.urls import URLPattern, URLResolver, path

from calls import api
from calls.consumers import SignallingConsumer

API = "api/external/v1/"

urlpatterns: list[URLPattern | URLResolver] = [
    path(API + "session", api.SessionMintApi.as_view(), name="session-mint"),
    path(API + "roleplay/session", api.SessionRedeemApi.as_view(), name="session-redeem"),
]
websocket_urlpatterns: list[URLPattern] = [path("live/v1", SignallingConsumer.as_asgi())]
