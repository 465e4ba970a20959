"""One shape for every failure that a client sees. The table of codes is docs/errors.md."""


class AthosError(Exception):
    """A refusal with a code from the contract.

    `code` is what clients branch on, `status` the HTTP status, `message` a sentence for people,
    `retry_after` seconds for the Retry-After header. `subject` is what was refused, for the log of
    the tenant's requests alone: no answer tells it.
    """

    code = "INTERNAL_ERROR"
    status = 500
    message = "Something went wrong on our side."

    def __init__(
        self,
        message: str | None = None,
        *,
        details: dict[str, object] | None = None,
        retry_after: int | None = None,
        subject: str = "",
    ) -> None:
        self.message = message or self.message
        self.details = details
        self.retry_after = retry_after
        self.subject = subject
        super().__init__(self.message)


class InvalidRequest(AthosError):
    code, status, message = "INVALID_REQUEST", 400, "The request is not valid."


class InvalidApiKey(AthosError):
    code, status, message = "INVALID_API_KEY", 401, "The API key is missing or not valid."


class ApiKeyRevoked(AthosError):
    code, status, message = "API_KEY_REVOKED", 401, "This API key was revoked."


class TenantInactive(AthosError):
    code, status, message = "TENANT_INACTIVE", 403, "This account is not active."


class IpNotAllowed(AthosError):
    code, status, message = "IP_NOT_ALLOWED", 403, "This address may not use the API key."


class TenantQuotaExceeded(AthosError):
    code, status = "TENANT_QUOTA_EXCEEDED", 403
    message = "The allowance of call minutes for this month is used up."


class InsufficientScope(AthosError):
    code, status, message = "INSUFFICIENT_SCOPE", 403, "This API key may not do that."


class TooManyKeys(AthosError):
    code, status = "TOO_MANY_KEYS", 409
    message = "There are 5 active keys. Revoke one first."


class KeyNotFound(AthosError):
    code, status, message = "KEY_NOT_FOUND", 404, "There is no API key with that id."


class KeyNotActive(AthosError):
    code, status = "KEY_NOT_ACTIVE", 409
    message = "This API key has ended, or will when its grace is over. Make a new one."


class IdempotencyKeyInUse(AthosError):
    code, status = "IDEMPOTENCY_KEY_IN_USE", 409
    message = "The same request is being carried out just now."


class IdempotencyKeyReused(AthosError):
    code, status = "IDEMPOTENCY_KEY_REUSED", 422
    message = "This Idempotency-Key was used for another body."


class PayloadTooLarge(AthosError):
    code, status, message = "PAYLOAD_TOO_LARGE", 413, "The request body is too large."


class RateLimited(AthosError):
    code, status, message = "RATE_LIMITED", 429, "Too many requests."


class ServiceUnavailable(AthosError):
    code, status, message = "SERVICE_UNAVAILABLE", 503, "No capacity right now. Try again shortly."
