"""What all API views share: strict JSON in, plain JSON out, the caller from the key."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.exceptions import MethodNotAllowed, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants import idempotency, keys, rate_limits
from tenants.auth import ApiKeyAuthentication, Caller, address_of, bearer, caller_of
from tenants.errors import (
    InsufficientScope,
    InvalidApiKey,
    InvalidRequest,
    PayloadTooLarge,
    RateLimited,
)
from tenants.isolation import limited_to

Handler = Callable[..., Response]


class JsonOnly(BaseContentNegotiation):
    """We answer JSON, whatever `Accept` says: an error must never hide behind a 406."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """A view behind an API key that carries `required_scope`."""

    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    content_negotiation_class = JsonOnly
    authentication_classes = [ApiKeyAuthentication]
    required_scope = ""
    method_scopes: ClassVar[Mapping[str, str]] = {}  # for methods that need another: "DELETE"
    standing: rate_limits.Standing | None = None  # told to the caller, whatever the answer

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self._limits:
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """The method comes first: a wrong one is 405 to everybody, with a key or without."""
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            raise MethodNotAllowed(request.method or "")
        _check_query(request)
        super().initial(request, *args, **kwargs)
        needed = self.method_scopes.get(request.method or "", self.required_scope)
        if needed and needed not in caller_of(request).scopes:
            raise InsufficientScope
        if isinstance(request.auth, Caller):
            self._limits.enter_context(limited_to(request.auth.agencies))

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers.setdefault("Cache-Control", "no-store")
        if self.standing is not None:
            for name, value in rate_limits.standing_headers(self.standing).items():
                answer.headers[name] = value
        return answer

    def hold_to(self, standing: rate_limits.Standing | None) -> None:
        """Refuse whoever asked too often; to everybody else the answer says what is left."""
        self.standing = standing
        if standing is not None and not standing.allowed:
            raise RateLimited(retry_after=standing.wait)

    def perform_authentication(self, request: Request) -> None:
        """The rate comes before the look-up; what the look-up says is kept for the next time.

        What is no key by its form is refused before either.
        """
        if ApiKeyAuthentication not in self.authentication_classes:
            return super().perform_authentication(request)
        key = bearer(request)
        if keys.parse(key) is None:
            raise InvalidApiKey
        address = address_of(request)
        self.hold_to(rate_limits.key_spend(key, address))
        try:
            super().perform_authentication(request)
        except InvalidApiKey:
            rate_limits.key_was_unknown(key, address)
            raise
        rate_limits.key_was_good(key)
        return None


def json_object(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The body, which must be one JSON object. Read here, so that chunked bodies count too."""
    raw, plain = _body(request), request._request
    if not raw and may_be_empty:
        return {}
    if not raw:
        raise InvalidRequest("The body is empty.")
    if plain.content_type != "application/json" or _encoded(request):
        raise UnsupportedMediaType(plain.content_type or "")
    try:
        body = json.loads(
            raw.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_number
        )
    except (ValueError, RecursionError) as broken:
        raise InvalidRequest("The body is not valid JSON.") from broken
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return body


def idempotent(handler: Handler) -> Handler:
    """Let a sender repeat this write with an `Idempotency-Key`: done once, answered twice.

    The API's document learns of it by itself.
    """

    @wraps(handler)
    def answer(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(idempotency.HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)

        def act() -> idempotency.WriteAnswer:
            made = handler(view, request, *args, **kwargs)
            return idempotency.WriteAnswer(made.status_code, made.data)

        caller = caller_of(request)
        asked = idempotency.WriteRequest(
            tenant_id=caller.tenant.pk,
            sender=caller.key_public_id,
            method=request.method or "",
            path=request.path,
            idempotency_key=key,
            body=_body(request),
        )
        told = idempotency.answer_once(asked, act)
        headers = {"Idempotent-Replayed": "true"} if told.repeated else None
        return Response(told.data, status=told.status, headers=headers)

    answer.is_idempotent = True  # type: ignore[attr-defined]
    return answer


def text_field(body: dict[str, Any], name: str, *, longest: int = 200) -> str:
    """A required text, trimmed."""
    text = text_field_or_none(body, name, longest=longest)
    if text is None:
        raise InvalidRequest(f"{name} is required.", details={"field": name})
    return text


def text_field_or_none(
    body: dict[str, Any], name: str, *, longest: int = 200, within: str = ""
) -> str | None:
    """An optional text, trimmed; null is the same as left out, blank is refused.

    `within` names the object that the field is in, as a refusal tells it: "rep.".
    """
    value = body.get(name)
    if value is None:
        return None
    name = within + name
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string.", details={"field": name})
    text = value.strip()
    if not 1 <= len(text) <= longest:
        problem = f"{name} must have 1 to {longest} characters."
        raise InvalidRequest(problem, details={"field": name})
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        problem = f"{name} holds a character that cannot be stored."
        raise InvalidRequest(problem, details={"field": name})
    return text


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_query(request: Request) -> None:
    """Django would put U+FFFD for broken UTF-8, and PostgreSQL can't compare with NUL."""
    try:
        text = unquote_to_bytes(request.META.get("QUERY_STRING", "")).decode()
    except UnicodeDecodeError as broken:
        raise InvalidRequest("The query is not valid UTF-8.") from broken
    if "\x00" in text:
        raise InvalidRequest("The query holds a character that cannot be stored.")


def _body(request: Request) -> bytes:
    """The body's bytes, however often they are asked for. Raises PayloadTooLarge."""
    plain: Any = request._request
    if not hasattr(plain, "athos_body"):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        plain.athos_body = plain.read(limit + 1)
        if len(plain.athos_body) > limit:
            raise PayloadTooLarge
    return bytes(plain.athos_body)


def _encoded(request: Request) -> bool:
    return request.headers.get("Content-Encoding", "identity").lower() != "identity"


def _number(text: str) -> int | float:
    """JSON knows one kind of number: 30.0 is as whole as 30."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
