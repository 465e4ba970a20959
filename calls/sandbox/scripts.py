"""What the rep of a sandbox call says: named scripts, one file each in `scripts/`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parent / "scripts"
DEFAULT = "good"
_ANY_DRILL = "any"


@dataclass(frozen=True, slots=True)
class Script:
    """`lines` by drill, those under "any" for all other drills. No line at all is a silent rep.

    `fails` names why a call of this script gets no score; such a call is not spoken.
    """

    name: str
    title: str
    lines: Mapping[str, tuple[str, ...]]
    fails: str = ""

    def lines_for(self, drill_key: str) -> tuple[str, ...]:
        return self.lines.get(drill_key, self.lines.get(_ANY_DRILL, ()))


@cache
def scripts() -> Mapping[str, Script]:
    """All scripts by name."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.yaml"))}


def _read(path: Path) -> Script:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    lines = {drill: tuple(said) for drill, said in content.get("lines", {}).items()}
    return Script(path.stem, content["title"], lines, content.get("fails", ""))
