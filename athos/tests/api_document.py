"""The served document as tests use it: its operations, and answers held against it, strictly."""

import copy
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from athos.openapi.generating import document

METHODS = ("get", "post", "put", "patch", "delete")
ADDRESS = "urn:athos:openapi"


@functools.cache
def the_document() -> dict[str, Any]:
    return document()


@dataclass(frozen=True)
class Described:
    """One operation of the document."""

    id: str
    path: str
    method: str
    content: dict[str, Any]

    def answers(self) -> dict[str, dict[str, Any]]:
        """By status."""
        return {status: resolved(answer) for status, answer in self.content["responses"].items()}

    def codes(self) -> list[tuple[int, str]]:
        """Every status and error code that it may answer."""
        return [
            (int(status), code)
            for status, answer in self.answers().items()
            if int(status) >= 400
            for code in answer["content"]["application/json"]["examples"]
        ]


def described() -> Iterator[Described]:
    for path, item in the_document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield Described(item[method]["operationId"], path, method.upper(), item[method])


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """The part of the document that a reference names."""
    while "$ref" in part:
        found: Any = the_document()
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def assert_fits(value: Any, schema: dict[str, Any]) -> None:
    """Fails on anything that the document does not tell, an unknown key included."""
    resource = Resource(contents=_closed_document(), specification=DRAFT202012)
    registry = Registry().with_resource(ADDRESS, resource)
    checker = Draft202012Validator(
        _closed(_absolute(schema)), registry=registry, format_checker=FormatChecker()
    )
    problems = [f"{error.json_path}: {error.message}" for error in checker.iter_errors(value)]
    assert not problems, "\n".join(problems)


def assert_described(operation: Described, answer: Any) -> None:
    """The status, the headers and the body of a real answer stand in the document."""
    status = str(answer.status_code)
    assert status in operation.answers(), f"{status} is not told: {answer.content!r}"
    told = operation.answers()[status]
    counted = int(status) < 300
    for name, header in told["headers"].items():
        header = resolved(header)
        if name not in answer.headers:
            if name == "Idempotent-Replayed":
                continue
            assert not (counted or header["required"]), f"{name} is told and missing"
            continue
        schema, value = header["schema"], answer.headers[name]
        assert_fits(int(value) if schema["type"] == "integer" else value, schema)
    ours = [name for name in answer.headers if name.lower().startswith(("x-athos", "ratelimit"))]
    ours += [name for name in ("Retry-After", "WWW-Authenticate") if name in answer.headers]
    missing = {name.lower() for name in ours} - {name.lower() for name in told["headers"]}
    assert not missing, f"{missing} not told"
    if "content" not in told:
        assert not answer.content
        return
    assert answer.headers["Content-Type"] == "application/json"
    assert_fits(answer.json(), told["content"]["application/json"]["schema"])


def _absolute(part: Any) -> Any:
    """The same with references into the document's own address."""
    match part:
        case {"$ref": str(to), **rest}:
            return {"$ref": ADDRESS + to, **rest}
        case dict():
            return {key: _absolute(value) for key, value in part.items()}
        case list():
            return [_absolute(value) for value in part]
    return part


@functools.cache
def _closed_document() -> dict[str, Any]:
    return _closed(copy.deepcopy(the_document()))


def _closed(part: Any) -> Any:
    """The same, but objects hold no key that is not described."""
    match part:
        case {"type": "object", "properties": dict()}:
            closed = {key: _closed(value) for key, value in part.items()}
            return {"additionalProperties": False, **closed}
        case dict():
            return {key: _closed(value) for key, value in part.items()}
        case list():
            return [_closed(value) for value in part]
    return part
