"""What an app says of its API to machines and readers: operations, shapes, answers. Pure data.

Each app describes its own operations in its `openapi.py`; `athos.openapi` makes the document of
them. A test holds every description against what the server really answers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tenants.errors import AthosError

Schema = dict[str, Any]  # JSON Schema 2020-12, as OpenAPI 3.1 takes it


class Credential(StrEnum):
    """Who may call; the names are those of the document's security schemes."""

    API_KEY = "apiKey"
    SESSION_TOKEN = "sessionToken"  # noqa: S105 - a name


@dataclass(frozen=True, slots=True)
class Tag:
    """A chapter of the reference."""

    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What comes when all goes well. Without a schema there is no body."""

    description: str
    status: int = 200
    schema: Schema | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)  # by name: one sentence each
    headers: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one address.

    `id` becomes the name of a function in generated clients. `errors` are those beyond the ones
    that the credential, the body and the server itself bring with them (`athos.openapi`); `scope`
    and `idempotent` come from the view.
    """

    id: str
    tag: Tag
    summary: str
    description: str
    credential: Credential = Credential.API_KEY
    scope: str = ""
    idempotent: bool = False  # takes an Idempotency-Key
    parameters: tuple[Schema, ...] = ()
    body: Schema | None = None
    body_optional: bool = False
    body_examples: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[Answer, ...]
    errors: tuple[type[AthosError], ...] = ()


def obj(
    description: str,
    properties: Mapping[str, Schema],
    *,
    optional: tuple[str, ...] = (),
) -> Schema:
    """An object; every key is always there unless it is named `optional`. More keys may come."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "description": description,
        "required": required,
        "properties": dict(properties),
    }


def array(description: str, items: Schema) -> Schema:
    return {"type": "array", "description": description, "items": items}


def text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def name_text(description: str, *, longest: int = 200) -> Schema:
    """A name as the API takes it: not blank, where `str.strip` knows more blanks than ECMA-262."""
    return text(description, minLength=1, maxLength=longest, pattern=r"[^\s\x1c-\x1f\x85]")


def number(description: str, **more: Any) -> Schema:
    return {"type": "number", "description": description, **more}


def integer(description: str, **more: Any) -> Schema:
    return {"type": "integer", "description": description, **more}


def boolean(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def moment(description: str) -> Schema:
    return text(description, format="date-time")


def known_words(description: str, words: Iterable[str]) -> Schema:
    """A closed list, as a shape of its own: clients name a type after it."""
    return text(description, enum=[str(word) for word in words])


def open_ref(name: str, description: str) -> Schema:
    """One of the words of that shape, or one that came later: clients must not break on it."""
    return {"description": description, "anyOf": [ref(name), {"type": "string"}]}


def nullable(schema: Schema) -> Schema:
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema | {"type": [schema["type"], "null"]}


def ref(name: str) -> Schema:
    """A shape that some app's SHAPES holds under this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def query(name: str, schema: Schema, *, example: Any = None, required: bool = False) -> Schema:
    """A query parameter; its description is the schema's."""
    plain = {key: value for key, value in schema.items() if key != "description"}
    parameter: Schema = {
        "name": name,
        "in": "query",
        "required": required,
        "description": schema["description"],
        "schema": plain,
    }
    return parameter if example is None else parameter | {"example": example}


def in_path(name: str, schema: Schema, *, example: str) -> Schema:
    return query(name, schema, example=example, required=True) | {"in": "path"}


def named_examples(examples: Mapping[str, Any]) -> Schema:
    """Examples are named by a few words; the document wants a name and a summary."""
    return {
        summary.lower().replace(" ", "-"): {"summary": summary, "value": value}
        for summary, value in examples.items()
    }
