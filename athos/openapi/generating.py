"""From the addresses and the apps' descriptions to one OpenAPI 3.1 document."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry

import calls.erasure.openapi
import calls.openapi
import calls.sandbox.openapi
import calls.usage.openapi
import scoring.openapi
import tenants.openapi
import webhooks.event_openapi
import webhooks.openapi
from athos.openapi import errors
from tenants import idempotency
from tenants.api import ApiView
from tenants.describing import (
    Answer,
    Credential,
    Operation,
    Schema,
    integer,
    named_examples,
    text,
)

API_PREFIX = "/api/external/v1"
OVERVIEW = Path(__file__).with_name("overview.md")
TAGS = (
    calls.openapi.SESSIONS,
    calls.openapi.CALLS,
    calls.sandbox.openapi.SANDBOX,
    webhooks.event_openapi.WEBHOOKS,
    calls.erasure.openapi.DATA,
    calls.usage.openapi.USAGE,
    tenants.openapi.KEYS,
)

_DESCRIBED: Mapping[tuple[type[ApiView], str], Operation] = {
    **calls.openapi.OPERATIONS,
    **calls.sandbox.openapi.OPERATIONS,
    **calls.erasure.openapi.OPERATIONS,
    **webhooks.openapi.OPERATIONS,
    **calls.usage.openapi.OPERATIONS,
    **tenants.openapi.OPERATIONS,
}
OPERATIONS = {
    (view, method): replace(
        operation,
        scope=view.method_scopes.get(method, view.required_scope),
        idempotent=getattr(getattr(view, method.lower()), "is_idempotent", False),
    )
    for (view, method), operation in _DESCRIBED.items()
}
SHAPES: Mapping[str, Schema] = {
    **calls.openapi.SHAPES,
    **calls.sandbox.openapi.SHAPES,
    **calls.erasure.openapi.SHAPES,
    **tenants.openapi.SHAPES,
    **calls.usage.openapi.SHAPES,
    **scoring.openapi.SHAPES,
    **webhooks.openapi.SHAPES,
    **webhooks.event_openapi.SHAPES,
}


def _header(schema: Schema, *, required: bool = True) -> Schema:
    plain = {key: value for key, value in schema.items() if key != "description"}
    return {"description": schema["description"], "required": required, "schema": plain}


HEADERS: Mapping[str, Schema] = {
    "X-Athos-Request-Id": _header(
        text("Names this request, on every answer. Log it.", pattern=r"^req_[0-9a-f-]{36}$")
    ),
    "WWW-Authenticate": _header(text("Always `Bearer`.")),
    "Retry-After": _header(integer("Seconds to wait before the next try.", minimum=1)),
    "RateLimit": _header(
        text(
            "What is left: `r` requests, and one more in `t` seconds. It is missing where a request"
            " was refused before it was counted.",
            pattern=r'^"[a-z-]+";r=\d+;t=\d+$',
        ),
        required=False,
    ),
    "RateLimit-Policy": _header(
        text("What is allowed: `q` requests in `w` seconds.", pattern=r'^"[a-z-]+";q=\d+;w=\d+$'),
        required=False,
    ),
}
IDEMPOTENCY_KEY: Schema = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": (
        "Names this write; best a UUID. Repeated with the same name and body within a day it"
        " changes nothing more and gets the same answer."
    ),
    "schema": {"type": "string", "pattern": f"^{idempotency.KEY.pattern}$"},
    "example": "3f7c1a52-8f0e-4f6f-9a53-0c1f7e6f4f11",
}
SECURITY_SCHEMES: Mapping[Credential, Schema] = {
    Credential.API_KEY: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "ath_live_… or ath_test_…",
        "description": (
            "Your backend's key. Keep it out of browsers. A test key (`ath_test_…`) works on the"
            " sandbox only."
        ),
    },
    Credential.SESSION_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token from `POST /session`: five minutes, one call.",
    },
}


def external_only(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """drf-spectacular's hook: of all addresses those of the external API."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(API_PREFIX + "/")]


class DescribedSchema(AutoSchema):
    """What drf-spectacular asks of a view: here it comes from the app's own description."""

    def get_operation(
        self,
        path: str,
        path_regex: str,
        path_prefix: str,
        method: str,
        registry: ComponentRegistry,
    ) -> Schema | None:
        described = OPERATIONS.get((cast(type[ApiView], type(self.view)), method.upper()))
        return operation_json(described) if described else None


def completed(*, result: Schema, **_: Any) -> Schema:
    """drf-spectacular's hook: what the operations refer to, and what is not one of them."""
    described = list(OPERATIONS.values())
    overview = OVERVIEW.read_text(encoding="utf-8").strip()
    return {
        "openapi": result["openapi"],
        "info": result["info"] | {"description": overview},
        "servers": [{"url": settings.PUBLIC_URL + API_PREFIX}],
        "tags": [{"name": tag.name, "description": tag.description} for tag in TAGS],
        "paths": result["paths"],
        "webhooks": dict(webhooks.event_openapi.MESSAGES),
        "components": {
            "schemas": {**SHAPES, **errors.error_shapes(described)},
            "responses": errors.error_answers(described),
            "examples": errors.error_examples(described),
            "headers": dict(HEADERS),
            "securitySchemes": {str(name): scheme for name, scheme in SECURITY_SCHEMES.items()},
        },
    }


def document() -> Schema:
    """The whole document, as `manage.py spectacular` writes it too."""
    made: Schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return made


def operation_json(operation: Operation) -> Schema:
    """The operation as an OpenAPI object."""
    made: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag.name],
        "summary": operation.summary,
        "description": _description(operation),
        "security": [{str(operation.credential): []}],
    }
    headers = [IDEMPOTENCY_KEY] if operation.idempotent else []
    if operation.parameters or headers:
        made["parameters"] = [*operation.parameters, *headers]
    if operation.body is not None:
        made["requestBody"] = {
            "required": not operation.body_optional,
            "content": _json(operation.body, operation.body_examples),
        }
    answers = {
        str(answer.status): _answer(answer, idempotent=operation.idempotent)
        for answer in operation.answers
    }
    made["responses"] = answers | errors.refusal_answers(operation)
    return made


def _description(operation: Operation) -> str:
    if not operation.scope:
        return operation.description
    return f"{operation.description}\n\nThe key needs the scope `{operation.scope}`."


def _answer(answer: Answer, *, idempotent: bool) -> Schema:
    own = {name: _header(schema) for name, schema in answer.headers.items()}
    if idempotent:
        own["Idempotent-Replayed"] = _header(
            text("`true` where an answer is given again.", const="true"), required=False
        )
    made: Schema = {
        "description": answer.description,
        "headers": errors.header_refs(errors.COMMON_HEADERS) | own,
    }
    if answer.schema is not None:
        made["content"] = _json(answer.schema, answer.examples)
    return made


def _json(schema: Schema, examples: Mapping[str, Any]) -> Schema:
    named = {"examples": named_examples(examples)} if examples else {}
    return {"application/json": {"schema": schema} | named}
