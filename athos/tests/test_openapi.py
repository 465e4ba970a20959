"""The document is valid, tells every route and nothing else, and its examples fit its shapes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from openapi_spec_validator import OpenAPIV31SpecValidator

from athos.openapi.generating import API_PREFIX
from athos.openapi.views import DocumentApi
from athos.tests.api_document import METHODS, assert_fits, described, resolved, the_document

ALL = list(described())
IDS = [operation.id for operation in ALL]


def routes(patterns: list[Any], before: str = "/") -> Iterator[tuple[str, str]]:
    """Every address and method under the external API, as Django resolves them."""
    for pattern in patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern) and address.startswith(API_PREFIX):
            view = pattern.callback.view_class
            if view is not DocumentApi:  # it describes the API, not itself
                path = re.sub(r"<\w+:(\w+)>", _camel, address.removeprefix(API_PREFIX))
                yield from ((path, m.upper()) for m in METHODS if hasattr(view, m))


def _camel(match: re.Match[str]) -> str:
    first, *rest = match[1].split("_")
    return "{" + first + "".join(word.title() for word in rest) + "}"


def test_it_is_valid_openapi_3_1():
    assert the_document()["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(the_document()).validate()


def test_document_and_resolver_agree():
    told = {(operation.path, operation.method) for operation in ALL}
    assert told == set(routes(get_resolver().url_patterns))


def test_names_of_operations_are_good_names_of_functions():
    assert len(set(IDS)) == len(IDS)
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name) for name in IDS)


def test_every_shape_is_used_and_every_reference_leads_somewhere():
    text = json.dumps(the_document())
    for kind in ("schemas", "responses", "examples", "headers"):
        for name in the_document()["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, f"nobody refers to {kind}/{name}"
    for reference in set(re.findall(r'"\$ref": "(#[^"]+)"', text)):
        assert resolved({"$ref": reference})


@pytest.mark.parametrize("operation", ALL, ids=IDS)
def test_every_operation_is_told_in_full(operation):
    told = operation.content
    assert told["summary"]
    assert told["description"]
    assert told["security"]
    assert set(told["tags"]) <= {tag["name"] for tag in the_document()["tags"]}
    successes = [a for status, a in operation.answers().items() if status < "300"]
    assert successes
    for answer in successes:
        assert (
            answer.get("content", {})
            .get("application/json", {})
            .get("examples", "content" not in answer)
        )


def examples() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    webhooks = the_document()["webhooks"].items()
    parts = [(o.id, o.content) for o in ALL] + [(name, item["post"]) for name, item in webhooks]
    for name, operation in parts:
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for body in [*bodies, *map(resolved, operation["responses"].values())]:
            for media in body.get("content", {}).values():
                for key, example in media["examples"].items():
                    yield f"{name}-{key}", resolved(example)["value"], media["schema"]
        for parameter in operation.get("parameters", []):
            if "example" in parameter and parameter["schema"].get("format") != "date-time":
                yield f"{name}-{parameter['name']}", parameter["example"], parameter["schema"]


@pytest.mark.parametrize(
    ("value", "schema"), [pytest.param(v, s, id=name) for name, v, s in examples()]
)
def test_examples_fit(value, schema):
    assert_fits(value, schema)


def test_every_code_and_scope_stands_in_the_docs():
    docs = Path(__file__).resolve().parents[2] / "docs"
    errors = (docs / "errors.md").read_text()
    shapes = the_document()["components"]["schemas"]
    assert [code for code in shapes["ErrorCode"]["enum"] if f"`{code}`" not in errors] == []
    keys = (docs / "api-keys.md").read_text() + (docs / "authentication.md").read_text()
    assert [scope for scope in shapes["Scope"]["enum"] if f"`{scope}`" not in keys] == []


class TestServing:
    @pytest.mark.parametrize(
        ("name", "content_type", "read"),
        [
            ("openapi.json", "application/json", json.loads),
            ("openapi.yaml", "application/yaml", yaml.safe_load),
        ],
    )
    def test_both_forms_say_the_same(self, name, content_type, read, settings):
        answer = Client().get(f"{API_PREFIX}/{name}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["X-Athos-Request-Id"].startswith("req_")
        told = read(answer.content)
        assert told["servers"] == [{"url": settings.PUBLIC_URL + API_PREFIX}]
        assert told["paths"] == the_document()["paths"]

    def test_anybody_may_keep_it_for_a_while(self):
        first = Client().get(f"{API_PREFIX}/openapi.yaml")
        assert first.headers["Cache-Control"] == "public, max-age=300"
        again = Client().get(
            f"{API_PREFIX}/openapi.yaml", headers={"If-None-Match": first.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")

    def test_other_web_sites_may_not_read_it(self):
        """As the contract has it: CORS at redeem and nowhere else."""
        answer = Client().get(
            f"{API_PREFIX}/openapi.json", headers={"Origin": "https://integrator.example"}
        )
        assert "Access-Control-Allow-Origin" not in answer.headers

    def test_a_wrong_method_has_the_envelope(self):
        answer = Client().post(f"{API_PREFIX}/openapi.json")
        assert answer.status_code == 405
        assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
