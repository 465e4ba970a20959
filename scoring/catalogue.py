"""The rubrics that ship with the product, and how rubrics are read from text."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scoring.rubric import RubricError

FOLDER = Path(__file__).parent / "rubrics"
MAX_BYTES = 256 * 1024


class _StrictLoader(yaml.SafeLoader):
    """YAML in which yes and no are words, no key comes twice, and nothing refers to anything.

    Without aliases a small file cannot unfold into a large one.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed; give the list a name under phrases")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.YAMLError(f"{', '.join(twice)} comes twice in one mapping")
        return super().construct_mapping(node, deep)


_StrictLoader.yaml_implicit_resolvers = {
    first: [
        (tag, expression)
        for tag, expression in resolvers
        if not tag.endswith((":bool", ":timestamp"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf")
)


def rubric_read(text: str) -> dict[str, Any]:
    """The content of a rubric written in YAML. Raises RubricError; `rubric_parse` comes next."""
    if len(text.encode()) > MAX_BYTES:
        raise RubricError([f"rubric: is larger than {MAX_BYTES} bytes."])
    try:
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except (yaml.YAMLError, RecursionError) as error:
        raise RubricError([f"rubric: is not readable YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise RubricError(["rubric: is a mapping."])
    return content


def shipped() -> Iterator[dict[str, Any]]:
    """The contents of all rubrics that ship, by file name."""
    for path in sorted(FOLDER.glob("*.yaml")):
        yield rubric_read(path.read_text(encoding="utf-8"))
