"""What a person who manages endpoints can be refused. The table of codes is docs/errors.md."""

from tenants.errors import AthosError


class EndpointUrlRefused(AthosError):
    code, status, message = "ENDPOINT_URL_REFUSED", 400, "We do not send webhooks to that URL."


class EndpointNotFound(AthosError):
    code, status, message = "ENDPOINT_NOT_FOUND", 404, "No such endpoint."


class TooManyEndpoints(AthosError):
    code, status = "TOO_MANY_ENDPOINTS", 409
    message = "There are 16 endpoints. Remove one first."


class SecretRotating(AthosError):
    code, status = "SECRET_ROTATING", 409
    message = "The secret was rotated a short while ago and the old one is still in use."


class EventNotFound(AthosError):
    code, status, message = "EVENT_NOT_FOUND", 404, "No such event."


class EventExpired(AthosError):
    code, status = "EVENT_EXPIRED", 409
    message = "The event's body is gone: the account's retention is over."
