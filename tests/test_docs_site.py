"""The docs as files: every link leads somewhere, every block says how it is tested."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import ROOT
from tests.docs_blocks import SHOWN_ONLY, all_blocks, blocks, pages, shape_difference

LANGUAGES = {"sh", "python", "ts", "js", "html", "json", *SHOWN_ONLY}
NOT_RUN = 14  # blocks that say why nobody runs them: raise it only with a reason that convinces
OURS = ("/reference", "/api/external/v1/openapi.yaml", "/api/external/v1/openapi.json")


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """Built anew, with warnings as errors: a link to no page or heading ends it."""
    out = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-b", "dirhtml"]
    done = subprocess.run(
        [*command, "-d", str(out / "trees"), str(ROOT / "docs"), str(out / "site")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return out / "site"


def attributes(page: Path, name: str) -> list[str]:
    return re.findall(rf'\s{name}="([^"]*)"', page.read_text())


def test_a_page_holds_no_inline_script_or_style(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=\"", text), page
        for script in re.findall(r"<script\b([^>]*)>", text):
            assert " src=" in script or 'type="application/' in script, page


def test_a_page_loads_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\ssrc=\"([^\"]*)\"", text)
        loaded += re.findall(r"<link\b[^>]*\shref=\"([^\"]*)\"", text)
        assert loaded
        assert not [address for address in loaded if urlsplit(address).netloc], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", sheet.read_text()), sheet


def test_every_link_inside_leads_to_a_file_and_an_anchor(site):
    for page in site.rglob("*.html"):
        for address in attributes(page, "(?:href|src)"):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc or parts.path in OURS or address.startswith("data:"):
                continue
            target = (page.parent / parts.path).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.is_relative_to(site) and target.is_file(), f"{page}: {address}"
            if parts.fragment and target.suffix == ".html":
                assert f'id="{parts.fragment}"' in target.read_text(), f"{page}: {address}"


@pytest.mark.parametrize("block", all_blocks(), ids=str)
def test_every_block_says_what_it_is(block):
    assert block.language in LANGUAGES
    assert block.not_run is None or len(block.not_run) > 20
    assert not (block.not_run and block.name)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_page_says_what_its_snippets_need(page):
    told, named = page.read_text(), set()
    for block in blocks(page):
        if block.language in {"sh", "python", "ts"} and not block.not_run:
            told = told.replace(block.text, "")
            named |= set(re.findall(r"ATHOS_[A-Z_]+", block.text))
    for name in named:
        assert re.search(rf"^(export )?{name}\b|`{name}`", told, re.MULTILINE), name


def test_few_blocks_are_not_run():
    assert len([block for block in all_blocks() if block.not_run]) == NOT_RUN


def test_another_shape_is_noticed():
    assert shape_difference({"a": [{"b": 1}]}, {"a": [{"b": 2}, {"b": 3.5}]}) is None
    assert shape_difference({"a": None}, {"a": "x"}) is None
    assert shape_difference({"a": 1}, {"a": 1, "b": 2})
    assert shape_difference({"a": 1}, {"a": 1, "b": 2}, part=True) is None
    assert shape_difference({"a": 1, "b": 2}, {"a": 1}, part=True)
    assert shape_difference({"a": 1}, {"a": True})
    assert shape_difference({"a": [{"b": 1}, {"c": 1}]}, {"a": [{"c": 2}, {"d": 2}]})
    assert shape_difference({"a": []}, {"a": ["anything"]}) is None
