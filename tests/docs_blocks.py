"""The code blocks of the docs, as the tests run them.

A comment above a block says what is special about it:

    <!-- name: endpoint-python -->    one test takes it by this name
    <!-- part -->                     JSON that shows some keys of the answer, not all
    <!-- not run: why -->             nobody runs it

Everything else runs, page by page: all shell blocks of a page as one script, all Python blocks as
another. A JSON block is compared with what the nearest shell block before it printed.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

DOCS = ROOT / "docs"
SHOWN_ONLY = {"text", "http", "yaml"}  # languages of what is no code
OPTIONAL = {"trigger"}  # keys that answers may have, told of in words
_BLOCK = re.compile(
    r"(?P<marks>(?:^<!--.*-->\n)*)^(?P<fence>`{3,})(?P<language>[\w{}-]*).*\n(?P<text>[\s\S]*?)^(?P=fence)$",
    re.MULTILINE,
)
_MARK = re.compile(r"<!-- (name|part|not run)(?:: (.*))? -->")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    name: str | None
    part: bool
    not_run: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    source = page.read_text()
    found = []
    for match in _BLOCK.finditer(source):
        if match["language"].startswith("{"):  # a directive of the site
            continue
        marks = dict(_MARK.findall(match["marks"]))
        found.append(
            Block(
                page=page.name,
                line=source[: match.start("fence")].count("\n") + 1,
                language=match["language"],
                text=match["text"],
                name=marks.get("name"),
                part="part" in marks,
                not_run=marks.get("not run"),
            )
        )
    return found


def pages() -> list[Path]:
    """What integrators and operators read; decision records hold no instructions."""
    return sorted([*DOCS.glob("*.md"), ROOT / "sdk" / "README.md"])


def all_blocks() -> list[Block]:
    return [block for page in pages() for block in blocks(page)]


def named(name: str) -> Block:
    (block,) = [block for block in all_blocks() if block.name == name]
    return block


def shape_difference(shown: Any, real: Any, *, part: bool = False, at: str = "$") -> str | None:
    """Where the shown JSON promises another shape than the real one has; None when it holds.

    Null stands for any value. Each item of a list must be like one of those that are shown.
    """
    if shown is None or real is None:
        return None
    if isinstance(shown, bool) or isinstance(real, bool):
        return None if type(shown) is type(real) else f"{at}: {shown!r} is shown, {real!r} is real"
    if isinstance(shown, int | float) and isinstance(real, int | float):
        return None
    if type(shown) is not type(real):
        return f"{at}: {shown!r} is shown, {real!r} is real"
    if isinstance(shown, list):
        return next(filter(None, (_unlike_all(shown, item, part, at) for item in real)), None)
    if isinstance(shown, dict):
        missing, unsaid = shown.keys() - real.keys(), real.keys() - shown.keys() - OPTIONAL
        if missing or (unsaid and not part):
            return f"{at}: shown in vain {sorted(missing)}, not shown {sorted(unsaid)}"
        inner = (
            shape_difference(value, real[key], part=part, at=f"{at}.{key}")
            for key, value in shown.items()
        )
        return next(filter(None, inner), None)
    return None


def _unlike_all(shown: list[Any], item: Any, part: bool, at: str) -> str | None:
    differences = [shape_difference(like, item, part=part, at=f"{at}[]") for like in shown]
    return differences[0] if differences and all(differences) else None


def last_json(printed: str) -> Any:
    """The last JSON document in what a block printed."""
    decoder = json.JSONDecoder()
    starts = [0, *(match.end() for match in re.finditer(r"\n", printed))]
    for start in reversed(starts):
        if printed[start : start + 1] in {"{", "["}:
            try:
                return decoder.raw_decode(printed[start:])[0]
            except ValueError:
                continue
    raise AssertionError(f"no JSON was printed: {printed!r}")
