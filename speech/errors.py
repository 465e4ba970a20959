"""Every refusal of the server: an HTTP status and a code, in OpenAI's error shape."""

from typing import Any


class Refusal(Exception):
    """The request is not served. `code` is what a client branches on."""

    code = "internal_error"
    status = 500
    message = "The server failed."

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        self.message = message or self.message
        self.code = code or self.code
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The JSON that OpenAI clients understand."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}


class BadRequest(Refusal):
    code, status, message = "invalid_request", 400, "The request is not valid."


class BadAudio(Refusal):
    code, status = "audio_format", 400
    message = "Audio must be mono 16-bit PCM at 16 kHz, as WAV or raw."


class TooLarge(Refusal):
    code, status, message = "too_large", 413, "The request is larger than the limit."


class UnknownModel(Refusal):
    code, status, message = "model_not_found", 404, "There is no such model here."


class Overloaded(Refusal):
    """The engine's queue is full."""

    code, status, message = "overloaded", 503, "Too many requests are waiting."


class NotReady(Refusal):
    code, status, message = "not_ready", 503, "The models are still loading."


class TooLate(Refusal):
    """The deadline passed before the engine was free."""

    code, status, message = "deadline_exceeded", 504, "The deadline passed in the queue."
