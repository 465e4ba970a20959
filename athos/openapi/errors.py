"""The refusals of an operation, as answers of the document: one example for each code."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from athos.errors import HeadersTooLarge, UnsupportedMediaType, UriTooLong
from tenants.describing import (
    Credential,
    Operation,
    Schema,
    known_words,
    obj,
    open_ref,
    ref,
    text,
)
from tenants.errors import (
    ApiKeyRevoked,
    AthosError,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InsufficientScope,
    InvalidApiKey,
    InvalidRequest,
    IpNotAllowed,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
    TenantInactive,
)

Refusal = type[AthosError]

KEY_ERRORS: tuple[Refusal, ...] = (InvalidApiKey, ApiKeyRevoked, IpNotAllowed, TenantInactive)
BODY_ERRORS: tuple[Refusal, ...] = (PayloadTooLarge, UnsupportedMediaType)
ANY_ERRORS: tuple[Refusal, ...] = (InvalidRequest, RateLimited, AthosError, ServiceUnavailable)

COMMON_HEADERS = ("X-Athos-Request-Id", "RateLimit", "RateLimit-Policy")
REQUEST_ID = "req_6f1c2a0e-9d3b-4f5e-8a7c-1b2d3e4f5a6b"
_EXTRA: dict[str, dict[str, object]] = {
    InvalidRequest.code: {
        "message": "externalUserId must have 1 to 200 characters.",
        "details": {"field": "externalUserId"},
    }
}


def error_shapes(operations: list[Operation]) -> dict[str, Schema]:
    """The envelope, and the codes that these operations may answer."""
    return {
        "Error": obj("Every failure has this form.", {"error": ref("Refusal")}),
        "Refusal": obj(
            "What went wrong.",
            {
                "code": open_ref("ErrorCode", "Branch on it. New codes may come."),
                "message": text("A sentence for people; it may change."),
                "requestId": text("Also the header `X-Athos-Request-Id`. Tell it to us."),
                "details": ref("ErrorDetails"),
            },
            optional=("details",),
        ),
        "ErrorCode": known_words("The codes of today.", sorted(_refusals(operations))),
        "ErrorDetails": obj(
            "More about it.",
            {"field": text("The odd field or parameter.")},
            optional=("field",),
        ),
    }


def refusals_of(operation: Operation) -> list[Refusal]:
    """All that the operation may be refused with, ordered by status and code."""
    found = {*operation.errors, *ANY_ERRORS}
    if operation.credential == Credential.API_KEY:
        found.update(KEY_ERRORS)
    if operation.scope:
        found.add(InsufficientScope)
    if operation.parameters:
        found.add(UriTooLong)
    if operation.idempotent:
        found.update((IdempotencyKeyInUse, IdempotencyKeyReused, HeadersTooLarge))
    if operation.body is not None:
        found.update(BODY_ERRORS)
    return sorted(found, key=lambda refusal: (refusal.status, refusal.code))


def refusal_answers(operation: Operation) -> dict[str, Schema]:
    """For every status that a refusal of the operation can have, where its answer is described."""
    return {
        str(status): {"$ref": f"#/components/responses/{_answer_name(codes)}"}
        for status, codes in _codes_by_status(operation)
    }


def error_answers(operations: list[Operation]) -> dict[str, Schema]:
    """The answers that operations refer to: one for each status and set of codes."""
    return {
        _answer_name(codes): _answer(status, codes)
        for operation in operations
        for status, codes in _codes_by_status(operation)
    }


def _codes_by_status(operation: Operation) -> Iterator[tuple[int, list[str]]]:
    for status, group in groupby(refusals_of(operation), key=lambda refusal: refusal.status):
        yield status, [refusal.code for refusal in group]


def _answer_name(codes: list[str]) -> str:
    return "-or-".join(codes)


def _answer(status: int, codes: list[str]) -> Schema:
    return {
        "description": " or ".join(f"`{code}`" for code in codes),
        "headers": _headers(status, codes),
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def error_examples(operations: list[Operation]) -> dict[str, Any]:
    """One example for each code, by the code's name."""
    known = _refusals(operations)
    return {code: _example(known[code]) for code in sorted(known)}


def _refusals(operations: list[Operation]) -> dict[str, Refusal]:
    return {refusal.code: refusal for o in operations for refusal in refusals_of(o)}


def _example(refusal: Refusal) -> dict[str, Any]:
    error = {"code": refusal.code, "message": refusal.message, "requestId": REQUEST_ID}
    value = {"error": error | _EXTRA.get(refusal.code, {})}
    return {"summary": refusal.message, "value": value}


def _headers(status: int, codes: list[str]) -> dict[str, Schema]:
    more = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
    told = header_refs([*COMMON_HEADERS, *more.get(status, [])])
    if IdempotencyKeyInUse.code in codes:
        told["Retry-After"] = {
            "description": f"Seconds to wait; with `{IdempotencyKeyInUse.code}` only.",
            "required": False,
            "schema": {"type": "integer", "minimum": 1},
        }
    return told


def header_refs(names: Iterable[str]) -> dict[str, Schema]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
