"""Addresses of webhook endpoints and of what was sent to them."""

from django.urls import URLPattern, path

from webhooks import api, views

API = "api/external/v1/"
ENDPOINT = API + "webhook-endpoints/<str:endpoint_id>"
DELIVERY_PAGE = "webhooks/<str:endpoint_id>/<str:webhook_id>"
EVENT = API + "webhook-events/<str:webhook_id>"

urlpatterns: list[URLPattern] = [
    path(API + "webhook-endpoints", api.EndpointListApi.as_view(), name="endpoint-list"),
    path(ENDPOINT, api.EndpointApi.as_view(), name="endpoint"),
    path(ENDPOINT + "/rotate-secret", api.EndpointRotateApi.as_view(), name="endpoint-rotate"),
    path(ENDPOINT + "/test", api.EndpointTestApi.as_view(), name="endpoint-test"),
    path(ENDPOINT + "/replay", api.EndpointReplayApi.as_view(), name="endpoint-replay"),
    path(ENDPOINT + "/deliveries", api.EndpointDeliveriesApi.as_view(), name="endpoint-deliveries"),
    path(API + "webhook-deliveries", api.DeliveriesApi.as_view(), name="webhook-deliveries"),
    path(EVENT, api.EventApi.as_view(), name="webhook-event"),
    path(EVENT + "/replay", api.EventReplayApi.as_view(), name="webhook-event-replay"),
    path("webhooks", views.endpoint_pages, name="endpoint-pages"),
    path("webhooks/deliveries", views.delivery_pages, name="delivery-pages"),
    path("webhooks/add", views.endpoint_add, name="endpoint-add"),
    path("webhooks/<str:endpoint_id>", views.endpoint_page, name="endpoint-page"),
    path("webhooks/<str:endpoint_id>/act", views.endpoint_act, name="endpoint-act"),
    path("webhooks/<str:endpoint_id>/rotate", views.endpoint_rotate, name="endpoint-page-rotate"),
    path(DELIVERY_PAGE, views.delivery_page, name="delivery-page"),
    path(DELIVERY_PAGE + "/replay", views.delivery_replay, name="delivery-replay"),
]
