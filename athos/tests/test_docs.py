"""What people configure and type stands in docs/."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (ROOT / "athos/settings.py").read_text()
READ_BY_SETTINGS = re.findall(
    r"(?:env\.\w+|_secret|_keyring|_rate|_database)\(\s*\"([A-Z_]+)\"", SETTINGS
)
COMMANDS = sorted(
    path.stem
    for path in ROOT.glob("*/management/commands/[a-z]*.py")
    if path.parts[-4] not in {".venv", "node_modules"}
)


@pytest.mark.parametrize("name", READ_BY_SETTINGS)
def test_every_setting_is_described(name):
    assert f"`{name}`" in (ROOT / "docs/settings.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_described(command):
    docs = "".join(path.read_text() for path in ROOT.glob("docs/**/*.md"))
    assert f"manage.py {command}" in docs


def test_every_page_of_the_docs_that_the_dashboard_names_exists():
    named = {
        name
        for template in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r"/docs/([^\"'#]*)", template.read_text())
    }
    assert {"errors/", "authentication/"} <= named
    named -= {"", "search/"}  # the overview, and what Sphinx adds
    missing = [n for n in named if not (ROOT / "docs" / f"{n.rstrip('/')}.md").is_file()]
    assert missing == []
    assert [name for name in named if not name.endswith("/")] == []
